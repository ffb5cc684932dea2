"""Which files of a folder are images: one traversal for image folders and data sets; hidden and system files are skipped."""

import os
from collections import Counter
from typing import NoReturn

from mnistae.core.errors import DataError

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".pnm", ".webp", ".gif", ".tif", ".tiff", ".avif")  # lower case
)
MAX_FILES = 1_000_000
MAX_DEPTH = 100  # of folders; the traversal is recursive in Python 3.11

SYSTEM = {"__macosx", "thumbs.db", "desktop.ini"}
"""Names of files and folders that operating systems add, in lower case."""


def is_image(name: str) -> bool:
    """Whether a file of this name is an image by its suffix, and not hidden."""
    return _is_visible(name) and _suffix(name) in SUFFIXES


def find(folder: str, *, recursive: bool) -> tuple[list[str], str]:
    """Return the visible files in `folder`, and in its subfolders if `recursive`. Raises DataError.

    They are the paths of images, sorted by folder and name, and the others as text: '3 .heic, 1 .txt'. Linked folders are
    followed, each folder once.
    """
    images: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        try:
            stat = os.stat(place)  # noqa: PTH116 - paths are text here, because a Path costs more than reading the entry
        except OSError as error:  # it has been removed meanwhile
            _refuse(error)
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        if place[len(folder) :].count(os.sep) > MAX_DEPTH:
            raise DataError(f"more than {MAX_DEPTH} nested folders in '{folder}'", hint="give one of the folders in it")
        folders[:] = sorted(filter(_is_visible, folders)) if recursive else []
        for name in sorted(filter(_is_visible, names)):
            if _suffix(name) in SUFFIXES:
                images.append(os.path.join(place, name))  # noqa: PTH118
            else:
                others[_suffix(name)] += 1
            if len(images) + others.total() > MAX_FILES:
                raise DataError(f"more than {MAX_FILES:,} files in '{folder}'", hint="give a smaller folder")
    skipped = (f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common())
    return images, ", ".join(skipped)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"cannot read folder '{error.filename}': {error.strerror}", hint="check its permissions") from error


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in SYSTEM


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122
