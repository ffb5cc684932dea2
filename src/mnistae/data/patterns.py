"""References to several image files: a folder, or a glob pattern that no shell has expanded."""

import glob
import itertools
import os
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

from mnistae.core.errors import DataError
from mnistae.data.images import files

MAX_FILES = 100_000


def is_multiple(text: str) -> bool:
    """Whether a path is a folder, or a pattern (*, ?, [a-z]) and not the literal name of an existing file."""
    return _is_folder(text) or (glob.has_magic(text) and not os.path.lexists(text))


def find(text: str) -> tuple[list[str], str]:
    """Return the files that a folder or a pattern matches, in natural sort order, and what else is in the folder.

    A folder matches the visible files in it with the suffix of an image, without those in subfolders; a pattern matches
    every file that it matches in a shell, but not those that an operating system has added. Raises DataError if there are
    none or too many.
    """
    if _is_folder(text):
        found, others = files.find(text, recursive=False)
        if not found:
            hint = f"looked for {', '.join(sorted(files.SUFFIXES))}, not in subfolders"
            raise DataError(f"no images in '{text}'", hint=f"found {others}; {hint}" if others else hint)
    else:
        paths = glob.iglob(text)  # noqa: PTH207 - Path.glob drops the "./" of "./a"
        own = (path for path in paths if not _is_folder(path) and files.SYSTEM.isdisjoint(Path(path.lower()).parts))
        found, others = list(itertools.islice(own, MAX_FILES + 1)), ""
        if not found:
            raise DataError(f"no files match '{text}'", hint="give existing files, or a folder of images")
    if len(found) > MAX_FILES:
        raise DataError(f"'{text}' matches more than {MAX_FILES:,} files", hint="split the input, e.g. 'scans/1*.png'")
    return sorted(found, key=_natural_key), others


def matches(text: str, path: Path) -> bool:
    """Whether a file at `path`, there or not yet, is one of those that a folder or a pattern matches."""
    if _is_folder(text):
        return files.is_image(path.name) and path.parent.exists() and path.parent.samefile(text)
    head, tail = os.path.split(text)
    folders = filter(_is_folder, glob.iglob(head or os.curdir))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return fnmatch(path.name, tail) and any(path.parent.exists() and path.parent.samefile(folder) for folder in folders)


def _is_folder(text: str) -> bool:
    return os.path.isdir(text)  # noqa: PTH112 - Path's raises for a name too long


def _natural_key(path: str) -> tuple[list[list[tuple[int, str]]], str]:
    """Return a key that sorts folder by folder, digits before letters, and numbers by their size."""
    place, key = Path(path), []
    for part in (*place.parent.parts, place.stem):
        pieces = []
        for piece in re.findall(r"\d+|\D+", part):
            number = piece.lstrip("0")
            pieces.append((len(number), number) if piece.isdecimal() else (sys.maxsize, piece.casefold()))
        key.append(pieces)
    return key, path
