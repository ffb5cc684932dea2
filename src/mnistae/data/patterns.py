"""References to several image files: a folder, or a glob pattern that no shell has expanded."""

import glob
import itertools
import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from mnistae.core.errors import DataError
from mnistae.data.images.files import SUFFIXES, is_image

MAX_FILES = 100_000


def is_multiple(text: str) -> bool:
    """Whether a path is a folder, or a pattern (*, ?, [a-z]) and not the literal name of an existing file."""
    return _is_folder(text) or (glob.has_magic(text) and not os.path.lexists(text))


def files(text: str) -> list[str]:
    """Return the files that a folder or a pattern matches, in natural sort order. Raises DataError if none or too many.

    A folder matches the files in it with the suffix of an image, except hidden ones and subfolders; a pattern matches
    every file that it matches in a shell.
    """
    found = list(itertools.islice(_images(text) if _is_folder(text) else _glob(text), MAX_FILES + 1))
    if not found and _is_folder(text):
        raise DataError(f"no images in '{text}'", hint=f"supported extensions: {', '.join(sorted(SUFFIXES))}")
    if not found:
        raise DataError(f"no files match '{text}'", hint="give existing files, or a folder of images")
    if len(found) > MAX_FILES:
        raise DataError(f"'{text}' matches more than {MAX_FILES:,} files", hint="split the input, e.g. 'scans/1*.png'")
    return sorted(found, key=_natural_key)


def matches(text: str, path: Path) -> bool:
    """Whether a file at `path`, there or not yet, is one of those that a folder or a pattern matches."""
    if _is_folder(text):
        return is_image(path.name) and _is_same(path.parent, text)
    head, tail = os.path.split(text)
    folders = glob.iglob(head or os.curdir)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return fnmatch(path.name, tail) and any(_is_same(path.parent, folder) for folder in folders)


def _is_folder(text: str) -> bool:
    return os.path.isdir(text)  # noqa: PTH112 - Path's raises for a name too long


def _is_same(folder: Path, other: str) -> bool:
    return folder.exists() and folder.samefile(other)


def _images(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.path for entry in entries if is_image(entry.name) and not entry.is_dir())
    except OSError as error:
        raise DataError(f"cannot read directory '{folder}': {error.strerror}", hint="check its permissions") from error


def _glob(pattern: str) -> Iterator[str]:
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
