"""The cache gives what its source gave, or nothing: whatever happened to its file, the answers are the same."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import cache
from mnistae.data.sets.cache import BLOCK, CacheFile, StaleCacheError
from mnistae.data.sets.dataset import Arrays, Content, Dataset, Split

SOURCE = ["test", "checksum"]
ROWS = 3 * BLOCK - 100
"""Three blocks, the last of them shorter."""


def make(train: int, test: int) -> Arrays:
    """Return arrays of random bytes."""
    generator = np.random.default_rng(0)
    shapes = {"train_images": (train, 784), "train_labels": (train,), "test_images": (test, 784), "test_labels": (test,)}
    return {name: generator.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}


ARRAYS = make(ROWS, 40)
SMALL = make(2, 1)


class Counted:
    """A source that counts how often it is read."""

    def __init__(self, arrays: Arrays = ARRAYS) -> None:
        self.arrays = arrays
        self.reads = 0

    def dataset(self, fingerprint: object = SOURCE, *, location: str = "nowhere") -> Dataset:
        """Return the data set as another process would open it."""
        return Dataset("counted", location, fingerprint, self.read)

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


def assert_same(dataset: Dataset, arrays: Arrays) -> None:
    """Everything that the data set can be asked has the answer that follows from the arrays."""
    assert dataset.digest == cache.digest(arrays)
    assert (dataset.classes, dataset.notes) == (("zero", "one"), ("600 train images",))
    for split in Split:
        images = arrays[f"{split}_images"]
        assert (dataset.has(split), dataset.length(split)) == (True, len(images))
        np.testing.assert_array_equal(dataset.images(split), images)
        assert dataset.images(split) is dataset.images(split), "read and verified once"
        np.testing.assert_array_equal(dataset.labels(split), arrays[f"{split}_labels"])
        for index in {0, min(BLOCK, len(images)) - 1, len(images) - 1}:
            np.testing.assert_array_equal(dataset.image(split, index), images[index])


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


@pytest.mark.parametrize("location", ["nowhere", "/data/\udcff\udcfe"])  # a name that is not UTF-8
def test_same_with_and_without(home: Path, location: str) -> None:
    """The cache answers every question as the source does, which is read once and no more."""
    source = Counted()
    source.dataset([location], location=location)
    assert source.reads == 0  # opened, not asked
    for reads in (1, 1, 2):
        if reads == 2:
            [path] = (home / "cache").iterdir()
            path.unlink()
        assert_same(source.dataset([location], location=location), ARRAYS)
        assert source.reads == reads


@pytest.mark.parametrize(("damaged", "reads"), [(BLOCK - 1, 1), (BLOCK, 2), (2 * BLOCK - 1, 2), (2 * BLOCK, 1)])
def test_one_image_costs_one_block(source: Counted, file: Path, damaged: int, reads: int) -> None:
    """An image comes from its own block alone: what is damaged elsewhere does not matter to it, within it does."""
    flip_row(file, "train_images", damaged)
    np.testing.assert_array_equal(source.dataset().image(Split.TRAIN, BLOCK + 7), ARRAYS["train_images"][BLOCK + 7])
    assert source.reads == reads


def test_without_the_digests_damage_would_pass(source: Counted, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above is sensitive: without the digests of the blocks, the flipped bit is returned."""
    flip_row(file, "train_images", 39)
    digests = CacheFile.open(file, SOURCE).digests["train_images"]
    monkeypatch.setattr(cache, "_block_digests", lambda _data, _width: digests[:1])
    assert not np.array_equal(source.dataset().image(Split.TRAIN, 39), ARRAYS["train_images"][39])
    assert source.reads == 1


HEADERS = (b"[]", b"{}", b'{"__metadata__": null}', b'{"__metadata__": {"mnistae": "[]"}}', b"[" * 100_000)


