"""A data set of named classes: the commands show the names beside the labels, and data sets of digits have none."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli

CLASSES = ("Ankle boot", "cat", "dog")


@pytest.fixture
def named(tmp_path: Path, digits: dict[str, np.ndarray]) -> str:
    """A folder of three classes with four training and two test images each."""
    for split, count in (("train", 12), ("test", 6)):
        for index, image in enumerate(digits[f"{split}_images"][:count]):
            path = tmp_path / "named" / split / CLASSES[index % 3] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return str(tmp_path / "named")


def test_evaluate(cli: Cli, named: str) -> None:
    """The rows of the table and the document have the names of the classes."""
    document = json.loads(cli("evaluate", "-c", "lab", "--dataset", named, "--json", "--extremes", "1").out)
    assert [(row["digit"], row["class"]) for row in document["digits"]] == list(enumerate(CLASSES))
    assert document["worst"][0]["class"] == CLASSES[document["worst"][0]["label"]]
    assert "class" not in document["total"]
    lines = cli("evaluate", "-c", "lab", "--dataset", named).out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[2:6]] == ["class", *CLASSES]
    assert "MSE of class dog" in cli("evaluate", "lab", "denoise", "--dataset", named).out


@pytest.mark.parametrize("image", ["0", "train:0"])
def test_reconstruct(cli: Cli, named: str, image: str) -> None:
    """An image has its label and the name of its class."""
    answer = cli("reconstruct", image, "-c", "lab", "--dataset", named, "--json")
    assert {key: json.loads(answer.out)["images"][0][key] for key in ("label", "class")} == {"label": 0, "class": "Ankle boot"}
    assert "using data set" in answer.err
    assert "train: 12 images from 'train', 3 classes; test: 6 images from 'test', 3 classes" in answer.err


def test_encode(cli: Cli, named: str) -> None:
    """JSON lines and CSV have the class after the label, from indices and from a split; the CSV is decoded again."""
    lines = cli("encode", "--split", "test", "-c", "lab", "--dataset", named).out.splitlines()
    assert [json.loads(line)["class"] for line in lines] == [*CLASSES, *CLASSES]
    row = json.loads(cli("encode", "test:5", "-c", "lab", "--dataset", named, "--json").out)["images"][0]
    assert (row["label"], row["class"]) == (2, "dog")
    csv = cli("encode", "0", "-c", "lab", "--dataset", named, "-f", "csv", "-o", "codes.csv")
    assert csv.code == 0
    header, first = Path("codes.csv").read_text().splitlines()
    assert (header.split(",")[:4], first.split(",")[:3]) == (["image", "label", "class", "c0"], ["0", "0", "Ankle boot"])
    assert cli("decode", "codes.csv", "-c", "lab", "--json").code == 0


def test_raw_is_recorded(cli: Cli, tmp_path: Path, digits: dict[str, np.ndarray]) -> None:
    """A run that was trained on images that are not inverted is resumed and evaluated on the same images."""
    for index, image in enumerate(digits["train_images"][:8]):
        path = tmp_path / "inverted" / ("test" if index < 2 else "train") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - np.pad(image, 4)).save(path)
    assert cli("train", "--dataset", tmp_path / "inverted", "--raw", "-e", 1, "-b", 4, "--name", "r").code == 0
    for words in (("train", "--resume", "--name", "r", "-e", 2), ("evaluate", "-c", "r")):
        answer = cli(*words)
        assert (answer.code, "not inverted" in answer.err) == (0, True)
    assert "inverted all images" in cli("evaluate", "-c", "r", "--dataset", tmp_path / "inverted").err


def test_verify(cli: Cli, named: str) -> None:
    """The verification lists splits, labels, classes and notes."""
    document = json.loads(cli("datasets", "verify", named, "--json").out)
    assert document["images"] == {"train": 12, "test": 6}
    assert document["labels"] == {"train": 3, "test": 3}
    assert document["classes"] == list(CLASSES)
    assert document["notes"] == ["train: 12 images from 'train', 3 classes; test: 6 images from 'test', 3 classes"]
