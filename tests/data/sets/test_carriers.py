"""The same images and labels in every array file and CSV file that people have are the same data set."""

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import DataError
from mnistae.data.sets import csv_file, table_folder, tables

N = 12
IMAGES = np.zeros((N, 28, 28), np.uint8)
IMAGES[:, 8:20, 9:19] = np.random.default_rng(0).integers(0, 256, (N, 12, 10))
LABELS = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5], np.uint8)
ROWS = IMAGES.reshape(N, 784)
WORDS = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
NONE = np.full(N, 255)


def check(path: Path, labels: np.ndarray = LABELS, *, split: str = "train", notes: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The file has these images in this split and these labels, and says these things; return the names of the classes."""
    content = tables.read(path)
    np.testing.assert_array_equal(content.arrays[f"{split}_images"], ROWS)
    np.testing.assert_array_equal(content.arrays[f"{split}_labels"], labels)
    assert all(array.dtype == np.uint8 for array in content.arrays.values())
    said = "\n".join(content.notes)
    assert all(note in said for note in notes), said
    return content.classes


@pytest.mark.parametrize(
    ("arrays", "labels", "notes"),
    [
        ({"x_train": IMAGES, "y_train": LABELS}, LABELS, ("train: 12 images from 'x_train', labels from 'y_train'",)),
        ({"X": IMAGES, "Y": LABELS}, LABELS, ("from 'X'",)),
        ({"data": ROWS, "target": LABELS}, LABELS, ("from 'data', labels from 'target'",)),
        ({"trainX": IMAGES, "trainY": LABELS}, LABELS, ()),
        ({"training_images": IMAGES, "training_labels": LABELS, "test": IMAGES[:2]}, LABELS, ("test: 2 images from 'test'",)),
        (
            {"images": IMAGES[:1], "X": IMAGES, "labels": LABELS, "mean": np.zeros(1)},
            LABELS,
            ("12 images from 'X'", "not used: 'images', 'mean'"),
        ),
        *(
            ({train: IMAGES, test: IMAGES[:2]}, NONE, (f"train: 12 images from '{train}'", f"test: 2 images from '{test}'"))
            for train, test in (("x_trainval", "x_test"), ("x_trn", "tst_x"), ("trainval", "x_evaluation"))
        ),
        ({"x_train": IMAGES, "x": IMAGES[:2], "other": LABELS}, NONE, ("not used: 'x', 'other'",)),
        ({"arr_0": IMAGES}, NONE, ("train: 12 images from 'arr_0', no labels",)),
        ({"arr_0": LABELS, "arr_1": IMAGES}, LABELS, ("12 images from 'arr_1', labels from 'arr_0'",)),
        ({"mnist": IMAGES, "split": np.array(["a", "b"] * 6)}, NONE, ("no labels", "not used: 'split'")),
        ({"mnist": IMAGES, "set": LABELS}, LABELS, ("labels from 'set'",)),
        ({"x_train": IMAGES, "y_train": LABELS, "split": np.array(["test"] * N)}, LABELS, ("not used: 'split'",)),
        ({"x": IMAGES, "split": np.array(["test"] * 3)}, NONE, ("not used: 'split'",)),
        ({"x": IMAGES, "x_test": IMAGES, "split": np.array(["test"] * N)}, NONE, ("not used: 'split'",)),
        ({"anything": IMAGES, "odd": np.zeros((N, 3))}, NONE, ("train labels left out: shape (12, 3)",)),
        ({"images": IMAGES, "labels": np.zeros((N, 0))}, NONE, ("train labels left out: shape (12, 0)",)),
        ({"x": IMAGES[..., None], "y": LABELS[None]}, LABELS, ()),
        ({"x": ROWS[:, :, None], "y": LABELS.astype(">f4")}, LABELS, ()),
        ({"x": np.asfortranarray(IMAGES), "y": np.eye(10)[LABELS]}, LABELS, ("train labels read from one-hot rows of 10",)),
        ({"x": IMAGES, "y": LABELS.astype(str)}, LABELS, ()),
        ({"x": IMAGES, "y": np.where(LABELS < 9, LABELS.astype(int), -1)}, [*LABELS[:4], 255, *LABELS[5:]], ("1 train label",)),
        ({"x": IMAGES, "y": LABELS + 0.5}, NONE, ("12 train labels left out",)),
        ({"x": IMAGES * np.uint16(257)}, NONE, ("divided by 65535",)),
        ({"train_images": IMAGES, "val_images": IMAGES[:3]}, NONE, ("test: 3 images from 'val_images'", "used as the test")),
        ({"train_images": IMAGES, "val_images": IMAGES[:3], "test_images": IMAGES[:2]}, NONE, ("validation split left out",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_npz(tmp_path: Path, arrays: dict[str, np.ndarray], labels: np.ndarray, notes: tuple[str, ...]) -> None:
    """Names, axes, types and orders of the arrays do not matter; what is left out is said."""
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    check(tmp_path / "a.npz", np.asarray(labels), notes=notes)


@pytest.mark.parametrize("divisor", [250, 255.0])
def test_range_of_both_splits(tmp_path: Path, divisor: float) -> None:
    """The values of both splits have one range: a test split of 0 and 1, or 0 to 1, is refused beside one up to 255."""
    dtype = np.uint8 if divisor == 250 else float
    np.savez(tmp_path / "a.npz", x_train=IMAGES.astype(dtype), x_test=(IMAGES[:1] / divisor).astype(dtype))
    with pytest.raises(DataError, match="train images up to 255 and test images up to 1: "):
        tables.read(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_train=IMAGES.astype(dtype), x_test=IMAGES[:1].astype(dtype) * 0)
    check(tmp_path / "a.npz", NONE)


@pytest.mark.parametrize(
    ("images", "note"),
    [
        (IMAGES // 255 * 100, ["the highest value is 100 of 255"]),
        (IMAGES // 2, ["the highest value is 127 of 255"]),
        (IMAGES // 2 + 1, []),
        (IMAGES // 2 / 255, ["the highest value is 0.498039 of 1"]),
        (IMAGES // 255 * 100.0, ["array of float64 values from 0 to 100, divided by 255", "the highest value is 100 of 255"]),
        (IMAGES // 255 * 15, []),
        (IMAGES * 0, []),
    ],
)
def test_dim_images(tmp_path: Path, images: np.ndarray, note: list[str]) -> None:
    """A highest value below half of the scale is said, unless the images are black or nearly so, which `train` warns of."""
    np.save(tmp_path / "a.npy", images)
    assert [*tables.read(tmp_path / "a.npy").notes[1:]] == note


FRUIT = np.array(["pear", "fig", "lime", "plum", "kiwi", "date", "nut", "yam", "pea", "leek"])
PARTS = np.char.add(np.arange(10).astype(str), "_1")  # no numbers, although float() takes them for some


@pytest.mark.parametrize("kind", ["U", "S"])
@pytest.mark.parametrize("words", [FRUIT, WORDS, PARTS])
def test_words(tmp_path: Path, words: np.ndarray, kind: str) -> None:
    """Labels that are texts number the classes, in alphabetical order over both splits; the words for digits are digits."""
    classes = tuple(words if words is WORDS else np.unique(words[[*LABELS, 6]]))
    labels = words[LABELS].astype(kind)
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=labels, x_test=IMAGES[:1], y_test=words[6:7])
    assert check(tmp_path / "a.npz", np.array([classes.index(words[label]) for label in LABELS])) == classes
    assert tables.read(tmp_path / "a.npz").arrays["test_labels"].tolist() == [classes.index(words[6])]


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [(WORDS[LABELS], "6", ("zero", "one", "two", "three", "four", "five", "6", "7", "8", "nine")), (LABELS, "six", ())],
)
def test_words_beside_numbers(tmp_path: Path, train: np.ndarray, test: str, classes: tuple[str, ...]) -> None:
    """Words for digits in one split and numbers in the other are the same classes."""
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=train, x_test=IMAGES[:1], y_test=np.array([test]))
    assert check(tmp_path / "a.npz") == classes
    assert tables.read(tmp_path / "a.npz").arrays["test_labels"].tolist() == [6]


def test_names_of_one_class_beside_numbers(tmp_path: Path) -> None:
    """Two names of a class are the same label beside a split of numbers, and this is reported."""
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:3], y_test=np.array(["one", "1", "2"]))
    content = tables.read(tmp_path / "a.npz")
    assert content.arrays["test_labels"].tolist() == [1, 1, 2]
    assert content.notes[1:] == ("different names of the same class: '1', 'one'",)


@pytest.mark.parametrize(
    ("images", "labels", "split"),
    [
        ("kmnist-train-imgs.npz", "kmnist-train-labels.npz", "train"),
        ("X_test.npy", "y_test.npy", "test"),
        ("testX.npy", "testY.npy", "test"),
        ("data.npy", "target.npy", "train"),
        ("x_train.csv", "y_train.csv", "train"),
        ("csvTestImages 12 x 784.csv", "csvTestLabel 12 x 1.csv", "test"),
    ],
)
def test_labels_beside(tmp_path: Path, images: str, labels: str, split: str) -> None:
    """Images and labels may have a file each; the name says which split it is."""
    for name, array in ((images, IMAGES), (labels, LABELS)):
        if name.endswith("csv"):
            (tmp_path / name).write_text(text(array.reshape(N, -1)))
        else:
            (np.savez if name.endswith("z") else np.save)(tmp_path / name, array)
    assert tables.members(tmp_path / images) == [tmp_path / images, tmp_path / labels]
    assert table_folder.find(tmp_path) == ([tmp_path / images])
    check(tmp_path / images, split=split, notes=(f"labels from '{labels}'",))
    (tmp_path / labels).unlink()
    check(tmp_path / images, NONE, split=split)


@pytest.mark.parametrize("columns", [(LABELS,), (WORDS[LABELS],), (range(N), LABELS)])
def test_labels_in_a_csv_file(tmp_path: Path, columns: tuple[np.ndarray, ...]) -> None:
    """A header and an index are optional."""
    for header in ("", "label" if len(columns) == 1 else ",label"):
        found = csv_file.read_labels(text(*columns, header=header).encode(), tmp_path)
        assert found.tolist() == columns[-1].astype(str).tolist()
    table = text(LABELS, range(N), header="Class,id").encode()
    assert csv_file.read_labels(table, tmp_path).tolist() == LABELS.astype(str).tolist()
    table = text(range(N), LABELS, header="class,digit").encode()
    assert csv_file.read_labels(table, tmp_path).tolist() == LABELS.astype(str).tolist()
    with pytest.raises(DataError, match="more than one column of labels in"):
        csv_file.read_labels(text(LABELS, LABELS).encode(), tmp_path)


@pytest.mark.parametrize(
    ("table", "is_header"), [("letter symbol letter", False), ("symbol b a", True), ("class class a", True), ("a b a", False)]
)
def test_header_of_labels(tmp_path: Path, table: str, is_header: bool) -> None:
    """A first line that is also a label below is a label, unless it is a usual name of labels."""
    assert csv_file.read_labels(table.replace(" ", "\n").encode(), tmp_path).tolist() == table.split()[is_header:]


HEADER = "label," + ",".join(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))
COLUMNS = [f"x{k % 28}y{k // 28}" for k in range(784)]
SCRAMBLED = sorted(range(784), key=lambda k: COLUMNS[k])
ORDER = sorted(range(784), key=str)
WIDE = sorted(range(784), key=lambda k: HEADER[6:].split(",")[k])
PIXEL_NAMES = ",".join(f"pixel{k}" for k in ORDER)
PIXELS_1 = ",".join(["label", *(f"p{k}" for k in range(783))])
MIDDLE = ",".join([*(f"p{k}" for k in range(9)), "label", *(f"p{k}" for k in range(9, 784))])


def text(*columns: object, separator: str = ",", header: str = "") -> str:
    """Return a table of these columns."""
    lines = [separator.join(map(str, row)) for row in np.column_stack([np.asarray(c) for c in columns]).tolist()]
    return "\n".join([header, *lines] if header else lines) + "\n"


UNICODE_TEXT = text(LABELS, ROWS, separator="\t", header=HEADER.replace(",", "\t")).encode("utf-16")
"""As Excel writes it: with a byte-order mark and tabs."""


@pytest.mark.parametrize(
    ("name", "data", "labels", "note"),
    [
        ("a.csv", text(LABELS, ROWS, header=HEADER), LABELS, "column 1 read as labels"),
        ("a.csv", text(LABELS, ROWS), LABELS, "column 1 read as labels"),
        ("a.csv", text(ROWS, LABELS, header=",".join([*map(str, range(784)), "class"])), LABELS, "column 785 read as labels"),
        ("a.csv", text(ROWS, header=",".join(map(str, range(784)))), NONE, "no labels"),
        ("a.csv", text(ROWS), NONE, "no labels"),
        ("a.csv", text(LABELS, ROWS, header=",".join(map(str, range(785)))), LABELS, "column 1 read as labels"),
        ("a.csv", text(range(N), LABELS, ROWS, header="," + HEADER), LABELS, "column 1 read as index\ncolumn 2 read as labels"),
        *(
            ("a.csv", text(range(N), ROWS, header=f"{name},{HEADER[6:]}"), np.arange(N), "column 1 read as labels")
            for name in ("letter", "Class", "digits", "character")
        ),
        ("a.csv", text(WORDS[LABELS], LABELS, ROWS, header=f"char,{HEADER}"), LABELS, "column 1 read as other values: 'char'"),
        (
            "a.csv",
            text(range(N), LABELS, ROWS, header=f"char,number,{HEADER[6:]}"),
            LABELS,
            "column 1 read as index\ncolumn 2 read as labels",
        ),
        ("a.csv", text(range(N), ROWS, LABELS), LABELS, "column 1 read as index\ncolumn 786 read as labels"),
        ("a.csv", text(range(1, N + 1), ROWS), NONE, "column 1 read as index"),
        ("a.csv", text(WORDS[LABELS], ROWS), LABELS, "column 1 read as labels"),
        ("a.csv", "\ufeff" + text(LABELS, ROWS), LABELS, ""),
        ("a.csv", text(LABELS, ROWS, header=HEADER).replace("\n", "\r\n\r\n"), LABELS, ""),
        ("a.csv", text(LABELS, ROWS, header=HEADER).replace("\n", "\r"), LABELS, ""),
        ("a.csv", text(LABELS, ROWS, separator=";", header=HEADER.replace(",", ";")), LABELS, ""),
        ("a.tsv.gz", text(LABELS, ROWS, separator="\t"), LABELS, ""),
        ("a.txt", text(LABELS, ROWS, separator="  "), LABELS, ""),
        ("a.csv", '"' + text(LABELS, ROWS, separator='","').replace("\n", '"\n"')[:-1], LABELS, ""),
        ("a.csv", text(LABELS, ROWS / 255), LABELS, ""),
        ("a.csv", text(LABELS, ROWS / 255, separator=";").replace(".", ","), LABELS, ""),
        ("a.csv", text(LABELS, ROWS, header="# label, pixels"), LABELS, "column 1 read as labels"),
        ("a.csv", text(LABELS, ROWS, [""] * N, header=HEADER), LABELS, "column 786 read as empty"),
        ("a.csv", text([f"r{k}" for k in range(N)], LABELS, ROWS, header=HEADER), LABELS, "column 1 read as index"),
        ("a.csv", text([f"{k};|" for k in LABELS], ROWS), np.unique(LABELS, return_inverse=True)[1], ""),
        ("mnist_test.csv", text(NONE * 0 + 3, ROWS), NONE * 0 + 3, "column 1 read as labels"),
        ("my-emnist-train.csv", text(LABELS, IMAGES.swapaxes(1, 2).reshape(N, 784)), LABELS, "EMNIST transposed"),
        ("a.csv", text(LABELS, ROWS, header="# made by hand\n" + HEADER), LABELS, ""),
        ("a.csv", text(LABELS, ROWS, separator=";", header="sep=;\n" + HEADER.replace(",", ";")), LABELS, ""),
        ("a.csv", text(range(50, 50 - N, -1), LABELS, ROWS), LABELS, "column 1 read as index\ncolumn 2 read as labels"),
        ("a.csv", text(LABELS, ROWS, LABELS, header=f"{HEADER},writer"), LABELS, "column 786 read as other values: 'writer'"),
        ("a.csv", text(LABELS, ROWS[:, ORDER], header=f"label,{PIXEL_NAMES}"), LABELS, "pixels sorted by the numbers"),
        ("a.csv", text(ROWS[:, ORDER], header=PIXEL_NAMES.replace("pixel", "")), NONE, "pixels sorted by the numbers"),
        ("a.csv", text(LABELS, ROWS, header="label," + ",".join(f"{x}x{y}" for y in range(28) for x in range(28))), LABELS, ""),
        ("a.csv", text(ROWS[:, SCRAMBLED], header=",".join(sorted(COLUMNS))), NONE, "read as column and row"),
        (
            "a.csv",
            text(LABELS, ROWS[:, WIDE], header="label," + ",".join(sorted(HEADER[6:].split(",")))),
            LABELS,
            "row and column",
        ),
        ("a.csv", "\ufeff" + text(LABELS[:5], ROWS[:5]) + "\ufeff" + text(LABELS[5:], ROWS[5:]), LABELS, ""),
        ("my_femnist_train.csv", text(LABELS, ROWS), LABELS, ""),
        *((name, UNICODE_TEXT, LABELS, "") for name in ("a.txt", "a.tsv.gz")),
    ],
)
def test_csv(tmp_path: Path, name: str, data: str | bytes, labels: np.ndarray, note: str) -> None:
    """A header, the place of the labels, an index, separators, quotes and the range do not matter; the name shows the split."""
    path = tmp_path / name
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    check(path, labels, split="test" if "test" in name else "train", notes=(note,))


def test_texts_of_labels(tmp_path: Path) -> None:
    """Texts that look like numbers stay texts, and their commas stay; labels too long to be compared are refused."""
    path = tmp_path / "a.csv"
    pixels = np.char.replace((ROWS / 255).astype(str), ".", ",")
    path.write_text(text(["shoe, low", "shoe. low", "5,0"] * 4, pixels, separator=";"))
    assert check(path, np.array([1, 2, 0] * 4)) == ("5.0", "shoe, low", "shoe. low")
    path.write_text(text(["--nan", "- nan", "one"] * 4, ROWS))
    assert check(path, np.array([3, 2, 1] * 4))[2:] == ("- nan", "--nan")
    path.write_text(text(["a" * 127, "b" * 127] * 6, ROWS))
    check(path, np.array([0, 1] * 6))
    path.write_text(text(["a", "b" * 127 + "c", "b" * 127 + "d"] * 4, ROWS))
    with pytest.raises(DataError, match="line 2: a label has 128 characters or more"):
        tables.read(path)


@pytest.mark.parametrize(
    ("header", "splits", "train", "test", "notes"),
    [
        ("split", ["train", "test", "val"] * 4, [0, 3, 6, 9], [1, 4, 7, 10], ("as splits", "validation split left out")),
        ("label,Usage", ["Training", "PublicTest", "PrivateTest"] * 4, [0, 3, 6, 9], [1, 2, 4, 5, 7, 8, 10, 11], ()),
        ("label,kind", ["dev", "trn"] * 6, [*range(1, 12, 2)], [*range(0, 12, 2)], ("validation split used as the test",)),
        ("", ["train"] * 9 + ["test"] * 3, [*range(9)], [9, 10, 11], ("column 1 read as splits",)),
        ("subset", [""] * 2 + ["TEST"] * 10, [], [*range(2, 12)], ("left out 2 images that are in no split",)),
        ("fold", [0, 1, 2] * 4, [*range(12)], [], ("column 1 read as other values: 'fold'", "no labels")),
        ("dataset", ["training set", "test set"] * 6, [*range(0, 12, 2)], [*range(1, 12, 2)], ("column 1 read as splits",)),
        ("label,partition", ["1_train", "2_test"] * 6, [*range(0, 12, 2)], [*range(1, 12, 2)], ("column 2 read as splits",)),
        ("label,phase", ["train A", "val A", "train B"] * 4, [0, 2, 3, 5, 6, 8, 9, 11], [1, 4, 7, 10], ()),
        ("label,fold", ["1", "2", "test"] * 4, [*range(12)], [], ("column 2 read as other values: 'fold'",)),
        ("subset", ["labeled", "unlabeled", "test"] * 4, [*range(12)], [], ("other values: 'subset'", "no labels")),
        ("phase", ["new", "val", "full", "half"] * 3, [*range(12)], [], ("other values: 'phase'", "no labels")),
        ("label,split", ["train", "train or test"] * 6, [*range(12)], [], ("other values: 'split'",)),
        ("split", [""] * 12, [*range(12)], [], ("column 1 read as empty",)),
        ("set", [0, 1, 2] * 4, [*range(12)], [], ("column 1 read as labels",)),
        ("test", [0, 1, 2] * 4, [*range(12)], [], ("column 1 read as labels",)),
        (",phase", ["train"] * 12, [*range(12)], [], ("column 1 read as splits", "column 2 read as other values: 'phase'")),
        ("label,test", [0, 1, 2] * 4, [*range(12)], [], ("column 2 read as other values: 'test'",)),
        ("label,is_test", [0, 1, 1] * 4, [*range(12)], [], ("column 2 read as other values: 'is_test'",)),
        ("label", ["train", "test"] * 6, [*range(12)], [], ("column 1 read as labels",)),
    ],
)
def test_splits_in_a_column(
    tmp_path: Path, header: str, splits: list[object], train: list[int], test: list[int], notes: tuple[str, ...]
) -> None:
    """A column of words for splits says which images are in which, unless its name says that it has the labels."""
    columns = [splits if header[0] == "," else LABELS, splits] if "," in header else [splits]
    (tmp_path / "train.csv").write_text(text(*columns, ROWS, header=header and f"{header},{HEADER[6:]}"))
    content = tables.read(tmp_path / "train.csv")
    said = "; ".join(content.notes)
    assert all(note in said for note in notes), said
    for split, rows in (("train", train), ("test", test)):
        assert (f"{split}_images" in content.arrays) == bool(rows)
        if rows:
            np.testing.assert_array_equal(content.arrays[f"{split}_images"], ROWS[rows])
        if rows and "label," in header:
            np.testing.assert_array_equal(content.arrays[f"{split}_labels"], LABELS[rows])


@pytest.mark.parametrize("images", ["images", "mnist"])
def test_array_of_splits(tmp_path: Path, images: str) -> None:
    """An array of words for splits beside images and labels is read like such a column."""
    splits = np.array(["train", "test", "val"] * 4)
    np.savez(tmp_path / "a.npz", **{images: IMAGES, "labels": LABELS, "Split": splits[:, None]})  # type: ignore[arg-type]
    content = tables.read(tmp_path / "a.npz")
    assert content.notes[:3] == (
        f"train: 4 images from '{images}', labels from 'labels'; test: 4 images from '{images}', labels from 'labels'",
        "splits from 'Split'",
        "validation split left out",
    )
    for k, split in enumerate(("train", "test")):
        np.testing.assert_array_equal(content.arrays[f"{split}_images"], ROWS[k::3])
        np.testing.assert_array_equal(content.arrays[f"{split}_labels"], LABELS[k::3])


@pytest.mark.parametrize("order", ["rows", "columns", "names"])
@pytest.mark.parametrize(
    "form",
    ["r{r}c{c}", "pixel_row{r}_col{c}", "col{c}_row{r}", "c{c:02}r{r:02}", "Column {c} Line {r}", "x{c}y{r}", "pixelY{r}X{c}"],
)
def test_rows_and_columns_in_names(tmp_path: Path, form: str, order: str) -> None:
    """Where the names of pixels say which number is the row, the order of the columns in the file does not matter."""
    names = [form.format(r=k // 28, c=k % 28) for k in range(784)]
    keys = {"rows": lambda k: k, "columns": lambda k: (k % 28, k // 28), "names": lambda k: names[k]}
    places = sorted(range(784), key=keys[order])
    table = text(LABELS, ROWS[:, places], header=",".join(["label", *(names[k] for k in places)]))
    (tmp_path / "a.csv").write_text(table)
    meaning = "column and row" if form.find("{c") < form.find("{r") else "row and column"
    check(tmp_path / "a.csv", notes=() if order == "rows" else (f"read as {meaning}",))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "test") for name in ("eval.csv", "VAL.csv", "a_test.csv", "TESTX.csv", "val_test.csv")),
        *((name, "train") for name in ("VALUES.csv", "DEVICE.csv", "valid_digits.csv", "cross-val.csv", "Val Kilmer.csv")),
    ],
)
def test_split_of_a_file(tmp_path: Path, name: str, split: str) -> None:
    """A file is the test split if its name says so; 'val' and 'eval' have other meanings within a longer name."""
    (tmp_path / name).write_text(text(LABELS, ROWS))
    check(tmp_path / name, split=split)


@pytest.mark.parametrize("is_first", [True, False])
def test_csv_of_images_without_a_border(tmp_path: Path, is_first: bool) -> None:
    """A column of few small whole numbers is the label, also if the pixels at the corners vary; in one row, the first is."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 784))
    (tmp_path / "a.csv").write_text(text(*[np.arange(40) % 7, pixels][:: 1 if is_first else -1]))
    np.testing.assert_array_equal(tables.read(tmp_path / "a.csv").arrays["train_images"], pixels)
    (tmp_path / "a.csv").write_text(text(LABELS[:1], ROWS[:1]))
    assert tables.read(tmp_path / "a.csv").arrays["train_labels"].tolist() == [5]


LINE = text(LABELS[:1], ROWS[:1])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("\n\n", "'{path}' is empty"),
        (HEADER + "\n", "no images in '{path}': it has only a header"),
        (text(ROWS[:, :99]), "'{path}' has 99 columns, expected 784 of pixels, with or without a label and an index"),
        (
            text(LABELS, LABELS, LABELS, ROWS),
            "'{path}' has 787 columns, expected 784 of pixels, with or without a label and an index",
        ),
        (LINE * 5000 + "\n1,2\n" + LINE, "cannot read the data set '{path}': line 5002: 2 columns, expected 785"),
        (LINE * 3 + "9" + LINE[1:-1] + ",7\n", "cannot read the data set '{path}': line 4: 786 columns, expected 785"),
        (text(LABELS, ROWS)[:-2] + "y\n", "cannot read the data set '{path}': line 12: 'y' in column 785 is not a number"),
        (
            LINE.replace(",", ";").replace(";0;", ";1,234.5;", 1),
            "cannot read the data set '{path}': line 1: '1,234.5' in column 2 is not a number",
        ),
        (LINE.replace(",0,", ",-7,", 1), "float32 values from -7 to 255, expected 0 to 1 or 0 to 255: '{path}'"),
        ("\ufeff" + LINE.replace("", "\0"), "cannot read the data set '{path}': it is not UTF-8 text"),
        (text(LABELS, ROWS).encode("utf-16-le").decode("latin-1"), "cannot read the data set '{path}': it is not UTF-8 text"),
        (text(ROWS[:, :9], LABELS, ROWS[:, 9:], header=MIDDLE), "column 10 ('label') is among the pixels: '{path}'"),
        (text(LABELS, ROWS[:, 1:], header=PIXELS_1), "783 columns of pixels, expected 784: '{path}'"),
        (text(LABELS, ROWS, np.ones(N, int)), "786 columns, but it is unclear which one holds the labels: '{path}'"),
        (LINE + "1" * 70_000, "cannot read the data set '{path}': line 2 is longer than 64 KiB"),
    ],
)
def test_bad_csv(tmp_path: Path, data: str, reason: str) -> None:
    """The message names the line, the column and the value."""
    path = tmp_path / "a.csv"
    path.write_text(data)
    with pytest.raises(DataError) as caught:
        tables.read(path)
    assert caught.value.message == reason.format(path=path)


def test_damaged_csv(tmp_path: Path) -> None:
    """Wherever bytes of a table are changed, it is refused, or it is a data set."""
    generator, path = random.Random(0), tmp_path / "a.csv"
    sound = text(LABELS[:3], ROWS[:3], header=HEADER).encode()
    refused = 0
    for _ in range(40):
        at, kept = generator.randrange(len(sound)), generator.choice((0, 1, 40))
        path.write_bytes(sound[:at] + bytes(generator.choices(b"\0\r\n\"',;.-e09\xff ", k=3)) + sound[at + kept :])
        try:
            rows = tables.read(path).arrays["train_images"]
        except DataError:
            refused += 1
        else:
            assert rows.dtype == np.uint8
            assert rows.shape[1] == 784
    assert 10 < refused < 40


def test_large_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed file is read up to a limit."""
    monkeypatch.setattr(csv_file, "MAX_TEXT", 100_000)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(LINE.encode() * 1000))
    with pytest.raises(DataError, match="it is too large"):
        tables.read(path)
    path.write_bytes(path.read_bytes()[:-9])
    monkeypatch.setattr(csv_file, "MAX_TEXT", 2**29)
    with pytest.raises(DataError, match="damaged or truncated"):
        tables.read(path)