@pytest.mark.parametrize(
    "damage",
    [
        *(partial(flip_row, name=name, row=39) for name in ARRAYS),
        *(lambda path, end=end: path.write_bytes(path.read_bytes()[:end]) for end in (0, 500, -1)),
        lambda path: path.write_bytes(b"<!doctype html><title>Log in</title>"),
        *(lambda path, text=text: path.write_bytes(len(text).to_bytes(8, "little") + text) for text in HEADERS),
    ],
)
def test_unusable_file(source: Counted, file: Path, damage: Callable[[Path], object]) -> None:
    """A file that is damaged, cut or foreign is replaced without a message."""
    sound = file.read_bytes()
    damage(file)
    assert_same(source.dataset(), ARRAYS)
    assert source.reads == 2
    assert file.read_bytes() == sound


@pytest.mark.parametrize(("version", "fingerprint"), [(cache.VERSION + 1, SOURCE), (cache.VERSION, ["test", "new"])])
def test_other_cache(source: Counted, monkeypatch: pytest.MonkeyPatch, version: int, fingerprint: object) -> None:
    """A cache of another version, or of a source that has changed, is replaced: the source is read again, and once."""
    source.arrays = make(700, 50)
    monkeypatch.setattr(cache, "VERSION", version)
    for _ in range(2):
        assert_same(source.dataset(fingerprint), source.arrays)
    assert source.reads == 2


@pytest.mark.parametrize("is_summed", [True, False])
def test_every_byte_of_the_header(home: Path, monkeypatch: pytest.MonkeyPatch, *, is_summed: bool) -> None:
    """No flipped bit in the header changes an answer; without the sum over it, one in a shape or a digest would."""
    counted, real = Counted(SMALL), cache._digest_of
    if not is_summed:
        monkeypatch.setattr(cache, "_digest_of", lambda what: "" if "version" in what else real(what))

    def answers() -> list[object]:
        dataset = counted.dataset()
        rows = [array.tobytes() for split in Split for array in dataset.block(split, 0, 9)]
        return [dataset.digest, dataset.classes, dataset.notes, *rows]

    right = answers()
    [path] = (home / "cache").iterdir()
    monkeypatch.setattr(cache, "write", lambda *_args: None)  # mending the file each time takes long

    def is_right(at: int) -> bool:
        flip(path, at)
        try:
            return answers() == right
        except (DataError, LookupError, ValueError):
            return False
        finally:
            flip(path, at)

    assert all(map(is_right, range(CacheFile.open(path, SOURCE).data_start))) is is_summed


@pytest.mark.parametrize("other", [None, {name: array ^ np.uint8(1) for name, array in make(700, 50).items()}])
def test_file_that_goes_away(source: Counted, file: Path, other: Arrays | None) -> None:
    """A cache file removed or exchanged between two questions costs a reading of the source, no wrong answer."""
    dataset = source.dataset()
    assert dataset.length(Split.TRAIN) == ROWS
    file.unlink()
    if other:
        cache.write(file, SOURCE, other)
    np.testing.assert_array_equal(dataset.image(Split.TRAIN, 3), ARRAYS["train_images"][3])
    assert source.reads == 2


def test_no_cache_folder(home: Path) -> None:
    """Where no cache can be written the data set works without, reading its source once a process."""
    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    counted = Counted()
    for reads in (1, 2):
        assert_same(counted.dataset(), ARRAYS)
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


def test_reload(source: Counted) -> None:
    """Reloading reads the source although the cache is valid, and finds what has become of it."""
    source.arrays = SMALL
    dataset = source.dataset()
    assert_same(dataset, ARRAYS)
    dataset.reload()
    assert_same(dataset, SMALL)


@pytest.mark.parametrize("ask", [Dataset.length, Dataset.images, Dataset.labels])
def test_missing_split(ask: Callable[[Dataset, Split], object]) -> None:
    """A missing split is an expected error."""
    dataset = Dataset("half", "nowhere", 1, lambda: Content({name: SMALL[name] for name in ("train_images", "train_labels")}))
    assert (dataset.has(Split.TRAIN), dataset.has(Split.TEST)) == (True, False)
    with pytest.raises(DataError) as caught:
        ask(dataset, Split.TEST)
    assert caught.value.message == "data set 'half' has no test split"
    assert caught.value.hint == "use --split train or train:N"
