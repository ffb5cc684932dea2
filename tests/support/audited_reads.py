"""Read bad checkpoints under an audit hook: `python -m tests.support.audited_reads FOLDER PICKLE`.

The first line of the output has the number of refused files, the audited events, and whether the canary's mark exists;
the second has the events of unpickling PICKLE, which shows that the hook sees them.
"""

import sys
from pathlib import Path
from typing import Any

import safetensors.numpy
import safetensors.torch  # noqa: F401 - imported late by the readers, which the hook would report
import torch

from mnistae.core.errors import CheckpointError
from mnistae.store import importer, runs

WATCHED = {
    *("pickle.find_class", "exec", "compile", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"),
    *("socket.connect", "import", "ctypes.dlopen"),
}


def main() -> None:
    """Read every file and print what was seen."""
    folder, refused = Path(sys.argv[1]), 0
    seen: list[tuple[str, str]] = []
    is_on = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if is_on and event in WATCHED:
            seen.append((event, str(args)[:80]))

    sys.addaudithook(hook)
    runs.load(str(folder / "sound.safetensors"))  # imports what the readers import late
    importer.read(folder / "sound.pth")
    is_on = True
    for path in sorted(folder.glob("*.bad.*")):
        try:
            runs.load(str(path)) if path.suffix == ".safetensors" else importer.read(path)
        except CheckpointError:
            refused += 1
    print(refused, seen, (folder / "mark").exists())  # noqa: T201
    seen.clear()
    torch.load(folder / sys.argv[2], weights_only=False)
    print(seen)  # noqa: T201


if __name__ == "__main__":
    main()
