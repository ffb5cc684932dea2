"""A process that has imported everything and forks a child for each command: a fraction of a second instead of three.

It reads pickled requests (NUMBER, IS_START, ARGUMENTS) from standard input, calls `start` or `wait`, and writes the pickled
(NUMBER, RESULT) to standard output, so that each answer is known by its request.

The child is the product: the same `main()` with the same signals, only that its modules are in memory already.
"""

import atexit
import codecs
import contextlib
import gc
import importlib
import os
import pickle
import signal
import sys
import time
from pathlib import Path
from typing import Any

children: set[int] = set()
"""Children that nothing has waited for yet."""


def main() -> None:
    """Serve until standard input ends; then kill the children that a failed test has left."""
    prepare()
    with contextlib.suppress(EOFError):
        while True:
            number, is_start, arguments = pickle.load(sys.stdin.buffer)
            pickle.dump((number, start(**arguments) if is_start else wait(**arguments)), sys.stdout.buffer)
            sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


LATE = (
    *("filelock", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure"),
    *("matplotlib.style", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "jinja2", "safetensors.numpy"),
    *("sklearn.manifold", "scipy.ndimage", "scipy.spatial", "torch", "typer._adapters", "typer.rich_utils"),
    *("mnistae.cli.main", "mnistae.data.sets.foreign", "mnistae.store.importer", "mnistae.training.run"),
)
"""Modules that commands import late."""


def prepare() -> None:
    """Import what commands import late. No tensor is touched: a thread pool would not survive a fork."""
    from mnistae.__main__ import _sanitize_environment

    _sanitize_environment()  # as a command does before these imports
    for module in LATE:
        importlib.import_module(module)

    import matplotlib as mpl
    import torch

    from mnistae.cli.app import COMMANDS, load
    from mnistae.core.records import EpochRecord
    from mnistae.outputs import figures

    for command in COMMANDS:
        load(command)
    mpl.get_configdir()  # it checks its own folders once a process: here, and not in the children
    mpl.get_cachedir()
    figures.render(figures.loss_curve([EpochRecord(1, 0.1, 0.1)]), "png")  # reads the fonts
    for encoding in ("cp437", "unicode_escape", "raw_unicode_escape", "utf-8-sig"):
        codecs.lookup(encoding)  # read when first needed, which another user may not be allowed to
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # a collection in a child would copy the memory it shares with the server


def start(**request: Any) -> int:
    """Fork a child that runs one command; return its number."""
    pid = os.fork()
    if pid == 0:
        run(**request)
    children.add(pid)
    return pid


def run(argv: list[str], env: dict[str, str], cwd: Path, out: Path, err: Path, before: bytes) -> None:
    """Run the command in this child, from the standard streams to the exit code. `before`: pickled functions to call first."""
    from mnistae import __main__

    code: object = 70
    try:
        atexit._clear()  # the server's own functions
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        for number, name in enumerate((Path(os.devnull), out, err)):
            fd = os.open(name, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for function in pickle.loads(before):
            function()
        # the arguments as the interpreter decodes them in its locale
        sys.argv = ["mnistae", *(os.fsdecode(word.encode("utf-8", "surrogateescape")) for word in argv)]
        __main__.main()
    except SystemExit as ending:
        code = ending.code
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = 120  # as an interpreter whose last flush fails
            except ValueError:
                pass
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def wait(pid: int, timeout: float) -> int | None:
    """Return the child's exit code once it has ended; kill it after `timeout` seconds."""
    children.discard(pid)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    main()
