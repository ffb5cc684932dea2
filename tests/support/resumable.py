"""A small run to kill, damage and resume: how to start and resume it, and checks of its store."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

from mnistae.store import format as checkpoint_format
from tests.support.client import ForkServer, Result, is_clean_error
from tests.support.saved_runs import tree

NEVER = 1e9
"""Seconds between two saves: the run saves once, at its end."""


@dataclasses.dataclass(frozen=True)
class ReferenceRun:
    """An undisturbed run: its home, the command that starts it, its model's digest, and its seconds."""

    home: Path
    words: tuple[object, ...]
    digest: str
    seconds: float

    def give_cache(self, home: Path) -> Path:
        """Give a home the cache of the data, so that its run's first write is the run's; return the home."""
        shutil.copytree(self.home / "home" / "cache", home / "home" / "cache")
        return home


def train_reference(forks: ForkServer, home: Path, words: tuple[object, ...], save_every: float = 0) -> ReferenceRun:
    """Train the run `r` undisturbed."""
    ended = forks.run(*words, home=home, save_every=save_every, timeout=100)
    assert ended.code == 0, ended.err
    return ReferenceRun(home, words, digest(home), ended.seconds)


def run_folder(home: Path) -> Path:
    return home / "home" / "checkpoints" / "r"


def digest(home: Path) -> str:
    """Return the SHA-256 of the model in the store."""
    return hashlib.sha256((run_folder(home) / "model.safetensors").read_bytes()).hexdigest()


def resume_args(home: Path, whole: ReferenceRun) -> tuple[object, ...]:
    """Return the command that a user would continue with: a resume, or a new start if nothing was kept."""
    if (run_folder(home) / "state.safetensors").exists():
        return ("train", "--resume", "--name", "r", *(word for word in whole.words if word == "-q"))
    return whole.words


def resume(forks: ForkServer, home: Path, whole: ReferenceRun, *more: object, save_every: float = 0) -> str:
    """Check the store, continue as a user would, and return the final digest. No temporary file is left."""
    check_store(home)
    ended = forks.run(*resume_args(home, whole), *more, home=home, save_every=save_every, timeout=100)
    assert ended.code == 0, ended
    assert leftovers(home) == []
    return digest(home)


def check_store(home: Path) -> None:
    """Read and verify every visible checkpoint file. Whatever was killed, they are complete."""
    for path in run_folder(home).glob("*.safetensors"):
        decode = checkpoint_format.decode_state if path.stem == "state" else checkpoint_format.decode_model
        decode(path.read_bytes())


def leftovers(home: Path) -> list[str]:
    return [path.name for path in (home / "home").rglob(".*.tmp")]


def stored(home: Path) -> dict[str, bytes]:
    """Return every file of the store except the locks."""
    return tree(home / "home" / "checkpoints")


def neither(found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    """Return the files that have neither their old nor their new content, missing files included."""
    names = old.keys() | new.keys() | found.keys()
    return [name for name in names if found.get(name) not in {old.get(name), new.get(name)}]


@dataclasses.dataclass(frozen=True)
class Case:
    """A save to disturb: the store before it, its command, the run it belongs to, and the digests it may end with."""

    base: Path
    words: tuple[object, ...]
    whole: ReferenceRun
    digests: set[str]


def make_case(forks: ForkServer, name: str, folder: Path, data: Path, *, hidden: int = 3) -> Case:
    """Prepare a first save, an overwrite or a resume, of two epochs. The cache of the data is in the store already."""
    words = ("train", "--dataset", data, "-e", 2, "-b", 256, "--hidden", hidden, "--name", "r", "-q")
    whole = train_reference(forks, folder / "whole", words)
    base = folder / "base"
    if name == "first save":
        whole.give_cache(base)
        return Case(base, words, whole, {whole.digest})
    if name == "overwrite":
        other = train_reference(forks, base, (*words, "--seed", 5))
        return Case(base, (*words, "--force"), whole, {whole.digest, other.digest})
    train_reference(forks, base, tuple(1 if word == 2 else word for word in words))
    return Case(base, ("train", "--resume", "--name", "r", "-e", 2, "-q"), whole, {whole.digest})


def finish(forks: ForkServer, case: Case, home: Path) -> str:
    """Continue as a user would, and return the final digest."""
    return resume(forks, home, case.whole, "-e", 2)


def check_failed_save(forks: ForkServer, case: Case, home: Path, ended: Result, new: dict[str, bytes] | None = None) -> None:
    """The save failed with exit code 7; every file is old, or `new` if that is given; a resume ends with the exact bytes."""
    assert (ended.code, is_clean_error(ended), ended.out) == (7, True, ""), ended
    assert leftovers(home) == []
    old = stored(case.base)
    assert neither(stored(home), old, new or old) == []
    assert finish(forks, case, home) in case.digests
