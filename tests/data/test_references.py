"""An image reference has one meaning or is refused."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.arrays import NO_LABEL
from mnistae.core.errors import UsageError
from mnistae.data import references
from mnistae.data.references import SYNTAX, ImageRef, InputImage, SkippedImage
from mnistae.data.sets.dataset import Arrays, Content, Dataset, Split
from tests.support.images import RAMP, npy

Digits = dict[str, np.ndarray]
Loaded = InputImage | SkippedImage

NOT_AN_IMAGE = f"expected {SYNTAX}"


def load(*texts: str, digits: Digits | None = None, raw: bool = True) -> Iterator[Loaded]:
    """Yield what references give; the tiny data are a data set named `tiny`, and without them it must not be opened."""

    def open_dataset() -> Dataset:
        assert digits is not None, "the data set was opened"
        arrays: Arrays = {role: array.reshape(len(array), -1) if array.ndim == 3 else array for role, array in digits.items()}
        return Dataset("tiny", "nowhere", sorted(arrays), lambda: Content(arrays))

    return references.load([references.parse(text) for text in texts], open_dataset, raw=raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", ImageRef("0", number=0)),
        ("007", ImageRef("007", number=7)),
        ("train:5", ImageRef("train:5", number=5)),
        ("test:5", ImageRef("test:5", Split.TEST, 5)),
        ("9" * 18, ImageRef("9" * 18, number=10**18 - 1)),
        ("digit:0", ImageRef("digit:0", number=0, digit=0)),
        ("digit:9/12", ImageRef("digit:9/12", number=12, digit=9)),
        *((text, ImageRef(text)) for text in ("-", "A.JPEG", "a.npy", "./5", "-5.png", "is there", "dangling", "b[1].png")),
        *((text, ImageRef(text, is_multiple=True)) for text in ("folder", "scans/*.png", "a?")),
    ],
)
def test_parse(text: str, expected: ImageRef) -> None:
    """A word is an index, a digit, standard input, a path, or several; a path is an existing one, or looks like one.

    A file's literal name wins over its meaning as a pattern, an index or a digit over a file of this name.
    """
    for name in ("is there", "b[1].png", "test:5", "digit:0"):
        Path(name).touch()
    for name in ("folder", "0", "-"):
        Path(name).mkdir()
    Path("dangling").symlink_to("nothing")
    assert references.parse(text) == expected


INDEX = "in N, train:N and test:N, N counts from 0, for example test:7"
DIGIT = "in digit:D and digit:D/K, D is a digit from 0 to 9 and K counts from 0, for example digit:3/2"
INVALID = {
    NOT_AN_IMAGE: ["", " ", "--1", "1e3", "1_000", "٣", "²", "a\0b", ":5", "valid:5", "picture", "picture.heic"],
    INDEX: ["-1", "+1", "train:", "train:-1", "train:5:6", "train:٣", "test:*", "TEST:-1"],
    DIGIT: ["digit:", "digit:10", "digit:-1", "digit:x", "digit:3/", "digit:3/-1", "digit:3/four.png", "digit:٣", "digit:3/*"],
    "did you mean '1'?": [" 1", "1\n"],
    "did you mean 'test:5'?": ["TEST:5", "test: 5"],
    "did you mean 'digit:3/2'?": ["Digit:3/2", "digit: 3 / 2"],
}


@pytest.mark.parametrize(("text", "hint"), [(text, hint) for hint, texts in INVALID.items() for text in texts])
def test_not_an_image(text: str, hint: str) -> None:
    """What is none of the forms is a usage error that repeats the text and says what is wrong, or lists the forms."""
    with pytest.raises(UsageError) as caught:
        references.parse(text)
    assert (caught.value.message, caught.value.hint) == (f"invalid image reference: '{text}'", hint)


@pytest.mark.parametrize("text", ["0", "599", "train:1", "test:99", "digit:7", "digit:0/3"])
def test_images_of_the_data_set(digits: Digits, text: str) -> None:
    """An index and the K of a digit count from 0, in the training set unless the word says otherwise."""
    kind, _, rest = text.rpartition(":")
    split, (number, _, k) = "test" if kind == "test" else "train", rest.partition("/")
    labels = digits[f"{split}_labels"]
    index = np.flatnonzero(labels == int(number))[int(k or 0)] if kind == "digit" else int(number)
    [picture] = load(text, digits=digits)
    assert isinstance(picture, InputImage)
    assert (picture.name, picture.label, picture.notes) == (text, labels[index], ())
    assert picture.pixels.dtype == np.float32
    np.testing.assert_array_equal(picture.pixels, digits[f"{split}_images"][index].reshape(784) / np.float32(255))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("600", "tiny has 600 training images (0 to 599)"),
        ("test:100", "tiny has 100 test images (0 to 99)"),
        ("9" * 18, "tiny has 600 training images (0 to 599)"),
        (f"test:{'1' * 10_000}", NOT_AN_IMAGE),
        (f"digit:3/{10**30}", NOT_AN_IMAGE),
        ("digit:3/{threes}", "tiny has {threes} training images of digit 3 (0 to {last})"),
    ],
)
def test_past_the_end(digits: Digits, text: str, hint: str) -> None:
    """An image past the end is a usage error with the range; nothing wraps around, however long the number."""
    threes = np.count_nonzero(digits["train_labels"] == 3)
    text, hint = text.format(threes=threes), hint.format(threes=threes, last=threes - 1)
    with pytest.raises(UsageError) as caught:
        list(load(text, digits=digits))
    assert (caught.value.message, caught.value.hint) == (f"index out of range: '{text}'", hint)


@pytest.mark.parametrize("text", ["5", "train:5", "digit:3", "digit:3/2"])
def test_a_file_or_folder_that_is_not_read(digits: Digits, text: str) -> None:
    """An index or a digit wins over a file or a folder of this name; that is noted once, and in the error past the end."""
    note = "read as an image of the data set, not from the {} './{}'; for that, write ./{}"
    folder_of(digits, text, "9999/a.png")
    kind = "folder" if Path(text).is_dir() else "file"
    pictures = list(load(text, "7", text, digits=digits))
    said = [picture.notes for picture in pictures if isinstance(picture, InputImage)]
    assert said == [(note.format(kind, text, text),), (), ()]
    [picture] = load(f"./{text}", digits=digits)
    assert isinstance(picture, InputImage)
    assert picture.notes == ()
    with pytest.raises(UsageError) as caught:
        list(load("9999", digits=digits))
    assert caught.value.hint.endswith(note.format("folder", "9999", "9999"))


def test_without_labels(digits: Digits) -> None:
    """Images without labels are had by index; no digit is among them."""
    unlabelled = {**digits, "train_labels": np.full(600, NO_LABEL, np.uint8)}
    pictures = load("0", "test:0", digits=unlabelled)
    assert [getattr(picture, "label", "skipped") for picture in pictures] == [None, digits["test_labels"][0]]
    with pytest.raises(UsageError) as caught:
        list(load("digit:3", digits=unlabelled))
    assert caught.value.hint == "tiny has 0 training images of digit 3"


def folder_of(digits: Digits, *names: str) -> None:
    """Put pictures of these names, of the first test images by turns, into the working folder."""
    for k, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"P5 28 28 255\n" + digits["test_images"][k].tobytes())


def test_files(digits: Digits) -> None:
    """A file gives its one image under its path, an array of several each under path[k], a folder its files in natural order.

    What cannot be loaded is in its place among them, and the first image of a folder has the note on the skipped files.
    """
    folder_of(digits, "s/1.png", "s/10.png")
    Path("s/2.png").write_text("no picture")
    Path("s/a.heic").touch()
    np.save("three.npy", digits["test_images"][2:5].reshape(3, 784))
    found = list(load("three.npy", "gone.png", "s", "test:9", "*.pgm", digits=digits))
    names = ["three.npy[0]", "three.npy[1]", "three.npy[2]", "gone.png", "s/1.png", "s/2.png", "s/10.png", "test:9", "*.pgm"]
    assert [item.name for item in found] == names
    pictures = [item for item in found if isinstance(item, InputImage)]
    assert [item.name for item in found if isinstance(item, SkippedImage)] == ["gone.png", "s/2.png", "*.pgm"]
    assert [picture.label for picture in pictures] == [None] * 5 + [digits["test_labels"][9]]
    assert {picture.name: picture.notes for picture in pictures if picture.notes} == {"s/1.png": ("skipped 1 .heic in 's'",)}
    expected = digits["test_images"][[2, 3, 4, 0, 1, 9]].reshape(6, 784) / np.float32(255)
    np.testing.assert_array_equal(references.stack(pictures), expected)


@pytest.mark.parametrize("raw", [False, True])
def test_raw(digits: Digits, raw: bool) -> None:
    """An image file that is dark on light is inverted, with `raw` it is not."""
    folder_of({"test_images": 255 - digits["test_images"]}, "dark.pgm")
    [picture] = load("dark.pgm", raw=raw)
    assert isinstance(picture, InputImage)
    assert picture.pixels[0] == raw
    assert bool(picture.notes) is not raw


def test_pictures_come_as_they_are_read(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is opened, no part of an array read, before somebody asks for its pictures, and no data set without need."""
    folder_of(digits, "s/1.png", "s/2.png")
    np.save("many.npy", np.zeros((1000, 28, 28), np.uint8))
    opened = []

    def open_path(path: str) -> io.FileIO:
        opened.append(io.FileIO(path))
        return opened[-1]

    monkeypatch.setattr("mnistae.data.images.decode.open_path", open_path)
    found = load("s", "many.npy")
    for k in range(3):
        assert len(opened) == k
        next(found)
    assert opened[-1].tell() < 100_000 < 1000 * 784


