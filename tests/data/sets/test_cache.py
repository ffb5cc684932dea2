"""The cache gives what its source gave, or nothing: whatever happened to its file, the answers are the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import cache
from mnistae.data.sets.cache import BLOCK, CacheFile, StaleCacheError
from mnistae.data.sets.dataset import Arrays, Content, Dataset, DatasetSpec, Split

SOURCE = ["test", "checksum"]
ROWS = 3 * BLOCK - 100
"""Three blocks, the last of them shorter."""


def make(train: int, test: int) -> Arrays:
    """Return arrays of random bytes."""
    generator = np.random.default_rng(0)
    return {
        "train_images": generator.integers(0, 256, (train, 784), np.uint8),
        "train_labels": generator.integers(0, 10, train, np.uint8),
        "test_images": generator.integers(0, 256, (test, 784), np.uint8),
        "test_labels": generator.integers(0, 10, test, np.uint8),
    }


ARRAYS = make(ROWS, 40)
SMALL = make(2, 1)


class Counted:
    """A source that counts how often it is read."""

    def __init__(self, arrays: Arrays = ARRAYS) -> None:
        self.arrays = arrays
        self.reads = 0

    def dataset(self, fingerprint: object = SOURCE) -> Dataset:
        """Return the data set as another process would open it."""
        return Dataset(DatasetSpec("counted", "nowhere", fingerprint, self.read))

    def read(self) -> Content:
        """Return the arrays, with classes and notes."""
        self.reads += 1
        return Content(self.arrays, classes=("zero", "one"), notes=("600 train images",))


@pytest.fixture
def source() -> Counted:
    """A source that has been read once, so that its cache file is there."""
    counted = Counted()
    assert counted.dataset().length(Split.TRAIN) == ROWS
    return counted


@pytest.fixture
def file(home: Path, source: Counted) -> Path:
    """The cache file of `source`."""
    [path] = (home / "cache").iterdir()
    return path


def answers(dataset: Dataset) -> list[object]:
    """Return everything that a data set can be asked, arrays as bytes."""
    said: list[object] = [dataset.digest]
    for split in Split:
        images, labels = dataset.images(split), dataset.labels(split)
        said += [dataset.has(split), dataset.length(split), images.tobytes(), labels.tobytes(), images.shape]
        said += [dataset.image(split, index).tobytes() for index in (0, len(images) - 1)]
    return said


def expected(arrays: Arrays) -> list[object]:
    """Return the same from the arrays themselves."""
    said: list[object] = [cache.digest(arrays)]
    for split in Split:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        said += [True, len(images), images.tobytes(), labels.tobytes(), images.shape]
        said += [images[0].tobytes(), images[-1].tobytes()]
    return said


def flip(path: Path, at: int) -> None:
    """Change one bit of a file in place."""
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))


def flip_row(path: Path, name: str, row: int) -> None:
    """Change one bit in a row of an array in the cache file."""
    opened = CacheFile.open(path, SOURCE)
    start = int(opened.entries[name]["data_offsets"][0])
    flip(path, opened.data_start + start + row * int(np.prod(ARRAYS[name].shape[1:])))


def test_same_with_and_without(source: Counted, file: Path) -> None:
    """The cache answers every question as the source does, which is read once and no more."""
    assert answers(source.dataset()) == expected(ARRAYS)
    assert (source.dataset().classes, source.dataset().notes) == (("zero", "one"), ("600 train images",))
    assert source.reads == 1
    file.unlink()
    assert answers(source.dataset()) == expected(ARRAYS)
    assert source.reads == 2


@pytest.mark.parametrize(("damaged", "reads"), [(BLOCK - 1, 1), (BLOCK, 2), (2 * BLOCK - 1, 2), (2 * BLOCK, 1)])
def test_one_image_costs_one_block(source: Counted, file: Path, damaged: int, reads: int) -> None:
    """An image comes from its own block alone: what is damaged elsewhere does not matter to it, within it does."""
    flip_row(file, "train_images", damaged)
    image = source.dataset().image(Split.TRAIN, BLOCK + 7)
    np.testing.assert_array_equal(image, ARRAYS["train_images"][BLOCK + 7])
    assert source.reads == reads


@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_block(source: Counted, file: Path, name: str) -> None:
    """A flipped bit in any array sends the reader to the source, which mends the cache."""
    sound = file.read_bytes()
    flip_row(file, name, 39)
    assert answers(source.dataset()) == expected(ARRAYS)
    assert source.reads == 2
    assert file.read_bytes() == sound


def test_damaged_blocks(source: Counted, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the digests of the blocks, the flipped bit would be served."""
    flip_row(file, "train_images", 39)
    digests = CacheFile.open(file, SOURCE).digests["train_images"]
    monkeypatch.setattr(cache, "_block_digests", lambda _data, _width: digests[:1])
    assert not np.array_equal(source.dataset().image(Split.TRAIN, 39), ARRAYS["train_images"][39])
    assert source.reads == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda _data: b"",
        lambda data: data[:500],
        lambda data: data[:-1],
        lambda data: data[1:],
        lambda _data: b"<!doctype html><title>Log in</title>",
        *(
            lambda _data, header=header: len(header).to_bytes(8, "little") + header
            for header in (b"[]", b"{}", b'{"__metadata__": null}', b'{"__metadata__": {"mnistae": "[]"}}', b"[" * 100_000)
        ),
    ],
)
def test_unusable_file(source: Counted, file: Path, change: Callable[[bytes], bytes]) -> None:
    """A file that is cut or foreign is replaced without a message."""
    sound = file.read_bytes()
    file.write_bytes(change(sound))
    assert answers(source.dataset()) == expected(ARRAYS)
    assert source.reads == 2
    assert file.read_bytes() == sound


