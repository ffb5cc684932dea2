"""An image reference has one meaning or is refused."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL
from mnistae.core.errors import DataError, UsageError
from mnistae.data import references
from mnistae.data.images import decode
from mnistae.data.references import SYNTAX, ImageRef, InputImage, Kind, SkippedImage
from mnistae.data.sets.dataset import Arrays, Content, Dataset, DatasetSpec, Split
from tests.support.images import npy

Digits = dict[str, np.ndarray]

NOT_AN_IMAGE = f"expected {SYNTAX}"


def dataset_of(digits: Digits) -> Dataset:
    """Return the tiny data as a data set named `tiny`."""
    arrays: Arrays = {role: array.reshape(len(array), -1) if array.ndim == 3 else array for role, array in digits.items()}
    return Dataset(DatasetSpec("tiny", "nowhere", sorted(arrays), lambda: Content(arrays)))


def no_dataset() -> Dataset:
    """Be a data set that must not be opened."""
    raise AssertionError("the data set was opened")


def resolve(digits: Digits, *texts: str, raw: bool = False) -> list[InputImage]:
    """Return the pictures that the words mean in the tiny data; the first failure is raised."""
    return only_pictures(references.load([references.parse(text) for text in texts], lambda: dataset_of(digits), raw=raw))


def only_pictures(found: Iterable[InputImage | SkippedImage]) -> list[InputImage]:
    """Return the pictures; raise the first failure."""
    pictures = []
    for item in found:
        if isinstance(item, SkippedImage):
            raise item.error
        pictures.append(item)
    return pictures


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", ImageRef("0", Kind.INDEX)),
        ("59999", ImageRef("59999", Kind.INDEX, number=59_999)),
        ("007", ImageRef("007", Kind.INDEX, number=7)),
        ("train:5", ImageRef("train:5", Kind.INDEX, number=5)),
        ("test:5", ImageRef("test:5", Kind.INDEX, Split.TEST, 5)),
        ("9" * 18, ImageRef("9" * 18, Kind.INDEX, number=10**18 - 1)),
        ("digit:0", ImageRef("digit:0", Kind.DIGIT)),
        ("digit:9/12", ImageRef("digit:9/12", Kind.DIGIT, number=12, digit=9)),
        ("-", ImageRef("-", Kind.STDIN)),
        ("a.png", ImageRef("a.png", Kind.FILE)),
        ("A.JPEG", ImageRef("A.JPEG", Kind.FILE)),
        ("a.npy", ImageRef("a.npy", Kind.FILE)),
        ("./5", ImageRef("./5", Kind.FILE)),
        ("-5.png", ImageRef("-5.png", Kind.FILE)),
        ("digits/two", ImageRef("digits/two", Kind.FILE)),
        ("is there", ImageRef("is there", Kind.FILE)),
        ("dangling", ImageRef("dangling", Kind.FILE)),
        ("folder", ImageRef("folder", Kind.FILES)),
        ("./folder/", ImageRef("./folder/", Kind.FILES)),
        ("scans/*.png", ImageRef("scans/*.png", Kind.FILES)),
        ("a?", ImageRef("a?", Kind.FILES)),
        ("[ab]*", ImageRef("[ab]*", Kind.FILES)),
        ("b[1].png", ImageRef("b[1].png", Kind.FILE)),
    ],
)
def test_parse(text: str, expected: ImageRef) -> None:
    """A word is an index, a digit, standard input, a path, or several; a path is what is there, or looks like one.

    A file's very name wins over what it would mean as a pattern.
    """
    for name in ("is there", "b[1].png"):
        Path(name).touch()
    Path("folder").mkdir()
    Path("dangling").symlink_to("nothing")
    assert references.parse(text) == expected


def test_an_index_is_never_a_file() -> None:
    """A file or a folder named like an index or a digit does not change what the word means."""
    for name in ("test:5", "digit:5"):
        Path(name).touch()
    Path("5").mkdir()
    assert [references.parse(name).kind for name in ("5", "test:5", "digit:5")] == [Kind.INDEX, Kind.INDEX, Kind.DIGIT]


INDEX = "in N, train:N and test:N, N counts from 0, for example test:7"
DIGIT = "in digit:D and digit:D/K, D is a digit from 0 to 9 and K counts from 0, for example digit:3/2"
INVALID = {
    NOT_AN_IMAGE: [
        *("", " ", "--1", "1e3", "1.0", "1_000", "0x1", "٣", "５", "²", "nan", "a\0b", ":5", "valid:5"),
        *("--", "picture", "picture.heic", "two.txt"),
    ],
    INDEX: ["-1", "+1", "train:", "test:", "train:-1", "train:5:6", "train:٣", "test:*", "train:?", "TEST:-1", "test:seven"],
    DIGIT: [
        *("digit:", "digit:10", "digit:12", "digit:-1", "digit:x", "digit:seven", "digit:3/", "digit:3/-1", "digit:3/x"),
        *("digit:3/4/5", "digit:3/four.png", "digit:٣", "digit:3/*"),
    ],
    "did you mean '1'?": ["1 ", " 1", "1\n"],
    "did you mean 'test:5'?": ["Test:5", "TEST:5", "test: 5", " test:5"],
    "did you mean 'train:5'?": ["Train:5"],
    "did you mean 'digit:3/2'?": ["Digit:3/2", "digit: 3 / 2"],
}


@pytest.mark.parametrize(("text", "hint"), [(text, hint) for hint, texts in INVALID.items() for text in texts])
def test_not_an_image(text: str, hint: str) -> None:
    """What is none of the forms is a usage error that repeats the word and says what is wrong, or lists the forms."""
    with pytest.raises(UsageError) as caught:
        references.parse(text)
    assert (caught.value.message, caught.value.hint) == (f"invalid image reference: '{text}'", hint)


@pytest.mark.parametrize("text", [str(10**30), "9" * 19, "0" * 19, f"test:{10**30}", f"digit:3/{10**30}", "1" * 10_000])
def test_enormous_numbers(text: str) -> None:
    """A number past every data set is refused as it is read, however long."""
    with pytest.raises(UsageError) as caught:
        references.parse(text)
    assert (caught.value.message, caught.value.hint) == (f"index out of range: '{text}'", NOT_AN_IMAGE)


@pytest.mark.parametrize(
    "text", ["0", "599", "train:1", "test:0", "test:99", "digit:7", "digit:7/0", "digit:0/3", "digit:9/59"]
)
def test_images_of_the_data_set(digits: Digits, text: str) -> None:
    """An index and the K of a digit count from 0, in the training set unless the word says otherwise."""
    kind, _, rest = text.rpartition(":")
    split, (number, _, k) = "test" if kind == "test" else "train", rest.partition("/")
    labels = digits[f"{split}_labels"]
    index = np.flatnonzero(labels == int(number))[int(k or 0)] if kind == "digit" else int(number)
    [picture] = resolve(digits, text)
    assert (picture.name, picture.label, picture.notes) == (text, labels[index], ())
    assert picture.pixels.dtype == np.float32
    np.testing.assert_array_equal(picture.pixels, digits[f"{split}_images"][index].reshape(784) / np.float32(255))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("600", "tiny has 600 training images (0 to 599)"),
        ("60000", "tiny has 600 training images (0 to 599)"),
        ("train:600", "tiny has 600 training images (0 to 599)"),
        ("test:100", "tiny has 100 test images (0 to 99)"),
        (str(2**31), "tiny has 600 training images (0 to 599)"),
        ("9" * 18, "tiny has 600 training images (0 to 599)"),
        ("digit:3/{threes}", "tiny has {threes} training images of digit 3, counted from 0"),
        ("digit:3/999999", "tiny has {threes} training images of digit 3, counted from 0"),
    ],
)
def test_past_the_end(digits: Digits, text: str, hint: str) -> None:
    """An image past the end is a usage error with the range; nothing wraps around."""
    threes = np.count_nonzero(digits["train_labels"] == 3)
    text, hint = text.format(threes=threes), hint.format(threes=threes)
    with pytest.raises(UsageError) as caught:
        resolve(digits, text)
    assert (caught.value.message, caught.value.hint) == (f"index out of range: '{text}'", hint)


def test_without_a_test_split(digits: Digits) -> None:
    """An image of a missing split is an error of the data."""
    train_only = {role: array for role, array in digits.items() if role.startswith("train")}
    with pytest.raises(DataError, match="data set 'tiny' has no test split"):
        resolve(train_only, "test:0")


def test_without_labels(digits: Digits) -> None:
    """Images without labels are had by index; no digit is among them."""
    unlabelled = {**digits, "train_labels": np.full(600, NO_LABEL, np.uint8)}
    assert [picture.label for picture in resolve(unlabelled, "0", "test:0")] == [None, digits["test_labels"][0]]
    with pytest.raises(UsageError) as caught:
        resolve(unlabelled, "digit:3")
    assert caught.value.hint == "tiny has 0 training images of digit 3, counted from 0"


def test_files(digits: Digits, tmp_path: Path) -> None:
    """A file gives its one image under its path, an array of several each under path[k], in order with the rest."""
    one, several = tmp_path / "one.npy", tmp_path / "several.npy"
    np.save(one, digits["test_images"][:1])
    np.save(several, digits["test_images"][1:4].reshape(3, 784))
    pictures = resolve(digits, str(several), "test:9", str(one))
    assert [picture.name for picture in pictures] == [*(f"{several}[{k}]" for k in range(3)), "test:9", str(one)]
    assert [picture.label for picture in pictures] == [None, None, None, digits["test_labels"][9], None]
    expected = digits["test_images"][[1, 2, 3, 9, 0]].reshape(5, 784) / np.float32(255)
    np.testing.assert_array_equal(references.stack(pictures), expected)


def test_files_alone_need_no_data_set(digits: Digits) -> None:
    """The data set is opened only for words that mean it."""
    Path("a.npy").write_bytes(npy(digits["test_images"][0]))
    assert [image.name for image in references.load([references.parse("a.npy")], no_dataset)] == ["a.npy"]
    with pytest.raises(AssertionError, match="the data set was opened"):
        list(references.load([references.parse("a.npy"), references.parse("0")], no_dataset))


def test_pictures_are_made_like_mnist(digits: Digits) -> None:
    """A picture is inverted and cut as need be, with notes of what was done; with `raw` it is left as it is."""
    image = digits["test_images"][0]
    Path("a.pgm").write_bytes(b"P5 28 28 255\n" + (255 - image).tobytes())
    [made], [raw] = resolve(digits, "a.pgm"), resolve(digits, "a.pgm", raw=True)
    np.testing.assert_array_equal(raw.pixels, ((255 - image) / np.float32(255)).reshape(784))
    assert raw.notes == ()
    assert made.notes[0] == "inverted (dark on light)"
    np.testing.assert_array_equal(made.pixels, decode.read_path(Path("a.pgm")).images.reshape(784))


@pytest.mark.parametrize("text", ["nothing.png", "no/such", "folder", "dangling", "pipe", "a.png/b", "x" * 5000 + ".png"])
def test_files_that_are_not_there(digits: Digits, text: str) -> None:
    """A path without a readable file behind it is an expected failure, at once."""
    Path("folder").mkdir()
    Path("dangling").symlink_to("nothing")
    Path("a.png").touch()
    os.mkfifo("pipe")
    with pytest.raises(DataError):
        resolve(digits, text)


def folder_of(digits: Digits, *names: str) -> list[str]:
    """Put pictures of these names, of the first test images by turns, into the working folder; return their names."""
    for k, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"P5 28 28 255\n" + digits["test_images"][k].tobytes())
    return list(names)


def test_a_folder_gives_its_pictures(digits: Digits) -> None:
    """They come in natural order, and the first one has the note on the files passed over."""
    names = folder_of(digits, "s/1.png", "s/10.png", "s/a.pgm")
    Path("s/a.heic").touch()
    pictures = resolve(digits, "s", raw=True)
    assert [(picture.name, picture.notes) for picture in pictures] == [
        (name, () if k else ("passed over 1 .heic in 's'",)) for k, name in enumerate(names)
    ]
    np.testing.assert_array_equal(references.stack(pictures), digits["test_images"][:3].reshape(3, 784) / np.float32(255))


def test_pictures_come_as_they_are_read(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is opened, and no part of an array read, before somebody asks for its pictures."""
    folder_of(digits, "s/1.png", "s/2.png")
    np.save("many.npy", np.zeros((1000, 28, 28), np.uint8))
    opened = []

    class Watched(io.FileIO):
        def __init__(self, path: Path) -> None:
            opened.append(self)
            super().__init__(path)

    monkeypatch.setattr("mnistae.data.images.decode.open_path", lambda path: io.BufferedReader(Watched(path)))
    found = references.load([references.parse("s"), references.parse("many.npy")], no_dataset)
    for k in range(3):
        assert len(opened) == k
        next(found)
    assert opened[-1].tell() < 100_000 < 1000 * 784


def test_one_failure_leaves_the_others(digits: Digits) -> None:
    """Files that give no picture stand as failures in their places; everything else is there, in order."""
    folder_of(digits, "s/1.png", "s/3.png")
    Path("s/2.png").write_text("no picture")
    parsed = [references.parse(text) for text in ("gone.png", "s", "test:9", "empty.npy")]
    found = list(references.load(parsed, lambda: dataset_of(digits)))
    assert [item.name for item in found] == ["gone.png", "s/1.png", "s/2.png", "s/3.png", "test:9", "empty.npy"]
    assert [isinstance(item, SkippedImage) for item in found] == [True, False, True, False, False, True]


def test_a_wrong_word_comes_before_any_file(digits: Digits) -> None:
    """An image that the data set does not have is found before a file is read."""
    os.mkfifo("pipe.png")
    found = references.load([references.parse("pipe.png"), references.parse("600")], lambda: dataset_of(digits))
    with pytest.raises(UsageError, match="index out of range: '600'"):
        next(iter(found))
