"""The states that a file system may have after a power cut, at every moment of a recorded history.

They are those that POSIX allows. Data that were not synced are present, lost, cut in half, or zeros; a file may have no
length at all. Each name that was created, renamed or removed may be in its old state until its folder is synced.
"""

import copy
import itertools
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tree = dict[str, bytes | None]
"""Relative paths with their content; None for a folder."""


@dataclass(frozen=True)
class Named:
    """A change in a folder: a name removed, a name added, and their inode."""

    folder: int
    gone: str
    came: str
    inode: int


@dataclass(frozen=True)
class Filled:
    """The content of a file after a write."""

    inode: int
    data: bytes


@dataclass(frozen=True)
class Synced:
    """An fsync of a file or of a folder."""

    inode: int


class History:
    """The changes that a process made below a folder, in terms of inodes."""

    def __init__(self, before: Tree, root: Path, log: Path) -> None:
        self.ops: list[Named | Filled | Synced] = []
        self._folders: dict[int, dict[str, int]] = {0: {}}
        self._files: dict[int, bytes] = {}
        self._written: dict[int, int] = {}
        for path, data in sorted(before.items()):
            self._name(path, self._new(data))
        self._start = copy.deepcopy(self._folders), dict(self._files)
        self.ops.clear()
        for kind, path, *rest in _read(log):
            self._replay(kind, str(Path(path).relative_to(root)), root, *rest)

    def states(self, at: int) -> Iterator[Tree]:
        """Yield every possible state of the disk after a power cut that follows `at` changes."""
        ops = self.ops[:at]
        synced = {op.inode: index for index, op in enumerate(ops) if isinstance(op, Synced)}
        named = [(index, op) for index, op in enumerate(ops) if isinstance(op, Named)]
        pending = [index for index, op in named if index > synced.get(op.folder, -1)]
        variants = self._variants(ops, synced)
        for choice in itertools.product((True, False), repeat=len(pending)):
            lost = {index for index, is_kept in zip(pending, choice, strict=True) if not is_kept}
            folders = self._named(op for index, op in named if index not in lost)
            inodes = sorted(set(_reachable(folders)) & variants.keys())
            for contents in itertools.product(*(variants[inode] for inode in inodes)):
                files = self._start[1] | dict(zip(inodes, contents, strict=True))
                yield dict(_walk(folders, files, 0, Path()))

    def _variants(self, ops: list[Named | Filled | Synced], synced: dict[int, int]) -> dict[int, list[bytes]]:
        """Return the possible contents of each file that was written."""
        variants: dict[int, list[bytes]] = {}
        for index, op in enumerate(ops):
            if not isinstance(op, Filled):
                continue
            if index < synced.get(op.inode, -1):
                variants[op.inode] = [op.data]
            else:
                before = variants.get(op.inode, [b""])
                states = [op.data, *before, b"", op.data[: len(op.data) // 2], bytes(len(op.data))]
                variants[op.inode] = list(dict.fromkeys(states))
        return variants

    def _named(self, ops: Iterator[Named]) -> dict[int, dict[str, int]]:
        folders: dict[int, dict[str, int]] = {inode: {} for inode in self._folders} | copy.deepcopy(self._start[0])
        for op in ops:
            folders[op.folder].pop(op.gone, None)
            if op.came:
                folders[op.folder][op.came] = op.inode
        return folders

    def _replay(self, kind: str, path: str, root: Path, *rest: object) -> None:
        if kind in {"create", "mkdir"}:
            self._name(path, self._new(b"" if kind == "create" else None))
            return
        inode = self._inode(path)
        if kind == "fsync":
            self.ops.append(Synced(inode))
        elif kind in {"unlink", "rmdir"}:
            self._name("", inode, gone=path)
        elif kind == "rename":
            self._name(str(Path(str(rest[0])).relative_to(root)), inode, gone=path)
        else:
            self._fill(inode, kind, *rest)

    def _fill(self, inode: int, kind: str, change: object = None) -> None:
        """Change a file's content. Reserved space reads as zeros until it is written."""
        data, written = self._files[inode], self._written.get(inode, 0)
        if kind == "reserve":
            assert isinstance(change, int)
            data += bytes(change - len(data))
        elif kind == "truncate":
            data, written = b"", 0
        else:
            assert isinstance(change, bytes)
            data = data[:written] + change + data[written + len(change) :]
            written += len(change)
        self._files[inode], self._written[inode] = data, written
        self.ops.append(Filled(inode, data))

    def _new(self, data: bytes | None) -> int:
        inode = len(self._folders) + len(self._files)
        if data is None:
            self._folders[inode] = {}
        else:
            self._files[inode] = data
        return inode

    def _name(self, path: str, inode: int, *, gone: str = "") -> None:
        """Add a name of an inode, or remove it, or both in one folder."""
        folder = self._inode(str(Path(path or gone).parent))
        assert not (path and gone) or Path(path).parent == Path(gone).parent
        op = Named(folder, Path(gone).name, Path(path).name, inode)
        self._folders[folder].pop(op.gone, None)
        if op.came:
            self._folders[folder][op.came] = inode
        self.ops.append(op)

    def _inode(self, path: str) -> int:
        inode = 0
        for part in Path(path).parts:
            inode = self._folders[inode][part]
        return inode


def read_tree(root: Path) -> Tree:
    """Return the tree below a folder."""
    return {str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in root.rglob("*")}


def write_tree(root: Path, tree: Tree) -> None:
    """Put a tree into an empty folder."""
    root.mkdir(parents=True)
    for name, data in sorted(tree.items()):
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


def _walk(
    folders: dict[int, dict[str, int]], files: dict[int, bytes], inode: int, path: Path
) -> Iterator[tuple[str, bytes | None]]:
    for name, child in folders[inode].items():
        if child in files or child not in folders:
            yield str(path / name), files.get(child, b"")
        else:
            yield str(path / name), None
            yield from _walk(folders, files, child, path / name)


def _reachable(folders: dict[int, dict[str, int]], inode: int = 0) -> Iterator[int]:
    for child in folders[inode].values():
        yield child
        if child in folders:
            yield from _reachable(folders, child)


def _read(log: Path) -> Iterator[tuple[str, ...]]:
    with log.open("rb") as stream:
        while stream.peek():
            yield pickle.load(stream)


class Recorder:
    """Records every change below a folder, with the data, for History to replay."""

    def __init__(self, root: str, log: str) -> None:
        self._root, self._log = root, Path(log).open("wb")  # noqa: SIM115 - until the process ends
        self._names: dict[int, str] = {}
        for name in ("open", "write", "posix_fallocate", "fsync", "mkdir", "rename", "replace", "unlink", "remove", "rmdir"):
            setattr(os, name, self._recorded(name, getattr(os, name)))

    def _recorded(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            path = self._path(args[0], options.get("dir_fd"))
            is_new = not os.path.lexists(path)
            result = real(*args, **options)
            if name == "open":
                self._names[result] = path
            if path.startswith(self._root):
                self._note(name, path, args, is_new=is_new, result=result)
            return result

        return call

    def _path(self, target: Any, folder: int | None) -> str:
        if isinstance(target, int):
            return self._names.get(target, "")
        return str(
            Path(self._names[folder], os.fsdecode(target)) if folder is not None else Path(os.fsdecode(target)).absolute()
        )

    def _note(self, name: str, path: str, args: tuple[Any, ...], *, is_new: bool, result: Any) -> None:
        if name == "open":
            if is_new:
                self._take_snapshot("create", path)
            elif args[1] & os.O_TRUNC:
                self._take_snapshot("truncate", path)
        elif name == "write":
            self._take_snapshot("write", path, bytes(args[1][:result]))
        elif name == "posix_fallocate":
            self._take_snapshot("reserve", path, args[2])
        elif name in {"rename", "replace"}:
            self._take_snapshot("rename", path, str(Path(os.fsdecode(args[1])).absolute()))
        else:
            self._take_snapshot({"remove": "unlink"}.get(name, name), path)

    def _take_snapshot(self, *op: object) -> None:
        pickle.dump(op, self._log)
        self._log.flush()


def record(root_and_log: list[str]) -> None:
    """Record what this process changes below a folder."""
    Recorder(*root_and_log)