@pytest.mark.parametrize(("version", "fingerprint"), [(cache.VERSION + 1, SOURCE), (cache.VERSION, ["test", "new"])])
def test_other_cache(source: Counted, monkeypatch: pytest.MonkeyPatch, version: int, fingerprint: object) -> None:
    """A cache of another version, or of a source that has changed, is replaced: the source is read again, and once."""
    source.arrays = make(700, 50)
    monkeypatch.setattr(cache, "VERSION", version)
    for _ in range(2):
        assert answers(source.dataset(fingerprint)) == expected(source.arrays)
    assert source.reads == 2


def wrong_answers(home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Damage each byte of a small cache file's header in turn; return how many damages change an answer."""
    counted = Counted(SMALL)
    right = answers(counted.dataset())
    [path] = (home / "cache").iterdir()
    monkeypatch.setattr(cache, "write", lambda *_args: None)  # mending the file each time takes long
    wrong = 0
    for at in range(CacheFile.open(path, SOURCE).data_start):
        flip(path, at)
        try:
            wrong += answers(counted.dataset()) != right
        except (DataError, LookupError, ValueError):
            wrong += 1
        flip(path, at)
    return wrong


def test_every_byte_of_the_header(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No flipped bit in the header changes an answer."""
    assert wrong_answers(home, monkeypatch) == 0


def test_damaged_header(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the sum over the header, a flipped bit in a shape or a digest would."""
    real = cache._digest_of
    monkeypatch.setattr(cache, "_digest_of", lambda what: "" if "version" in what else real(what))
    assert wrong_answers(home, monkeypatch) > 0


def test_file_that_goes_away(source: Counted, file: Path) -> None:
    """A cache file removed or exchanged between two questions costs a reading of the source, no wrong answer."""
    dataset = source.dataset()
    assert dataset.length(Split.TRAIN) == ROWS
    file.unlink()
    np.testing.assert_array_equal(dataset.image(Split.TRAIN, 3), ARRAYS["train_images"][3])
    assert source.reads == 2
    dataset = source.dataset()
    assert dataset.length(Split.TRAIN) == ROWS
    cache.write(file, SOURCE, {name: array ^ np.uint8(1) for name, array in make(700, 50).items()})
    np.testing.assert_array_equal(dataset.image(Split.TRAIN, 3), ARRAYS["train_images"][3])
    assert source.reads == 3


def test_no_cache_folder(home: Path) -> None:
    """Where no cache can be written the data set works without, reading its source once a process."""
    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    counted = Counted()
    for reads in (1, 2):
        assert answers(counted.dataset()) == expected(ARRAYS)
        assert counted.reads == reads


@pytest.mark.parametrize(("name", "start"), [("train_images", ROWS - 1), ("nothing", 0)])
def test_missing_rows(file: Path, name: str, start: int) -> None:
    """Rows past the end, and missing arrays, make the cache unusable for that request, not wrong."""
    with pytest.raises(StaleCacheError):
        CacheFile.open(file, SOURCE).rows(name, start, start + 2)


def test_digest() -> None:
    """The digest tells contents apart by a single bit, and does not depend on the arrays' order."""
    changed = {name: array.copy() for name, array in SMALL.items()}
    assert cache.digest(dict(reversed(changed.items()))) == cache.digest(SMALL)
    changed["test_images"][0, 783] ^= 1
    assert cache.digest(changed) != cache.digest(SMALL)
