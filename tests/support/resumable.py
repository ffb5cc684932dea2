"""A small run to kill, damage and resume: how to start and resume it, and checks of its store."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

from mnistae.store import format as checkpoint_format
from tests.support.client import ForkServer

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


def train_reference(forks: ForkServer, home: Path, words: tuple[object, ...]) -> ReferenceRun:
    """Train the run `r` undisturbed."""
    ended = forks.run(*words, home=home)
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
        return ("train", "--resume", "--name", "r", "-q")
    return whole.words


def check_store(home: Path) -> None:
    """Read and verify every visible checkpoint file. Whatever was killed, they are complete."""
    for path in run_folder(home).glob("*.safetensors"):
        decode = checkpoint_format.decode_state if path.stem == "state" else checkpoint_format.decode_model
        decode(path.read_bytes())


def leftovers(home: Path) -> list[str]:
    return [path.name for path in (home / "home").rglob(".*.tmp")]


def tree(home: Path) -> dict[str, bytes]:
    """Return every file of the store except the locks; temporary files are named after their target and have no content."""
    store = home / "home" / "checkpoints"
    found = {}
    for path in sorted(store.rglob("*")):
        if path.is_file() and path.parent.name != ".locks":
            is_temporary = path.name.endswith(".tmp")
            name = f"{path.name.rsplit('.', 3)[0]}.tmp" if is_temporary else path.name
            found[str(path.parent.relative_to(store) / name)] = b"" if is_temporary else path.read_bytes()
    return found


def neither(found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    """Return the files that have neither their old nor their new content, missing files included."""
    names = old.keys() | new.keys() | found.keys()
    return [name for name in names if found.get(name) not in {old.get(name), new.get(name)}]


@dataclasses.dataclass(frozen=True)
class Case:
    """A save to disturb: the store before it, its command, the run it belongs to, and the digests it may end with."""

    name: str
    base: Path
    words: tuple[object, ...]
    whole: ReferenceRun
    digests: set[str]


def make_case(forks: ForkServer, name: str, folder: Path, data: Path, *, hidden: int = 64) -> Case:
    """Prepare a first save, an overwrite or a resume, of two epochs. The cache of the data is in the store already."""
    words = ("train", "--dataset", data, "-e", 2, "-b", 256, "--hidden", hidden, "--name", "r", "-q")
    whole = train_reference(forks, folder / "whole", words)
    base = folder / "base"
    if name == "first save":
        whole.give_cache(base)
        return Case(name, base, words, whole, {whole.digest})
    if name == "overwrite":
        other = train_reference(forks, base, (*words, "--seed", 5))
        return Case(name, base, (*words, "--force"), whole, {whole.digest, other.digest})
    train_reference(forks, base, tuple(1 if word == 2 else word for word in words))
    return Case(name, base, ("train", "--resume", "--name", "r", "-e", 2, "-q"), whole, {whole.digest})


def finish(forks: ForkServer, case: Case, home: Path) -> str:
    """Continue as a user would, and return the final digest."""
    words = resume_args(home, case.whole)
    ended = forks.run(*words, *(("-e", 2) if "--resume" in words else ()), home=home)
    assert ended.code == 0, ended.err
    assert leftovers(home) == []
    return digest(home)
