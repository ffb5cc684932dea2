"""The IMAGE words of the command line: what they mean, and the pictures behind them."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistae.config import PIXELS
from mnistae.datasets import image_files
from mnistae.datasets.dataset import NO_LABEL, Dataset, Split, to_float
from mnistae.datasets.files import SUFFIXES
from mnistae.errors import DataError, UsageError

FORMS = "N, train:N, test:N, digit:D, digit:D/K, a picture's path, or - for standard input"


class Kind(Enum):
    """What a word points at."""

    INDEX = auto()
    DIGIT = auto()
    FILE = auto()
    STDIN = auto()


@dataclass(frozen=True)
class Word:
    """An IMAGE word, understood. `number` is the index, or K of digit:D/K."""

    text: str
    kind: Kind
    split: Split = Split.TRAIN
    number: int = 0
    digit: int = 0


@dataclass(frozen=True)
class Picture:
    """One image (784,) in [0, 1] with the word it came from, its label if it has one, and what was done to it."""

    word: str
    pixels: NDArray[np.float32]
    label: int | None
    notes: tuple[str, ...] = ()


def parse(text: str) -> Word:
    """Return the meaning of an IMAGE word. Whether the image is there is not looked at. Raises UsageError."""
    if text == "-":
        return Word(text, Kind.STDIN)
    if match := re.fullmatch(r"(?:(train|test):)?([0-9]+)", text, re.ASCII):
        return Word(text, Kind.INDEX, Split(match[1] or "train"), _number(text, match[2]))
    if match := re.fullmatch(r"digit:([0-9])(?:/([0-9]+))?", text, re.ASCII):
        return Word(text, Kind.DIGIT, digit=int(match[1]), number=_number(text, match[2] or "0"))
    if _looks_like_a_path(text):
        return Word(text, Kind.FILE)
    raise UsageError(f"not an image: '{text}'", hint=f"an image is {FORMS}")


def resolve(words: Sequence[Word], open_dataset: Callable[[], Dataset], *, raw: bool = False) -> list[Picture]:
    """Return the pictures that the words mean, in order. An array of n images gives n pictures.

    The data set is opened only if a word needs it; `raw` leaves picture files as they are. Raises UsageError, DataError.
    """
    if sum(word.kind is Kind.STDIN for word in words) > 1:
        raise UsageError("'-' stands more than once", hint="standard input can be read only once")
    dataset = open_dataset() if any(word.kind in {Kind.INDEX, Kind.DIGIT} for word in words) else None
    pictures: list[Picture] = []
    for word in words:
        if dataset is not None and word.kind in {Kind.INDEX, Kind.DIGIT}:
            pictures.append(_from_dataset(word, dataset))
        else:
            pictures += _from_file(word, raw=raw)
    return pictures


def stack(pictures: Sequence[Picture]) -> NDArray[np.float32]:
    """Return the images (B, 784) of the pictures."""
    return np.stack([picture.pixels for picture in pictures])


def _from_dataset(word: Word, dataset: Dataset) -> Picture:
    index = word.number if word.kind is Kind.INDEX else _nth_of_digit(word, dataset)
    length = dataset.length(word.split)
    if index >= length:
        raise UsageError(
            f"there is no image '{word.text}' in {dataset.name}", hint=f"{word.split} images go from 0 to {length - 1}"
        )
    label = int(dataset.labels(word.split)[index])
    pixels = to_float(dataset.image(word.split, index))
    return Picture(word.text, pixels, None if label == NO_LABEL else label)


def _nth_of_digit(word: Word, dataset: Dataset) -> int:
    places = np.flatnonzero(dataset.labels(word.split) == word.digit)
    if word.number >= len(places):
        raise UsageError(
            f"there is no image '{word.text}' in {dataset.name}",
            hint=f"it has {len(places)} training images of digit {word.digit}, counted from 0",
        )
    return int(places[word.number])


def _from_file(word: Word, *, raw: bool) -> list[Picture]:
    if word.kind is Kind.STDIN:
        pictures = image_files.read_bytes(_read_stdin(), name="standard input", raw=raw)
    else:
        pictures = image_files.read_path(Path(word.text), raw=raw)
    rows = pictures.images.reshape(-1, PIXELS)
    names = [word.text] if len(rows) == 1 else [f"{word.text}[{k}]" for k in range(len(rows))]
    return [Picture(name, row, None, pictures.notes) for name, row in zip(names, rows, strict=True)]


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("standard input is closed", hint="pipe a picture in, or name its path in place of '-'")
    if sys.stdin.isatty():
        raise UsageError("'-' reads a picture from standard input, which is a terminal", hint="pipe a picture in")
    try:
        data = sys.stdin.buffer.read(image_files.MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read standard input: {error}", hint="name the picture's path in place of '-'") from error
    if not data:
        raise DataError("standard input is empty", hint="pipe a picture in, or name its path in place of '-'")
    return data


def _number(text: str, digits: str) -> int:
    if len(digits) > 18:  # past every data set, and past what int() takes without complaint
        raise UsageError(f"there is no image '{text}'", hint=f"an image is {FORMS}")
    return int(digits)


def _looks_like_a_path(text: str) -> bool:
    if os.path.lexists(text):
        return True
    is_misspelt = text.startswith(("train:", "test:", "digit:"))  # digit:3/x is no path, in spite of its slash
    return not is_misspelt and (os.sep in text or Path(text).suffix.lower() in {*SUFFIXES, ".npy"})
