"""A data set in use: its arrays by split, read from the cache if that is valid, else built again from the source."""

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from mnistae.core import paths
from mnistae.core.arrays import Bytes
from mnistae.core.errors import DataError
from mnistae.data.sets import cache

Arrays = dict[str, Bytes]
"""By "train_images", "train_labels", "test_images", "test_labels"; images (N, 784), labels (N,). A split may be missing."""


@dataclass(frozen=True)
class Content:
    """What a source holds. `notes` say what it was taken for, and what was converted or left out.

    `classes` are the names of the labels 0, 1 and so on, if they have names.
    """

    arrays: Arrays
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays."""
        return {name: array.shape for name, array in self.arrays.items()}

    @property
    def digest(self) -> str:
        """The digest of the arrays, the same as that of their cache file."""
        return cache.digest(self.arrays)

    def rows(self, name: str, start: int, stop: int) -> Bytes:
        """Return rows [start, stop) of an array."""
        return self.arrays[name][start:stop]


Progress = Callable[[str, int, int | None], None]
"""Called with the name of the work, how much of it is done, and the total if that is known."""


def no_progress(what: str, done: int, total: int | None) -> None:
    """Show nothing."""


T = TypeVar("T")


class Split(StrEnum):
    """The two halves of a data set."""

    TRAIN = "train"
    TEST = "test"

    @property
    def text(self) -> str:
        """The split as a word before 'images'."""
        return "training" if self is Split.TRAIN else "test"


SPLIT_WORDS = (
    r"(?i:(?P<train>training|trainval|train|trn)|(?P<test>testing|test|tst|t10k|evaluation|eval)"
    r"|(?P<validation>validation|validate|valid|val|dev))"
)
_MENTION = re.compile(
    rf"(?:(?<![a-zA-Z])|(?<=[a-z])(?=[A-Z])){SPLIT_WORDS}(?![a-z])"
    "(?!(?<=[A-Z])(?!X|Y|DATA|SET|IMAGE|IMG|LABEL|MNIST)[A-Z])"  # TESTX, but not TESTED
)


def mentions(name: str, *, ignored: Collection[str] = ()) -> set[str]:
    """Return which of train, test and validation the name of a file or folder mentions, as '01_train' and 'testX' do.

    Words that are `ignored`, in lower case, do not count.
    """
    return {str(match.lastgroup) for match in _MENTION.finditer(name) if match[0].lower() not in ignored}


@dataclass(eq=False)
class Dataset:
    """The arrays of one source. Single images read one block of the cache, whole splits read all of it, both verified.

    `fingerprint` is JSON that changes whenever the files behind `build` do; `how_found` has notes on how they were found.
    """

    name: str
    location: str
    fingerprint: Any
    build: Callable[[], Content]
    how_found: tuple[str, ...] = ()
    _memory: Content | None = None
    _file: cache.CacheFile | None = None
    _whole: dict[Split, Bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the content of all arrays."""
        return self._ask(lambda store: store.digest)

    @property
    def classes(self) -> Sequence[str]:
        """The names of the labels 0, 1 and so on; empty if they have none."""
        return self._ask(lambda store: store.classes)

    def class_name(self, label: int) -> str | None:
        """Return the name of a label, or None if it has none."""
        return self.classes[label] if label < len(self.classes) else None

    @property
    def notes(self) -> Sequence[str]:
        """What the source was taken for, and what was converted or left out, a line each."""
        return (*self.how_found, *self._ask(lambda store: store.notes))

    def reload(self) -> None:
        """Read the source again, ignoring the cache. Raises DataError."""
        self._memory = self.build()
        self._whole.clear()

    def has(self, split: Split) -> bool:
        """Whether the data set has this split."""
        return self._ask(lambda store: f"{split}_images" in store.shapes)

    def length(self, split: Split) -> int:
        """Return the number of images. Raises DataError if the data set has no such split."""
        if not self.has(split):
            other = Split.TRAIN if split is Split.TEST else Split.TEST
            hint = f"use --split {other} or {other}:N" + ("; training needs training images" if other is Split.TEST else "")
            raise DataError(f"data set '{self.name}' has no {split} split", hint=hint)
        return self._ask(lambda store: store.shapes[f"{split}_images"][0])

    def images(self, split: Split) -> Bytes:
        """Return all images (N, 784) of a split as bytes, which are read and verified once."""
        if split not in self._whole:
            self._whole[split] = self._rows(f"{split}_images", 0, self.length(split))
        return self._whole[split]

    def labels(self, split: Split) -> Bytes:
        """Return all labels (N,) of a split; NO_LABEL where there is none."""
        return self._rows(f"{split}_labels", 0, self.length(split))

    def block(self, split: Split, start: int, stop: int) -> tuple[Bytes, Bytes]:
        """Return images (B, 784) and labels (B,) from `start` up to `stop` or the end, reading no others."""
        stop = min(stop, self.length(split))
        return self._rows(f"{split}_images", start, stop), self._rows(f"{split}_labels", start, stop)

    def image(self, split: Split, index: int) -> Bytes:
        """Return one image (784,) as bytes."""
        image: Bytes = self._rows(f"{split}_images", index, index + 1)[0]
        return image

    def _rows(self, key: str, start: int, stop: int) -> Bytes:
        return self._ask(lambda store: store.rows(key, start, stop))

    def _ask(self, question: Callable[[Content | cache.CacheFile], T]) -> T:
        """Answer from the cache file; if it is missing or damaged, from the source, and write the cache again."""
        if self._memory is None:
            try:
                self._file = self._file or cache.CacheFile.open(self._cache_path, self.fingerprint)
                return question(self._file)
            except cache.StaleCacheError:
                self._memory = content = self.build()
                cache.write(self._cache_path, self.fingerprint, content.arrays, content.classes, content.notes)
        return question(self._memory)

    @property
    def _cache_path(self) -> Path:
        place = hashlib.sha256(self.location.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return paths.cache_dir() / f"{place}.safetensors"
