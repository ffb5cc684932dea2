"""The user's copy of a data set is found in every layout, and is the same data in every carrier."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistae.core.errors import DataError
from mnistae.data.sets import idx, resolve
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.data.sets.registry import DATASETS, DatasetInfo
from tests.conftest import Digits, write_idx

FILES = DATASETS["mnist"].files


def assert_is_tiny(dataset: Dataset, digits: Digits) -> None:
    """The data set holds the tiny data."""
    for split in Split:
        images = digits[f"{split}_images"]
        np.testing.assert_array_equal(dataset.images(split), images.reshape(len(images), -1))
        np.testing.assert_array_equal(dataset.labels(split), digits[f"{split}_labels"])


@pytest.mark.parametrize(
    ("base", "place", "name", "is_found"),
    [
        ("theirs", "theirs/MNIST/raw", "mnist", True),
        ("theirs", "theirs/mnist", "mnist", True),
        ("theirs", "theirs", "mnist", True),
        ("theirs", "theirs", "kmnist", False),
        ("kmnist", "kmnist", "kmnist", True),
        ("kmnist", "kmnist", "fashion-mnist", False),
    ],
)
def test_layouts(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str, place: str, name: str, *, is_found: bool
) -> None:
    """The user's folder may be torchvision's, have a sub-folder for each data set, or hold the files themselves.

    Flat files under MNIST's names, which several data sets share, are MNIST unless the folder's name says otherwise.
    """
    write_idx(tmp_path / place, digits, compress=True)
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(tmp_path / base))
    assert resolve.find(DATASETS[name]) == (tmp_path / place if is_found else None)


def save_npz(folder: Path, digits: Digits) -> None:
    """Save the digits as Keras's mnist.npz."""
    folder.mkdir(exist_ok=True)
    named = {f"{'x' if 'images' in role else 'y'}_{role.split('_')[0]}": array for role, array in digits.items()}
    np.savez(folder / "mnist.npz", **named)  # type: ignore[arg-type]  # NumPy's stub takes them for a flag


