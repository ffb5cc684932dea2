"""Image references of the command line: parsed, and loaded as images."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Indices, to_float
from mnistae.core.config import PIXELS
from mnistae.core.errors import DataError, UsageError
from mnistae.data import patterns
from mnistae.data.images import decode, files
from mnistae.data.sets.dataset import Dataset, Split

SUFFIXES = {*files.SUFFIXES, ".npy"}
"""File name extensions of images and of arrays of images."""

STDIN = "-"

SYNTAX = "N, train:N, test:N, digit:D, digit:D/K, an image file, a folder, a glob pattern, or - for stdin"

OF_DATASET = re.compile(r"(?:(train|test):)?([0-9]+)|digit:([0-9])(?:/([0-9]+))?", re.ASCII)


@dataclass(frozen=True)
class ImageRef:
    """A parsed image reference. `number` is the index in the split, or K of digit:D/K; None for stdin and files.

    `is_multiple`: a folder or a pattern.
    """

    text: str
    split: Split = Split.TRAIN
    number: int | None = None
    digit: int | None = None
    is_multiple: bool = False


@dataclass(frozen=True)
class InputImage:
    """One image (784,) in [0, 1] with its source, its label and class if it has them, and the preprocessing steps."""

    name: str
    pixels: NDArray[np.float32]
    label: int | None
    notes: tuple[str, ...] = ()
    class_name: str | None = None


@dataclass(frozen=True)
class SkippedImage:
    """A reference, or one of its files, that could not be loaded, and why."""

    name: str
    error: DataError


def parse(text: str) -> ImageRef:
    """Parse an image reference, an index even if a file has this name; whether it exists is not checked. Raises UsageError."""
    if match := OF_DATASET.fullmatch(text):
        number = match[2] or match[4] or "0"
        if len(number) > 18:  # beyond every data set, and int() rejects very long numbers
            raise UsageError(f"index out of range: '{text}'", hint="; ".join((f"expected {SYNTAX}", *_not_read(text))))
        digit = int(match[3]) if match[3] else None
        return ImageRef(text, Split(match[1] or "train"), int(number), digit)
    if text == STDIN or _looks_like_a_path(text):
        return ImageRef(text, is_multiple=text != STDIN and patterns.is_multiple(text))
    raise UsageError(f"invalid image reference: '{text}'", hint=_correction(text))


def load(
    refs: Sequence[ImageRef], open_dataset: Callable[[], Dataset], *, raw: bool = False
) -> Iterator[InputImage | SkippedImage]:
    """Yield the images as they are read, in order, and in their places the files that could not be loaded.

    A folder or a pattern gives one image per file, an array of n images gives n. The data set is opened only if a
    reference needs it, and its indices are checked before any file is read; `raw` skips the preprocessing of image files.
    Raises UsageError, and DataError for the data set.
    """
    if [ref.text for ref in refs].count(STDIN) > 1:
        raise UsageError("'-' given more than once", hint="stdin can be read only once")
    if any(ref.text == STDIN for ref in refs):
        with contextlib.suppress(DataError):  # a closed stdin is reported in its place among the images
            open_stdin()
    dataset = open_dataset() if needs_dataset(refs) else None
    indices = {ref: _index(ref, ref.number, dataset) for ref in refs if dataset is not None and ref.number is not None}
    notes = {ref: _not_read(ref.text) for ref in indices}
    for ref in refs:
        if dataset is not None and ref in indices:
            label = int(dataset.labels(ref.split)[indices[ref]])
            pixels = to_float(dataset.image(ref.split, indices[ref]))
            known = None if label == NO_LABEL else label
            yield InputImage(ref.text, pixels, known, notes.pop(ref, ()), dataset.class_name(label))
        else:
            yield from _from_files(ref, raw=raw)


def needs_dataset(refs: Sequence[ImageRef]) -> bool:
    """Whether any of the references is to an image of the data set."""
    return any(ref.number is not None for ref in refs)


def matches(ref: ImageRef, path: Path) -> bool:
    """Whether a file at `path`, there or not yet, is one of the files that a reference to several matches."""
    return ref.is_multiple and patterns.matches(ref.text, path)


def open_stdin() -> BufferedReader:
    """Return stdin as a stream of bytes. Raises DataError if it is closed, UsageError if it is a terminal."""
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("stdin is closed", hint="pipe data in, or name a file instead of '-'")
    if sys.stdin.isatty():
        raise UsageError("no input: stdin is a terminal", hint="pipe data in, or name a file instead of '-'")
    return cast(BufferedReader, sys.stdin.buffer)  # it is one, unless the stream has been replaced


def stack(images: Sequence[InputImage]) -> NDArray[np.float32]:
    """Return the pixels (B, 784) of the images."""
    return np.stack([image.pixels for image in images])


def _index(ref: ImageRef, number: int, dataset: Dataset) -> int:
    """Return the index of an image in its split. Raises UsageError."""
    indices: Sequence[int] | Indices
    if ref.digit is None:
        indices = range(dataset.length(ref.split))
        found = f"{len(indices):,} {ref.split.text} images"
    else:
        indices = np.flatnonzero(dataset.labels(ref.split) == ref.digit)
        name = dataset.class_name(ref.digit)
        what = f"digit {ref.digit}" if name is None else f"label {ref.digit} ('{name}')"
        found = f"{len(indices):,} training images of {what}"
    if number >= len(indices):
        numbers = f" (0 to {len(indices) - 1})" if len(indices) else ""
        hint = "; ".join((f"{dataset.name} has {found}{numbers}", *_not_read(ref.text)))
        raise UsageError(f"index out of range: '{ref.text}'", hint=hint)
    return int(indices[number])


def _not_read(text: str) -> tuple[str, ...]:
    """Return the note that an image of the data set is meant, not the file or the folder of this name, if there is one."""
    if not os.path.exists(text):  # noqa: PTH110 - Path's raises for a name too long
        return ()
    kind = "folder" if os.path.isdir(text) else "file"  # noqa: PTH112
    return (f"read as an image of the data set, not from the {kind} './{text}'; for that, write ./{text}",)


def _from_files(ref: ImageRef, *, raw: bool) -> Iterator[InputImage | SkippedImage]:
    try:
        paths, others = patterns.find(ref.text) if ref.is_multiple else ([ref.text], "")
    except DataError as error:
        yield SkippedImage(ref.text, error)
        return
    notes = (f"skipped {others} in '{ref.text}'",) if others else ()
    for path in paths:
        try:
            for image in _from_file(path, notes, is_stdin=ref.text == STDIN, raw=raw):
                yield image
                notes = ()
        except DataError as error:
            yield SkippedImage(path, error)


def _from_file(path: str, notes: tuple[str, ...], *, is_stdin: bool, raw: bool) -> Iterator[InputImage]:
    """Yield the images of a file; `notes` are added to those of the first one."""
    done = 0
    with contextlib.nullcontext(open_stdin()) if is_stdin else decode.open_path(path) as stream:
        for images, count, steps in decode.read_stream(stream, name="stdin" if is_stdin else path, raw=raw):
            notes = steps + notes
            for row in images.reshape(-1, PIXELS):
                yield InputImage(path if count == 1 else f"{path}[{done}]", row, None, notes)
                notes = ()
                done += 1


def _correction(text: str) -> str:
    """Return the hint for an invalid reference."""
    tidy = re.sub(r"\s", "", text.lower())
    if tidy != text and OF_DATASET.fullmatch(tidy):
        return f"did you mean '{tidy}'?"
    if tidy.startswith("digit:"):
        return "in digit:D and digit:D/K, D is a digit from 0 to 9 and K counts from 0, for example digit:3/2"
    if tidy.startswith(("train:", "test:")) or re.fullmatch(r"[-+][0-9]+", tidy):
        return "in N, train:N and test:N, N counts from 0, for example test:7"
    return f"expected {SYNTAX}"


def _looks_like_a_path(text: str) -> bool:
    if os.path.lexists(text):
        return True
    if text.lower().lstrip().startswith(("train:", "test:", "digit:")):  # digit:3/x is no path, despite its slash
        return False
    return os.sep in text or Path(text).suffix.lower() in SUFFIXES or patterns.is_multiple(text)
