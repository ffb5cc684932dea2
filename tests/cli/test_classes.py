"""A data set of named classes: the commands show the names beside the labels, and data sets of digits have none."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import Cli, Digits

CLASSES = ("Ankle boot", "cat", "dog")
NOTE = "train: 12 images from 'train', 3 classes; test: 6 images from 'test', 3 classes"


def test_names_of_classes(cli: Cli, tmp_path: Path, digits: Digits) -> None:
    """Rows of tables and documents, images and codes have the name of their class; what is encoded can be decoded again."""
    for split, count in (("train", 12), ("test", 6)):
        for index, image in enumerate(digits[f"{split}_images"][:count]):
            path = tmp_path / "named" / split / CLASSES[index % 3] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    data = ("--dataset", tmp_path / "named")
    document = json.loads(cli("evaluate", "-c", "lab", *data, "--json", "--extremes", "1").out)
    assert [(row["digit"], row["class"]) for row in document["digits"]] == list(enumerate(CLASSES))
    assert document["worst"][0]["class"] == CLASSES[document["worst"][0]["label"]]
    assert "class" not in document["total"]
    lines = cli("evaluate", "-c", "lab", *data).out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[2:6]] == ["class", *CLASSES]
    assert "MSE of class dog" in cli("evaluate", "lab", "denoise", *data).out
    answer = cli("reconstruct", "train:0", "-c", "lab", *data, "--json")
    assert {key: json.loads(answer.out)["images"][0][key] for key in ("label", "class")} == {"label": 0, "class": "Ankle boot"}
    assert NOTE in answer.err
    lines = cli("encode", "--split", "test", "-c", "lab", *data).out.splitlines()
    assert [json.loads(line)["class"] for line in lines] == [*CLASSES, *CLASSES]
    header, first = cli("encode", "0", "-c", "lab", *data, "-f", "csv").out.splitlines()
    assert (header.split(",")[:4], first.split(",")[:3]) == (["image", "label", "class", "c0"], ["0", "0", "Ankle boot"])
    Path("codes.csv").write_text(f"{header}\n{first}\n")
    assert cli("decode", "codes.csv", "-c", "lab", "--json").code == 0
    document = json.loads(cli("datasets", "verify", tmp_path / "named", "--json").out)
    assert (document["images"], document["labels"]) == ({"train": 12, "test": 6}, {"train": 3, "test": 3})
    assert (document["classes"], document["notes"]) == (list(CLASSES), [NOTE])


def test_raw_is_recorded(cli: Cli, tmp_path: Path, digits: Digits) -> None:
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