def labelled(digits: Digits, split: str) -> np.ndarray:
    """Return one split as rows of a label and 784 pixels."""
    images = digits[f"{split}_images"]
    return np.column_stack([digits[f"{split}_labels"], images.reshape(len(images), -1)])


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (("train.csv", "test.csv", "sample_submission.csv"), None),
        (("train.csv", "val_2.csv"), None),
        (("train.csv", "test.csv", "val.csv"), None),
        (("train.csv", "dev.csv", "val.csv"), None),
        (("a.csv", "a_val.csv"), None),
        (("val.csv", "dev.csv"), "data of the same split"),
        (("train.csv", "test_labels.csv"), "test_labels.csv' has 1 column"),
        (
            ("train.csv", "test.csv", "figure.png"),
            "1 image and also arrays or tables of images: 'test.csv', 'train.csv'",
        ),
        (("a.csv", "labels.csv"), "labels.csv' has 1 column"),
        (("train.csv", "test.csv", "test_2.csv"), "data of the same split in '.*test.csv' and '.*test_2.csv'"),
        ((), "no images in"),
    ],
)
def test_folder_of_tables(tmp_path: Path, digits: Digits, names: tuple[str, ...], error: str | None) -> None:
    """A folder of CSV files is one data set, split by their names; what else it has is left out and said."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in names:
        table = labelled(digits, "train" if name in {"train.csv", "a.csv"} else "test")
        np.savetxt(folder / name, table[:, :1] if "labels" in name else table, fmt="%d", delimiter=",")
    if error:
        with pytest.raises(DataError, match=error):
            resolve.open_dataset(str(folder)).length(Split.TRAIN)
        return
    dataset = resolve.open_dataset(str(folder))
    assert_is_tiny(dataset, digits)
    assert [note for note in dataset.notes if "left out" in note] == [f"left out '{name}'" for name in names[2:]]


@pytest.mark.parametrize("name", ["train.csv", "train.npz"])
def test_validation_split_beside_a_test_split(tmp_path: Path, digits: Digits, name: str) -> None:
    """Where a file has the test split, the validation split that another one has with its training split is left out."""
    train = labelled(digits, "train")
    splits = np.array(["train"] * (len(train) - 3) + ["valid"] * 3)
    header = ",".join(["split", "label", *(f"pixel{k}" for k in range(784))])
    np.savetxt(tmp_path / "train.csv", np.column_stack([splits, train]), "%s", ",", header=header, comments="")
    if name == "train.npz":
        (tmp_path / "train.csv").unlink()
        np.savez(tmp_path / name, x_train=train[:-3, 1:], y_train=train[:-3, 0], x_val=train[-3:, 1:], y_val=train[-3:, 0])
    np.savetxt(tmp_path / "test.csv", labelled(digits, "test"), "%d", ",")
    dataset = resolve.open_dataset(str(tmp_path))
    assert_is_tiny(dataset, digits | {role: digits[role][:-3] for role in ("train_images", "train_labels")})
    assert f"'{name}': validation split left out" in dataset.notes
    (tmp_path / "test.csv").unlink()
    np.testing.assert_array_equal(resolve.open_dataset(str(tmp_path)).labels(Split.TEST), train[-3:, 0])


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [
        *((name, True) for name in ("train.csv", "test.tsv.gz", "test.npy")),
        *((name, False) for name in ("digits.csv", "training_log.csv", "sub/a.png")),
    ],
)
def test_images_beside_a_table(tmp_path: Path, digits: Digits, name: str, *, is_refused: bool) -> None:
    """A flat folder of images is refused if it also has arrays of a split; other tables are skipped, and this is reported."""
    (tmp_path / "sub").mkdir()
    Image.fromarray(digits["train_images"][0]).save(tmp_path / "a.png")
    if name.endswith("png"):
        Image.fromarray(digits["train_images"][0]).save(tmp_path / name)
        name = "train.csv"
    table = labelled(digits, "test")[:, : 3 if "log" in name else None]
    path = tmp_path / name
    np.save(path, table[:, 1:]) if name.endswith("npy") else np.savetxt(path, table, "%d", "," if "csv" in name else "\t")
    if is_refused:
        with pytest.raises(DataError, match=f"contains 1 image and also arrays or tables of images: '{name}'"):
            resolve.open_dataset(str(tmp_path))
        return
    assert "skipped 1 .csv" in resolve.open_dataset(str(tmp_path)).notes


@pytest.mark.parametrize(
    ("name", "data", "is_unmatched"),
    [
        ("labels.csv", "1\n2\n", True),
        ("labelled.csv", "1,2,3\n", False),
        ("label_test.csv", "9" + ",0" * 784 + "\n9,x\n", False),
    ],
)
def test_labels_without_images(tmp_path: Path, name: str, data: str, *, is_unmatched: bool) -> None:
    """The hint on matching names is given for a file of labels alone, not for every error in a file with labels."""
    (tmp_path / name).write_text(data)
    with pytest.raises(DataError) as caught:
        resolve.open_dataset(str(tmp_path)).length(Split.TRAIN)
    assert ("matching names" in caught.value.hint) == is_unmatched


def test_carriers(digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: DatasetInfo) -> None:
    """The same digits are the same data set in every carrier."""
    folder, csv, nested = (tmp_path / name for name in ("idx", "csv", "torch"))
    write_idx(folder, digits)
    write_idx(nested / "MNIST" / "raw", digits, compress=True)
    csv.mkdir()
    save_npz(tmp_path / "npz", digits)
    for split in ("train", "test"):
        np.savetxt(csv / f"{split}.csv", labelled(digits, split), fmt="%d", delimiter=",")
        for index, image in enumerate(digits[f"{split}_images"]):
            put_image = tmp_path / "png" / split / f"{index:03}.png"
            put_image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(put_image)
    for place in (folder, csv, nested, tmp_path / "npz"):
        assert_is_tiny(resolve.open_dataset(str(place)), digits)
    pictures = resolve.open_dataset(str(tmp_path / "png"))
    np.testing.assert_array_equal(pictures.images(Split.TEST), digits["test_images"].reshape(10, -1))
    for place in (folder, nested, tmp_path / "npz"):
        monkeypatch.setenv("MNISTAE_DATA_DIR", str(place))
        named = resolve.open_dataset("mnist")
        assert_is_tiny(named, digits)
        assert named.notes == (idx.VERIFIED,)


def test_incomplete_idx(tiny: Path) -> None:
    """A folder of some of the four files is refused by what it lacks, and a broken link in a folder of images by its name."""
    (tiny / FILES[1]).unlink()
    with pytest.raises(DataError, match=f"incomplete data set in '.*': found '{FILES[0]}', .* but not '{FILES[1]}'$"):
        resolve.open_dataset(str(tiny))
    for name in DATASETS["emnist-digits"].files[1:]:
        (tiny / "emnist" / name).parent.mkdir(exist_ok=True)
        (tiny / "emnist" / name).touch()
    with pytest.raises(DataError, match=r"incomplete data set in '.*emnist': found 'emnist-digits-.* but not 'emnist-digits-"):
        resolve.open_dataset(str(tiny / "emnist"))
    (tiny / "1.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"cannot read '.*1\.png': broken link"):
        resolve.open_dataset(str(tiny))


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize("role", ["train_images", "test_labels"])
def test_other_npz_as_mnist(digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """An mnist.npz of other content is not taken for MNIST."""
    save_npz(tmp_path, digits | {role: digits[role][::-1]})
    monkeypatch.setenv("MNISTAE_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=f"is not the published content of mnist: {role} differ"):
        resolve.open_dataset("mnist").length(Split.TEST)
