"""Words that mean several picture files: a folder, or a pattern that no shell has expanded."""

import glob
import itertools
import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from mnistae.core.errors import DataError
from mnistae.data.sets.custom import SUFFIXES

MAX_FILES = 100_000


def is_multiple(text: str) -> bool:
    """Whether a path is a folder, or a pattern (*, ?, [a-z]) and not the very name of a file."""
    return _is_folder(text) or (glob.has_magic(text) and not os.path.lexists(text))


def files(text: str) -> list[str]:
    """Return the paths that a folder or a pattern means, a2 before a10. Raises DataError if there are none, or too many.

    A folder means the pictures in it by their suffix, but for hidden ones, and no folder below; a pattern means
    every file that it means in a shell.
    """
    found = list(itertools.islice(_pictures(text) if _is_folder(text) else _matches(text), MAX_FILES + 1))
    if not found and _is_folder(text):
        raise DataError(f"no pictures in the folder '{text}'", hint=f"these count: {', '.join(sorted(SUFFIXES))}")
    if not found:
        raise DataError(f"nothing matches '{text}'", hint="name files that exist, or a folder of pictures")
    if len(found) > MAX_FILES:
        raise DataError(f"'{text}' means more than {MAX_FILES:,} pictures", hint="take them in parts, such as 'scans/1*.png'")
    return sorted(found, key=_natural_key)


def covers(text: str, path: Path) -> bool:
    """Whether a file at `path`, there or not yet, is one of those that a folder or a pattern means."""
    if _is_folder(text):
        return _is_picture(path.name) and _is_same(path.parent, text)
    head, tail = os.path.split(text)
    folders = glob.iglob(head or os.curdir)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return fnmatch(path.name, tail) and any(_is_same(path.parent, folder) for folder in folders)


def _is_folder(text: str) -> bool:
    return os.path.isdir(text)  # noqa: PTH112 - Path's raises for a name too long


def _is_same(folder: Path, other: str) -> bool:
    return folder.exists() and folder.samefile(other)


def _pictures(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.path for entry in entries if _is_picture(entry.name) and not entry.is_dir())
    except OSError as error:
        raise DataError(f"cannot look into the folder '{folder}': {error.strerror}", hint="name another one") from error


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _matches(pattern: str) -> Iterator[str]:
    return (path for path in glob.iglob(pattern) if not _is_folder(path))  # noqa: PTH207 - nor keeps it the "./" of "./a"


def _natural_key(path: str) -> tuple[list[list[tuple[int, str]]], str]:
    """Return a key that sorts folder by folder, digits before letters, and numbers by their size."""
    place = Path(path)
    return [_pieces(part) for part in (*place.parent.parts, place.stem)], path


def _pieces(name: str) -> list[tuple[int, str]]:
    groups = ((is_number, "".join(group)) for is_number, group in itertools.groupby(name, str.isdecimal))
    return [
        (len(text.lstrip("0")), text.lstrip("0")) if is_number else (sys.maxsize, text.casefold()) for is_number, text in groups
    ]
