"""A data set in use: its arrays by split, served from the cache where that is sound, made anew where it is not."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from mnistae.core import paths
from mnistae.core.arrays import Bytes
from mnistae.core.errors import DataError
from mnistae.data.sets import cache

Arrays = dict[str, Bytes]
"""By "train_images", "train_labels", "test_images", "test_labels"; images (N, 784), labels (N,). A split may be missing."""


Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is done, and of how much if that is known."""


def no_progress(what: str, done: int, total: int | None) -> None:
    """Take progress and show nothing."""


T = TypeVar("T")


class Split(StrEnum):
    """The two halves of a data set."""

    TRAIN = "train"
    TEST = "test"


@dataclass(frozen=True)
class DatasetSpec:
    """Where arrays come from. `fingerprint` is JSON that changes whenever the files behind `build` do."""

    name: str
    location: str
    fingerprint: Any
    build: Callable[[], Arrays]


class Dataset:
    """The arrays of one source. Small questions read a block of the cache, large ones all of it, both verified."""

    def __init__(self, source: DatasetSpec) -> None:
        self.name = source.name
        self.location = source.location
        self._source = source
        self._arrays: Arrays | None = None
        self._file: cache.CacheFile | None = None

    @property
    def digest(self) -> str:
        """SHA-256 that stands for the content of all arrays."""
        return self._ask(lambda file: file.digest, cache.digest)

    def reload(self) -> None:
        """Read the source again, whatever the cache holds. Raises DataError."""
        self._arrays = self._source.build()

    def has(self, split: Split) -> bool:
        """Whether the data set has this split."""
        return bool(self._ask(lambda file: f"{split}_images" in file.shapes, lambda arrays: f"{split}_images" in arrays))

    def length(self, split: Split) -> int:
        """Return the number of images. Raises DataError if the data set has no such split."""
        key = f"{split}_images"
        try:
            return self._ask(lambda file: file.length(key), lambda arrays: len(arrays[key]))
        except KeyError:
            raise DataError(
                f"the data set '{self.name}' has no {split} split", hint="use the other one: --split train, train:N"
            ) from None

    def images(self, split: Split) -> Bytes:
        """Return all images (N, 784) of a split as bytes."""
        return self._rows(f"{split}_images", 0, self.length(split))

    def labels(self, split: Split) -> Bytes:
        """Return all labels (N,) of a split; NO_LABEL where there is none."""
        return self._rows(f"{split}_labels", 0, self.length(split))

    def block(self, split: Split, start: int, stop: int) -> tuple[Bytes, Bytes]:
        """Return images (B, 784) and labels (B,) from `start` up to `stop` or the end; no more than they are is read."""
        stop = min(stop, self.length(split))
        return self._rows(f"{split}_images", start, stop), self._rows(f"{split}_labels", start, stop)

    def image(self, split: Split, index: int) -> Bytes:
        """Return one image (784,) as bytes."""
        image: Bytes = self._rows(f"{split}_images", index, index + 1)[0]
        return image

    def _rows(self, key: str, start: int, stop: int) -> Bytes:
        rows: Bytes = self._ask(lambda file: file.rows(key, start, stop), lambda arrays: arrays[key][start:stop])
        return rows

    def _ask(self, of_file: Callable[[cache.CacheFile], T], of_arrays: Callable[[Arrays], T]) -> T:
        """Answer from the cache file; if there is none, or it is damaged, from the source, and write the cache again."""
        if self._arrays is None:
            try:
                self._file = self._file or cache.CacheFile.open(self._cache_path, self._source.fingerprint)
                return of_file(self._file)
            except cache.StaleCacheError:
                self._arrays = self._source.build()
                cache.write(self._cache_path, self._source.fingerprint, self._arrays)
        return of_arrays(self._arrays)

    @property
    def _cache_path(self) -> Path:
        place = hashlib.sha256(self.location.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return paths.cache_dir() / f"{place}.safetensors"