def test_an_index_is_checked_before_any_file(digits: Digits) -> None:
    """An image that the data set does not have is found before a file is read."""
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match="index out of range: '600'"):
        next(load("pipe.png", "600", digits=digits))


def holding(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data))


class WriteOnly(io.BytesIO):
    """A standard input that was opened for writing."""

    def read(self, *_: object) -> bytes:
        """Fail as the system does."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def test_an_array_that_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of an array on standard input are numbered; those before its end have been given, in blocks."""
    monkeypatch.setattr(sys, "stdin", holding(npy(np.tile(RAMP, (34, 1, 1)))[:-1]))
    *images, failure = load("-")
    assert [image.name for image in images] == [f"-[{k}]" for k in range(64)]
    assert isinstance(failure, SkippedImage)
    assert failure.error.message == "truncated or oversized .npy file: 'stdin'"


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (None, "stdin is closed"),
        (io.TextIOWrapper(WriteOnly()), "cannot read 'stdin': Bad file descriptor"),
        (holding(b""), "'stdin' is empty"),
        (holding(b"<!doctype html>"), "unsupported image format: 'stdin', a web page or XML document"),
    ],
)
def test_no_image_on_standard_input(monkeypatch: pytest.MonkeyPatch, stream: object, message: str) -> None:
    """A standard input without an image is reported by its kind: closed, unreadable, empty, something else."""
    monkeypatch.setattr(sys, "stdin", stream)
    [failure] = load("-")
    assert isinstance(failure, SkippedImage)
    assert failure.error.message == message


def test_usage_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is given once and is no terminal; neither the data set nor a file is opened to find that out."""
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match="'-' given more than once"):
        next(load("-", "pipe.png", "0", "-"))
    monkeypatch.setattr(sys, "stdin", holding(b""))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(UsageError, match="no input: stdin is a terminal"):
        next(load("pipe.png", "0", "-"))
