"""A data set is looked for in the user's folder, then in our own, then on a mirror."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL
from mnistae.core.errors import DataError, UsageError
from mnistae.data.sets import cache, folders, glyphs, resolve
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.data.sets.registry import DATASETS, DatasetInfo
from tests.conftest import Digits, idx_bytes, write_idx
from tests.data.sets.test_user_data import assert_is_tiny
from tests.support.http_mirror import Mirror

FILES = DATASETS["mnist"].files


@pytest.fixture
def own(entry: DatasetInfo, home: Path, digits: Digits) -> Path:
    """Our own folder, filled."""
    return write_idx(home / "datasets" / "mnist", digits, compress=True)


def test_order(own: Path, mirror: Mirror, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's folder comes first, then our own, then the download."""
    theirs = write_idx(tmp_path / "theirs", digits)
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(theirs))
    assert resolve.open_dataset("mnist").location == f"mnist in {theirs}"
    monkeypatch.delenv("MNISTAE_DATA_DIR")
    assert resolve.open_dataset("mnist").location == f"mnist in {own}"
    assert mirror.requests == []
    shutil.rmtree(own)
    dataset = resolve.open_dataset("mnist")
    assert dataset.location == f"mnist in {own}"
    assert len(mirror.requests) == 4
    assert_is_tiny(dataset, digits)
    assert_is_tiny(resolve.open_dataset("mnist"), digits)
    assert len(mirror.requests) == 4


def test_partial_user_folder(own: Path, tiny: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the files in the user's folder are an error, not a reason to mix them with others."""
    (tiny / FILES[2]).unlink()
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(tiny))
    with pytest.raises(DataError) as caught:
        resolve.open_dataset("mnist")
    found = f"'{FILES[0]}', '{FILES[1]}', '{FILES[3]}'"
    assert caught.value.message == f"incomplete mnist in '{tiny}': found {found}, but not '{FILES[2]}'"
    assert caught.value.hint == "add what is missing, with or without .gz, or unset MNISTAE_DATA_DIR to download the data set"


@pytest.mark.parametrize(
    ("name", "content", "error", "is_fetched"),
    [
        (f"{FILES[2]}.gz", None, "downloads are disabled", True),
        (f"{FILES[2]}.gz", b"damaged", "is damaged", True),
        (FILES[2].replace("-idx", ".idx"), b"damaged", "is damaged", False),
        (f"{FILES[2]}/{FILES[2]}", b"damaged", "is damaged", False),
    ],
)
def test_unusable_download(
    own: Path,
    mirror: Mirror,
    digits: Digits,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | None,
    error: str,
    *,
    is_fetched: bool,
) -> None:
    """An incomplete download is completed, a damaged file replaced; offline or without a mirror both are errors; all stay."""
    path = own / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content) if content else path.unlink()
    before = {path: path.read_bytes() for path in own.rglob("*ubyte*") if path.is_file()}
    monkeypatch.setenv("MNISTAE_OFFLINE", "1")
    with pytest.raises(DataError, match=error):
        resolve.open_dataset("mnist").length(Split.TRAIN)
    monkeypatch.setenv("MNISTAE_OFFLINE", "0")
    if is_fetched:
        mirror.behaviour = "404"
        with pytest.raises(DataError, match=f"{error}.*; cannot download" if content else "^cannot download"):
            resolve.open_dataset("mnist")
        mirror.behaviour = "good"
        mirror.requests.clear()
    assert {path: path.read_bytes() for path in own.rglob("*ubyte*") if path.is_file()} == before
    assert_is_tiny(resolve.open_dataset("mnist"), digits)
    assert mirror.requests == [f"/{FILES[2]}.gz"] * is_fetched
    after = {path: path.read_bytes() for path in own.rglob("*ubyte*") if path.is_file()}
    assert before.items() - after.items() == ({(path, content)} if content else set())


