"""The IMAGE words of the command line: what they mean, and the pictures behind them."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from io import BufferedReader
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, to_float
from mnistae.core.config import PIXELS
from mnistae.core.errors import DataError, UsageError
from mnistae.data import patterns
from mnistae.data.images import decode
from mnistae.data.sets import custom
from mnistae.data.sets.dataset import Dataset, Split

SUFFIXES = {*custom.SUFFIXES, ".npy"}
"""What the names of pictures and of arrays of them end in."""

SYNTAX = "N, train:N, test:N, digit:D, digit:D/K, a picture's path, a folder, a pattern, or - for standard input"


class Kind(Enum):
    """What a word points at."""

    INDEX = auto()
    DIGIT = auto()
    FILE = auto()
    FILES = auto()
    STDIN = auto()


_OF_DATASET = {Kind.INDEX, Kind.DIGIT}


@dataclass(frozen=True)
class ImageRef:
    """An IMAGE word, understood. `number` is the index, or K of digit:D/K."""

    text: str
    kind: Kind
    split: Split = Split.TRAIN
    number: int = 0
    digit: int = 0


@dataclass(frozen=True)
class InputImage:
    """One image (784,) in [0, 1] with the word it came from, its label if it has one, and what was done to it."""

    word: str
    pixels: NDArray[np.float32]
    label: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SkippedImage:
    """A word, or one of the files that it means, that gave no picture, and why."""

    word: str
    error: DataError


def parse(text: str) -> ImageRef:
    """Return the meaning of an IMAGE word. Whether the image is there is not looked at. Raises UsageError."""
    if text == "-":
        return ImageRef(text, Kind.STDIN)
    if match := re.fullmatch(r"(?:(train|test):)?([0-9]+)", text, re.ASCII):
        return ImageRef(text, Kind.INDEX, Split(match[1] or "train"), _number(text, match[2]))
    if match := re.fullmatch(r"digit:([0-9])(?:/([0-9]+))?", text, re.ASCII):
        return ImageRef(text, Kind.DIGIT, digit=int(match[1]), number=_number(text, match[2] or "0"))
    if _looks_like_a_path(text):
        return ImageRef(text, Kind.FILES if patterns.is_multiple(text) else Kind.FILE)
    raise UsageError(f"not an image: '{text}'", hint=f"an image is {SYNTAX}")


def load(
    words: Sequence[ImageRef], open_dataset: Callable[[], Dataset], *, raw: bool = False
) -> Iterator[InputImage | SkippedImage]:
    """Yield the pictures that the words mean as they are read, in order, and in their places the files that give none.

    A folder or a pattern gives a picture a file, an array of n images n pictures. The data set is opened only if a word
    needs it, and its images are found before any file is read; `raw` leaves picture files as they are.
    Raises UsageError, and DataError for the data set.
    """
    _check_stdin(words)
    dataset = open_dataset() if needs_dataset(words) else None
    places = {word: _place(word, dataset) for word in words if dataset is not None and word.kind in _OF_DATASET}
    for word in words:
        if dataset is not None and word in places:
            yield _from_dataset(word, dataset, places[word])
        else:
            yield from _from_files(word, raw=raw)


def needs_dataset(words: Sequence[ImageRef]) -> bool:
    """Whether any of the words means an image of the data set."""
    return any(word.kind in _OF_DATASET for word in words)


def matches(word: ImageRef, path: Path) -> bool:
    """Whether a file at `path`, there or not yet, is one of the several that a word means."""
    return word.kind is Kind.FILES and patterns.covers(word.text, path)


def open_stdin() -> BufferedReader:
    """Return stdin as a stream of bytes. Raises DataError if it is closed, UsageError if it is a terminal."""
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("stdin is closed", hint="pipe data in, or name a file instead of '-'")
    if sys.stdin.isatty():
        raise UsageError("no input: stdin is a terminal", hint="pipe data in, or name a file instead of '-'")
    return cast(BufferedReader, sys.stdin.buffer)  # it is one, unless the stream has been replaced


def stack(pictures: Sequence[InputImage]) -> NDArray[np.float32]:
    """Return the images (B, 784) of the pictures."""
    return np.stack([picture.pixels for picture in pictures])


def _place(word: ImageRef, dataset: Dataset) -> int:
    """Return the index of an image in its split. Raises UsageError."""
    index = word.number if word.kind is Kind.INDEX else _nth_of_digit(word, dataset)
    length = dataset.length(word.split)
    if index >= length:
        raise UsageError(
            f"there is no image '{word.text}' in {dataset.name}", hint=f"{word.split} images go from 0 to {length - 1}"
        )
    return index


def _from_dataset(word: ImageRef, dataset: Dataset, index: int) -> InputImage:
    label = int(dataset.labels(word.split)[index])
    pixels = to_float(dataset.image(word.split, index))
    return InputImage(word.text, pixels, None if label == NO_LABEL else label)


def _nth_of_digit(word: ImageRef, dataset: Dataset) -> int:
    places = np.flatnonzero(dataset.labels(word.split) == word.digit)
    if word.number >= len(places):
        raise UsageError(
            f"there is no image '{word.text}' in {dataset.name}",
            hint=f"it has {len(places)} training images of digit {word.digit}, counted from 0",
        )
    return int(places[word.number])


def _from_files(word: ImageRef, *, raw: bool) -> Iterator[InputImage | SkippedImage]:
    try:
        paths = patterns.files(word.text) if word.kind is Kind.FILES else [word.text]
    except DataError as error:
        yield SkippedImage(word.text, error)
        return
    for path in paths:
        try:
            yield from _from_file(path, is_stdin=word.kind is Kind.STDIN, raw=raw)
        except DataError as error:
            yield SkippedImage(path, error)


def _from_file(path: str, *, is_stdin: bool, raw: bool) -> Iterator[InputImage]:
    done = 0
    with contextlib.nullcontext(open_stdin()) if is_stdin else decode.open_path(Path(path)) as stream:
        for found, count in decode.read_stream(stream, name=decode.STDIN if is_stdin else path, raw=raw):
            for row in found.images.reshape(-1, PIXELS):
                yield InputImage(path if count == 1 else f"{path}[{done}]", row, None, found.notes)
                done += 1


def _check_stdin(words: Sequence[ImageRef]) -> None:
    count = sum(word.kind is Kind.STDIN for word in words)
    if count > 1:
        raise UsageError("'-' given more than once", hint="stdin can be read only once")
    if count:
        with contextlib.suppress(DataError):  # a closed stdin is reported in its place among the images
            open_stdin()


def _number(text: str, digits: str) -> int:
    if len(digits) > 18:  # past every data set, and past what int() takes without complaint
        raise UsageError(f"there is no image '{text}'", hint=f"an image is {SYNTAX}")
    return int(digits)


def _looks_like_a_path(text: str) -> bool:
    if os.path.lexists(text):
        return True
    is_misspelt = text.startswith(("train:", "test:", "digit:"))  # digit:3/x is no path, in spite of its slash
    if is_misspelt:
        return False
    return os.sep in text or Path(text).suffix.lower() in SUFFIXES or patterns.is_multiple(text)
