"""The reference `-`: images from standard input, and a standard input that holds none."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mnistae.core.errors import UsageError
from mnistae.data import references
from mnistae.data.references import InputImage, SkippedImage
from mnistae.data.sets.dataset import Dataset
from tests.support.images import RAMP, npy


def no_dataset() -> Dataset:
    """Be a data set that must not be opened."""
    raise AssertionError("the data set was opened")


def load(*words: str) -> list[InputImage | SkippedImage]:
    return list(references.load([references.parse(word) for word in words], no_dataset))


def holding(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data))


class Terminal(io.StringIO):
    """A standard input that is a keyboard."""

    def isatty(self) -> bool:
        """Say that it is."""
        return True


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def test_an_array_gives_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array on standard input gives its images as a file does."""
    monkeypatch.setattr(sys, "stdin", holding(npy(RAMP)))
    images = [image for image in load("-") if isinstance(image, InputImage)]
    assert [image.name for image in images] == ["-[0]", "-[1]", "-[2]"]
    np.testing.assert_array_equal(references.stack(images), RAMP.reshape(3, 784) / np.float32(255))


def test_an_array_that_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images before the break have been given, in blocks; the rest is one failure."""
    monkeypatch.setattr(sys, "stdin", holding(npy(np.tile(RAMP, (34, 1, 1)))[:-1]))
    *images, failure = load("-")
    assert [image.name for image in images] == [f"-[{k}]" for k in range(64)]
    assert isinstance(failure, SkippedImage)
    assert failure.error.message.startswith("truncated or oversized .npy file")


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (None, "stdin is closed"),
        (closed(), "stdin is closed"),
        (holding(b""), "'standard input' is empty"),
        (holding(b"hello"), "unsupported image format: 'standard input'"),
        (holding(b"<!doctype html>"), "unsupported image format: 'standard input', a web page or XML document"),
    ],
)
def test_no_image(monkeypatch: pytest.MonkeyPatch, stream: object, message: str) -> None:
    """A standard input without an image is reported by its kind: closed, empty, something else."""
    monkeypatch.setattr(sys, "stdin", stream)
    [failure] = load("-")
    assert isinstance(failure, SkippedImage)
    assert failure.error.message == message


def test_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input can be named once, and a keyboard is none; neither the data set nor a file is opened to find that out."""
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match="'-' given more than once") as caught:
        load("-", "pipe.png", "0", "-")
    assert caught.value.hint == "stdin can be read only once"
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(UsageError, match="no input: stdin is a terminal"):
        load("pipe.png", "-")


def test_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard input that was opened for writing only is an expected failure."""
    with Path("out").open("wb") as out, os.fdopen(out.fileno(), "r", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        [failure] = load("-")
        assert isinstance(failure, SkippedImage)
        assert failure.error.message.startswith("cannot read 'standard input': ")
        assert failure.error.message.endswith("Bad file descriptor")