def test_not_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNISTAE_DATA_DIR must name a folder, also if its name is too long for one."""
    monkeypatch.setenv("MNISTAE_DATA_DIR", "x" * 5000)
    with pytest.raises(DataError, match="MNISTAE_DATA_DIR is not a folder: ") as caught:
        resolve.open_dataset("mnist")
    assert caught.value.hint == "set it to the folder of the data, or unset it"


def test_damaged_user_copy(tiny: Path, mirror: Mirror, entry: DatasetInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's copy, damaged, is refused and never touched, network or not."""
    (tiny / FILES[0]).write_bytes(b"damaged")
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(tiny))
    with pytest.raises(DataError, match=rf"{FILES[0]}' is damaged"):
        resolve.open_dataset("mnist").length(Split.TRAIN)
    assert mirror.requests == []
    assert (tiny / FILES[0]).read_bytes() == b"damaged"


@pytest.mark.parametrize("change", ["size", "mtime", "exchanged"])
def test_changed_files(tiny: Path, digits: Digits, change: str) -> None:
    """A file that was written to or exchanged is read again; without the fingerprint the cache would hide it."""
    opened = resolve.open_dataset(str(tiny))
    assert_is_tiny(opened, digits)
    path = tiny / FILES[3]
    labels = digits["test_labels"].copy()
    labels[0] = 9 - labels[0]
    status = path.stat()
    if change == "exchanged":  # for another file, older than itself
        other = path.with_name("other")
        other.write_bytes(idx_bytes(labels))
        os.utime(other, ns=(0, status.st_mtime_ns - 10**9))
        other.replace(path)
    else:
        path.write_bytes(idx_bytes(labels if change != "size" else labels[1:]))
        os.utime(path, ns=(0, status.st_mtime_ns + (change != "size")))
    stale = Dataset(opened.name, opened.location, opened.fingerprint, opened.build)
    assert stale.labels(Split.TEST)[0] == digits["test_labels"][0]
    if change == "size":
        with pytest.raises(DataError, match=f"^10 test images but 9 labels in '{tiny}'$"):
            resolve.open_dataset(str(tiny)).length(Split.TEST)
        return
    assert resolve.open_dataset(str(tiny)).labels(Split.TEST)[0] == labels[0]


def test_many_images_are_cached(tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files a folder has, what the cache keeps of them is short, and the second start reads none."""
    for index, image in enumerate(digits["train_images"]):
        (tmp_path / f"{index:03}.pgm").write_bytes(b"P5 28 28 255\n" + image.tobytes())
    monkeypatch.setattr(cache, "MAX_HEADER", 2000)
    first = resolve.open_dataset(str(tmp_path))
    assert first.length(Split.TRAIN) == 20
    assert len(json.dumps(first.fingerprint)) < 100
    monkeypatch.setattr(folders, "read", None)
    second = resolve.open_dataset(str(tmp_path))
    np.testing.assert_array_equal(second.images(Split.TRAIN), digits["train_images"].reshape(20, -1))
    assert set(second.labels(Split.TRAIN)) == {NO_LABEL}


def test_flat_folder_under_another_name(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files under the names that MNIST, Fashion-MNIST and KMNIST share are not taken for any but MNIST: the message says so."""
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(tiny))
    with pytest.raises(
        DataError,
        match=f"several data sets share: to read kmnist, put its files into '{tiny}/KMNIST/raw'",
    ):
        resolve.open_local("kmnist")


def test_user_folder_without_it(own: Path, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If MNISTAE_DATA_DIR lacks the data set, a note says so, whether there is another copy or not."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "notes.txt").touch()
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(theirs))
    dataset = resolve.open_dataset("mnist")
    assert_is_tiny(dataset, digits)
    assert dataset.notes[0].startswith(f"no mnist in MNISTAE_DATA_DIR '{theirs}': looked for 'train-images-idx3-ubyte'")
    assert dataset.notes[0].endswith("; found 'notes.txt'")
    shutil.rmtree(own)
    monkeypatch.setenv("MNISTAE_OFFLINE", "1")
    for open_ in (resolve.open_dataset, resolve.open_local):
        with pytest.raises(DataError, match=r"not installed.*; no mnist in MNISTAE_DATA_DIR '.*'; found 'notes.txt'"):
            open_("mnist")


