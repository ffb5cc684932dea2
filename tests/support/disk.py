"""The states that a file system may have after a power cut, at every moment of a recorded history.

They are those that POSIX allows. Data that were not synced are present, lost, cut in half, or zeros; a file may have no
length at all. Each name that was created, renamed or removed may be in its old state until its folder is synced.
"""

import itertools
import os
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tree = dict[str, bytes | None]
"""Relative paths with their content; None for a folder."""


@dataclass(frozen=True)
class Named:
    """A change in a folder: a name removed, a name added, and the file or folder that it belongs to, by a number."""

    folder: int
    gone: str
    came: str
    node: int


@dataclass(frozen=True)
class Filled:
    """The content of a file after a write; None for a new folder."""

    node: int
    data: bytes | None


@dataclass(frozen=True)
class Synced:
    """An fsync of a file or of a folder."""

    node: int


def states(log: Path) -> Iterator[tuple[Tree, bool]]:
    """Yield every possible state of the disk after a power cut at each moment, the last first, and whether it is the last."""
    ops = []
    with log.open("rb") as stream:
        while stream.peek():
            ops.append(pickle.load(stream))
    start = ops.index(None)  # what comes before it was on the disk when the recording began
    del ops[start]
    for at in reversed(range(start, len(ops) + 1)):
        for tree in _states_after(ops[:at]):
            yield tree, at == len(ops)


def _states_after(ops: list[Named | Filled | Synced]) -> Iterator[Tree]:
    synced = {op.node: index for index, op in enumerate(ops) if isinstance(op, Synced)}
    named = [(index, op) for index, op in enumerate(ops) if isinstance(op, Named)]
    pending = [index for index, op in named if index > synced.get(op.folder, -1)]
    contents = _contents(ops, synced)
    for choice in itertools.product((True, False), repeat=len(pending)):
        lost = {index for index, is_kept in zip(pending, choice, strict=True) if not is_kept}
        folders: dict[int, dict[str, int]] = defaultdict(dict)
        for index, op in named:
            if index not in lost:
                folders[op.folder].pop(op.gone, None)
                folders[op.folder] |= {op.came: op.node} if op.came else {}
        paths = dict(_walk(folders, 0, ""))
        nodes = sorted(set(paths.values()))
        for chosen in itertools.product(*(contents[node] for node in nodes)):
            content = dict(zip(nodes, chosen, strict=True))
            yield {path: content[node] for path, node in paths.items()}


def _contents(ops: list[Named | Filled | Synced], synced: dict[int, int]) -> dict[int, list[bytes | None]]:
    """Return the possible contents of each file and folder."""
    contents: dict[int, list[bytes | None]] = {}
    for index, op in enumerate(ops):
        if not isinstance(op, Filled):
            continue
        if op.data is None or index < synced.get(op.node, -1):
            contents[op.node] = [op.data]
        else:
            before = contents.get(op.node, [b""])
            contents[op.node] = list(dict.fromkeys([op.data, *before, b"", op.data[: len(op.data) // 2], bytes(len(op.data))]))
    return contents


def _walk(folders: dict[int, dict[str, int]], folder: int, path: str) -> Iterator[tuple[str, int]]:
    for name, node in folders.get(folder, {}).items():
        yield f"{path}{name}", node
        yield from _walk(folders, node, f"{path}{name}/")


def write_tree(root: Path, tree: Tree) -> None:
    """Put a tree into an empty folder."""
    root.mkdir(parents=True)
    for name, data in sorted(tree.items()):
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


class Recorder:
    """Records what is below a folder, and then every change of it by this process, with the data."""

    def __init__(self, root: Path, log: Path) -> None:
        self._root, self._log = root, log.open("wb")
        self._nodes = {root.stat().st_ino: 0}  # by inodes, which a file system uses again
        self._numbers = itertools.count(1)
        for path in sorted(root.rglob("*")):
            self._note_new(path)
        for node in self._nodes.values():
            self._note(Synced(node))
        self._note(None)
        for name in ("open", "write", "posix_fallocate", "fsync", "mkdir", "rename", "replace", "unlink", "remove", "rmdir"):
            setattr(os, name, self._recorded(name, getattr(os, name)))

    def _recorded(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            path = _path(args[0], options.get("dir_fd"))
            if not path.is_relative_to(self._root):
                return real(*args, **options)
            node = self._node(path) if path.exists() else None
            result = real(*args, **options)
            if node is None:
                self._note_new(path)
            else:
                self._note_change(name, path, node, args)
            return result

        return call

    def _note_change(self, name: str, path: Path, node: int, args: tuple[Any, ...]) -> None:
        if name == "fsync":
            self._note(Synced(node))
        elif name in {"write", "posix_fallocate"} or (name == "open" and args[1] & os.O_TRUNC):
            self._note(Filled(node, path.read_bytes()))
        elif name != "open":
            target = Path(os.fsdecode(args[1])) if name in {"rename", "replace"} else None
            assert target is None or target.parent == path.parent
            self._note(Named(self._node(path.parent), path.name, target.name if target else "", node))

    def _note_new(self, path: Path) -> None:
        node = self._nodes[path.stat().st_ino] = next(self._numbers)
        self._note(Filled(node, None if path.is_dir() else path.read_bytes()))
        self._note(Named(self._node(path.parent), "", path.name, node))

    def _node(self, path: Path) -> int:
        return self._nodes[path.stat().st_ino]

    def _note(self, op: object) -> None:
        pickle.dump(op, self._log)
        self._log.flush()


def _path(target: Any, folder: int | None) -> Path:
    if isinstance(target, int):
        return Path(f"/proc/self/fd/{target}").readlink()
    return Path(_path(folder, None) if folder is not None else "", os.fsdecode(target)).absolute()
