"""Data sets in a folder of images, with or without train/ and test/."""

from pathlib import Path

import numpy as np

from mnistae.core.arrays import NO_LABEL, to_bytes
from mnistae.core.errors import DataError
from mnistae.data.images import decode, files
from mnistae.data.sets.dataset import Arrays, Content
from mnistae.data.sets.tables import with_labels

SUFFIXES = files.SUFFIXES


def members(path: Path) -> list[Path]:
    """Return the images of the folder `path`, in a fixed order. Raises DataError."""
    found = [Path(file) for file in files.find(str(path), recursive=True).images]
    if not found:
        raise DataError(f"no images in '{path}'", hint=f"supported extensions: {', '.join(sorted(SUFFIXES))}")
    return found


def read(path: Path) -> Content:
    """Return the data set in the folder `path`. Raises DataError."""
    found = members(path)
    arrays: Arrays = {}
    splits = {split: [file for file in found if file.relative_to(path).parts[0] == split] for split in ("train", "test")}
    if not splits["train"]:
        splits = {"train": found}
    for split, own in splits.items():
        if own:
            images = np.concatenate([to_bytes(decode.read_path(file).images[:1]) for file in own])
            arrays |= with_labels(split, images, [_label(file) for file in own])
    return Content(arrays)


def _label(file: Path) -> int:
    """Return the digit that the file's folder is named after, as in train/7/a.png."""
    name = file.parent.name
    return int(name) if name in set("0123456789") else NO_LABEL