@pytest.mark.parametrize("open_", [resolve.open_dataset, resolve.open_local])
def test_folder_of_the_same_name(own: Path, digits: Digits, open_: Callable[[str], Dataset]) -> None:
    """A folder of the user's that has the name of a data set is not read for it, and this is reported."""
    write_idx(Path("mnist"), digits)
    assert open_("mnist").how_found == ("the folder './mnist' is not read; for that, use --dataset ./mnist",)
    assert open_("./mnist").how_found == open_(str(Path("mnist").absolute())).how_found == ()
    write_idx(Path("theirs/mnist"), digits)
    assert open_("theirs/mnist").how_found == ()


def test_parent_folder(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent folder has its own name, through a link as well; a link in which the data is keeps its name."""
    (tiny / "sub").mkdir()
    Path("link").symlink_to(tiny / "sub")
    Path("theirs").symlink_to(tiny)
    there = tiny.resolve()
    for reference, path in (("link/..", there), (str(tiny / "sub" / ".."), there), ("theirs", Path("theirs").absolute())):
        dataset = resolve.open_dataset(reference)
        assert (dataset.name, resolve.absolute(reference)) == (path.name, str(path))
    monkeypatch.chdir(tiny / "sub")
    assert resolve.open_dataset("..").name == there.name


@pytest.mark.parametrize(
    ("reference", "family", "message"),
    [
        *((name, UsageError, f"unknown data set: '{name}'") for name in ("minst", "", "x" * 5000, "a\0b")),
        ("no/such/folder", DataError, "data set not found: 'no/such/folder'"),
    ],
)
def test_unknown(reference: str, family: type[Exception], message: str) -> None:
    """A reference that is neither a name nor a path is a usage error; where it can only be a path, data are missing."""
    with pytest.raises(family, match=f"^{message}$"):
        resolve.open_dataset(reference)


def test_name_of_images_in_memory() -> None:
    """The name of images in memory is no path; where one of that name exists, the hint says how to give it."""
    for hint in ("choose another with --dataset", "use --dataset ./array for what is there"):
        with pytest.raises(DataError, match="data set 'array' was an array in memory") as caught:
            resolve.open_dataset("array")
        assert caught.value.hint.startswith(hint)
        Path("array").mkdir(exist_ok=True)


def test_glyphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in digits are drawn once, reported, and cached."""
    draw = glyphs.draw
    monkeypatch.setattr(glyphs, "draw", lambda count, *, seed: draw(count // 1000, seed=seed))
    told: list[str] = []
    dataset = resolve.open_dataset("glyphs", progress=lambda what, _done, _total: told.append(what))
    assert (dataset.length(Split.TRAIN), dataset.length(Split.TEST)) == (60, 10)
    monkeypatch.setattr(glyphs, "draw", None)
    again = resolve.open_dataset("glyphs")
    for split, count, seed in ((Split.TRAIN, 60, 0), (Split.TEST, 10, 1)):
        images, labels = draw(count, seed=seed)
        np.testing.assert_array_equal(again.images(split), images.reshape(count, -1))
        np.testing.assert_array_equal(again.labels(split), labels)
    assert told == ["drawing the built-in digits"]


@pytest.mark.usefixtures("real_mnist")
def test_real_mnist() -> None:
    """The real MNIST is what it is known to be."""
    dataset = resolve.open_dataset("mnist")
    assert [dataset.length(split) for split in Split] == [60_000, 10_000]
    assert dataset.labels(Split.TRAIN)[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.images(Split.TRAIN).mean() / 255 == pytest.approx(0.1307, abs=5e-5)
