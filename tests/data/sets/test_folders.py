"""A folder of images is read by its layout, its 28x28 images unchanged and all others in one way."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistae.core.errors import DataError
from mnistae.data.images import files
from mnistae.data.sets import folders, pictures
from mnistae.data.sets.dataset import Content
from tests.support.images import saved

NO = 255
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARTLY = ("0", "one", "2", "3", "4", "5", "6", "7", "8", "nine")


def png(pixels: np.ndarray) -> bytes:
    return saved(Image.fromarray(pixels))


def put(path: Path, data: bytes) -> None:
    """Write a file and the folders around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def read(path: Path, *, raw: bool = False) -> Content:
    """Return the data set in a folder."""
    return folders.read(path, *files.find(str(path), recursive=True), raw=raw)


@pytest.mark.parametrize(
    ("names", "train", "test", "classes", "notes"),
    [
        ("b a", [NO, NO], None, (), ["train: 2 images, no labels"]),
        ("mnist_png/7/a mnist_png/0/a", [0, 7], None, (), ["train: 2 images, 2 classes"]),
        ("training/7/a testing/0/a", [7], [0], (), ["train: 1 image from 'training', 1 class; test: 1 image from 'testing'"]),
        ("Train/7/a T10K/0/a", [7], [0], (), ["from 'Train'", "from 'T10K'"]),
        ("data/TRN/7/a data/tst/0/a data/cover", [7], [0], (), ["from 'data/TRN'", "left out 1 image outside", "cover.png"]),
        ("trainingSet/trainingSet/7/a testSet/testSet/b trainingSample/7/c", [7], [NO], (), ["no labels", "trainingSample"]),
        ("7/train/a 0/test/a", [7], [0], (), ["from '*/train'", "from '*/test'"]),
        ("train/7/a validate/0/a", [7], [0], (), ["test: 1 image from 'validate'", "used 'validate' as the test split"]),
        ("01_train/7/a 02_test/0/a", [7], [0], (), ["train: 1 image from '01_train'", "test: 1 image from '02_test'"]),
        ("x/MNIST-JPG-training/7/a x/MNIST-JPG-testing/0/a x/a", [7], [0], (), ["from 'x/MNIST-JPG-testing'"]),
        ("train-yard/a bus/a", [0, 1], None, ("bus", "train-yard"), ["2 classes"]),
        ("labeled_train/7/a test/0/a", [7], [0], (), ["from 'labeled_train'"]),
        ("trainval/7/a val/0/a", [7], [0], (), ["from 'trainval'"]),
        ("trainA/a trainB/b testA/a", [NO, NO], [NO], (), ["train: 2 images from 'trainA', 'trainB', no labels"]),
        ("Trainingsdaten/7/a Testdaten/0/a", [0, 7], None, (), ["merged 2 folders", "'Testdaten', 'Trainingsdaten'"]),
        ("train_1 test_2", [NO, NO], None, (), ["file names with 'train' and 'test' are not read as splits"]),
        ("train/7/a val/0/a test/1/a", [7], [1], (), ["left out 1 image in 'val' (there is a test split)"]),
        ("test/7/a", None, [7], (), ["test: 1 image"]),
        ("train/w1/7/a train/w2/0/a", [7, 0], None, (), ["2 classes"]),
        ("train/w1/07/a train/w2/00/a", [7, 0], None, (), ["2 classes"]),
        ("01/0/a 01/3/a 02/7/a", [0, 3, 7], None, (), ["merged 2 folders of classes: '01', '02'"]),
        ("01/7/a 00/a", [0, 1], None, (), ["2 classes"]),
        ("00/00/a 00/01/a 01/00/a", [0, 0, 1], None, (), ["3 images, 2 classes"]),
        ("3/01/a 4/02/a", [3, 4], None, (), ["2 classes"]),
        ("train/000/0/a train/000/7/a", [0, 7], None, (), ["2 classes"]),
        ("train/apple/01/a train/apple/10/a", [0, 0], None, ("apple",), ["1 class"]),
        ("train/07/00/a train/07/01/a", [7, 7], None, (), ["1 class"]),
        ("01/train/7/a", [7], None, (), ["1 image from '01/train', 1 class"]),
        ("01/train/a", [NO], None, (), ["1 image from '01/train', no labels"]),
        ("train/images/a", [NO], None, (), ["no labels"]),
        ("train/images/cat/a test/images/dog/a", [0], [1], ("cat", "dog"), ["train: 1 image from 'train', 1 class"]),
        ("train/7/a test_results/plots/p", [7], None, (), ["left out 1 image outside", "test_results/plots/p.png"]),
        ("train/7/a val/0/a test_masks/1/a", [7], [0], (), ["used 'val' as the test split", "test_masks/1/a.png"]),
        ("test/0/a train_logs/plots/p", None, [0], (), ["left out 1 image outside"]),
        ("train/apple/ripe/a train/apple/raw/a test/apple/ripe/b", [0, 0], [0], ("apple",), []),
        ("train/seven/w1/a train/seven/w2/a", [7, 7], None, WORDS, []),
        ("train/10/w1/a train/10/w2/a", [10, 10], None, (), []),
        ("train/images/apple/ripe/a train/images/apple/raw/a", [0, 0], None, ("apple",), []),
        ("DEVON/a MAX/a TESTED/a", [0, 1, 2], None, ("DEVON", "MAX", "TESTED"), ["3 images, 3 classes"]),
        ("bus/a test-tube/x/a train-car/a", [0, 1, 2], None, ("bus", "test-tube", "train-car"), ["folder names with"]),
        ("0_test/a 0_train/a dev_0/a", [0, 1, 2], None, ("0_test", "0_train", "dev_0"), ["'train', 'test' and 'validation'"]),
        ("TESTED/w/a TRAINED/w/a", [0, 1], None, ("TESTED", "TRAINED"), ["2 images, 2 classes"]),
        ("train/7/a old_train/0/a", [7], None, (), ["left out 1 image outside"]),
        ("train/train-car/a train/bus/a", [0, 1], None, ("bus", "train-car"), []),
        ("cat/a cat/train-pics/b", [0, 0], None, ("cat",), []),
        ("train/by_class/7/w1/a train/by_class/0/w1/a", [0, 7], None, (), ["2 classes"]),
        ("a 7/a", [NO, 7], None, (), ["1 class, 1 without label"]),
        ("cat/a dog/x/a", [0, 1], None, ("cat", "dog"), ["2 classes"]),
        ("train/seven/a test/three/a", [7], [3], WORDS, []),
        ("train/7/img_2 train/0/img_10 train/3/img_1", [3, 7, 0], None, (), []),
        ("7/2 0/2 3/1", [0, 3, 7], None, (), []),
        ("7/a2 0/b1", [0, 7], None, (), []),
        ("B/a a/a b/a", [0, 1, 2], None, ("B", "a", "b"), ["differ only in case are different classes: 'B', 'b'"]),
        ("1/a 007/a class_3/a", [7, 1, 8], None, ("0", "1", "2", "3", "4", "5", "6", "007", "class_3"), []),
        ("00/a 09/a 10/a 11/a", [0, 9, 10, 11], None, (), ["4 classes"]),
        ("00240/a 00261/a", [0, 1], None, ("00240", "00261"), []),
        ("two/a one/a unknown/a", [1, 2, 3], None, ("0", "one", "two", "unknown"), []),
        ("train/one/a train/nine/a test/1/a test/09/a", [9, 1], [9, 1], PARTLY, ["the same class: '1', 'one', '09', 'nine'"]),
        ("01/a 1/a one/a 5/a", [6, 1, 5, 7], None, ("0", "1", "2", "3", "4", "5", "01", "one"), ["classes, although another"]),
        ("One/a one/a", [1, 1], None, WORDS, ["different names of the same class: 'One', 'one'"]),
        ("Sample005/a digit_3/a n03/a", [0, 1, 2], None, ("Sample005", "digit_3", "n03"), []),
        ("254/a x/a", [NO, NO], None, (), ["no labels", "left out the labels of 2 classes: their numbers would exceed 254"]),
        ("7/a notes.txt photo.heic", [7], None, (), ["skipped 1 .txt, 1 .heic"]),
        ("7/a 7/._a .ipynb_checkpoints/a __MACOSX/7/a", [7], None, (), ["train: 1 image, 1 class"]),
    ],
)  # fmt: skip
def test_layouts(
    tmp_path: Path, names: str, train: list[int] | None, test: list[int] | None, classes: tuple[str, ...], notes: list[str]
) -> None:
    """Folders say which split and class an image has, and the notes say what they were taken for."""
    for name in names.split():
        put(tmp_path / "set" / (name if "." in name[2:] else f"{name}.png"), png(np.zeros((28, 28), np.uint8)))
    content = read(tmp_path / "set")
    given = {"train_labels": train, "test_labels": test}
    found = {role: array.tolist() for role, array in content.arrays.items() if "labels" in role}
    assert (found, content.classes) == ({role: labels for role, labels in given.items() if labels}, classes)
    said = "; ".join(content.notes)
    assert all(note in said for note in notes), said
    assert ("differ only in case" in said) == any("differ only in case" in note for note in notes)


GREY = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
OPAQUE, SHAPE = np.full((28, 28), 255, np.uint8), np.where(GREY > 127, 255, 0).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY // 2, GREY // 3])
INK = np.pad(np.full((28, 28), 255, np.uint8), 14)  # light on dark, 56x56
WIDE = np.pad(np.full((8, 28), 200, np.uint8), ((3, 3), (14, 14)))  # 14x56
SMALL = np.pad(INK[14:42:2, 14:42:2][:7, :7], 3)


@pytest.mark.parametrize(
    ("image", "expected", "note"),
    [
        (GREY, GREY, None),
        (GREY // 255, GREY // 255 * 255, "values 0 and 1, read as background and ink"),
        (GREY // 255 * 100, GREY // 255 * 100, "the highest value is 100 of 255"),
        (np.dstack([GREY, OPAQUE]), GREY, None),
        (GREY > 127, SHAPE, None),
        (COLOUR, np.asarray(Image.fromarray(COLOUR).convert("L")), "converted 1 coloured image to grey"),
        (np.dstack([OPAQUE, SHAPE]), SHAPE, "composited 1 transparent image on black"),
        (np.dstack([0 * OPAQUE, SHAPE]), 255 - SHAPE, "composited 1 transparent image on white"),
        (INK, np.pad(np.full((14, 14), 255, np.uint8), 7), "scaled images to 28x28: 1 of 56x56"),
        (255 - INK, np.pad(np.full((14, 14), 255, np.uint8), 7), "inverted all images (dark on light; --raw keeps them)"),
        (WIDE, np.pad(np.full((4, 14), 200, np.uint8), ((12, 12), (7, 7))), "1 of 56x14"),
    ],
)  # fmt: skip
def test_pixels(tmp_path: Path, image: np.ndarray, expected: np.ndarray, note: str | None) -> None:
    """28x28 grey values stay as they are; whatever else is converted is said."""
    put(tmp_path / "a.png", png(image))
    content = read(tmp_path)
    np.testing.assert_array_equal(content.arrays["train_images"].reshape(28, 28), expected)
    assert [note in text for text in content.notes[1:]].count(True) == 1 if note else len(content.notes) == 1


@pytest.mark.parametrize("raw", [False, True])
def test_polarity_is_that_of_the_set(tmp_path: Path, raw: bool) -> None:
    """Where most of six images are dark on light, all six are inverted; with `raw`, none."""
    for dark in (2, 5):
        for index in range(6):
            put(tmp_path / f"{index}.png", png(255 - INK if index < dark else INK))
        content = read(tmp_path, raw=raw)
        is_inverted = dark == 5 and not raw
        are_dark = content.arrays["train_images"].mean(axis=1) < 128
        assert are_dark.tolist() == [(index < dark) == is_inverted for index in range(6)]
        assert content.notes[-1].startswith(f"{'' if is_inverted else 'not '}inverted")
        assert f"{dark} of 6 are dark on light" in content.notes[-1]


def test_binary_values_are_those_of_the_set(tmp_path: Path) -> None:
    """An image of 0 and 1 in a set of grey images is nearly black, and stays so."""
    put(tmp_path / "0.png", png(GREY))
    put(tmp_path / "1.png", png(GREY // 255))
    content = read(tmp_path)
    np.testing.assert_array_equal(content.arrays["train_images"][1], (GREY // 255).ravel())
    assert len(content.notes) == 1


@pytest.mark.parametrize(
    ("dtype", "suffix", "highest", "divisor"),
    [
        (np.uint16, "png", [200, 60_000, 0], 65535),
        (np.uint16, "png", [200, 100, 0], 255),
        (np.int32, "tif", [1, 200, 60_000], 65535),
        (np.float32, "tif", [1, 200, 0], 255),
        (np.float32, "tif", [1, 0.75, 0], 1),
    ],
)
def test_deep_images_have_the_scale_of_the_set(
    tmp_path: Path, dtype: type, suffix: str, highest: list[float], divisor: int
) -> None:
    """Images of 16 and 32 bits are divided by the full scale of the brightest of them, as in one array; 8 bits are apart."""
    images: list[np.ndarray] = [np.asarray(GREY / 255 * high, dtype) for high in highest]
    for index, image in enumerate(images):
        put(tmp_path / f"{index}.{suffix}", saved(Image.fromarray(image), {"png": "PNG", "tif": "TIFF"}[suffix]))
    put(tmp_path / "9.png", png(GREY))
    content = read(tmp_path)
    expected = [np.rint(image.ravel() / divisor * 255) for image in images]
    np.testing.assert_allclose(content.arrays["train_images"], [*expected, GREY.ravel()], atol=1)
    assert f", divided by {divisor} ({np.count_nonzero(highest)} images)" in content.notes[1]


def test_mixed_sizes(tmp_path: Path) -> None:
    """Beside images of 28x28, which stay as they are, no other is inverted."""
    for index, image in enumerate((255 - GREY, 255 - INK, 255 - INK, SMALL)):
        put(tmp_path / f"{index}.png", png(image))
    content = read(tmp_path)
    np.testing.assert_array_equal(content.arrays["train_images"][0], (255 - GREY).ravel())
    assert (content.arrays["train_images"].mean(axis=1) > 128).tolist()[1:] == [True, True, False]
    assert content.notes[1] == "scaled images to 28x28: 2 of 56x56, 1 of 28x28, 1 of 13x13"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:60], "damaged or truncated image: "),
        (lambda _: b"", "'"),  # the name comes first: "... is empty"
        (lambda _: b"<!doctype html>", "unsupported image format: "),
    ],
)
def test_damaged_images(tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    """A set with damaged images is refused as a whole; the first one is named, the others counted."""
    for index in range(5):
        put(tmp_path / f"{index}.png", damage(png(GREY)) if index in {2, 4} else png(GREY))
    with pytest.raises(DataError, match=r"2\.png'.* \(and 1 more of 5 images\)") as caught:
        read(tmp_path)
    assert reason in caught.value.message


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long work is counted, short work is not reported."""
    monkeypatch.setattr(pictures, "_EVERY", 2)
    seen: list[tuple[str, int, int | None]] = []
    for index in range(5):
        put(tmp_path / f"{index}.png", png(GREY))
    pictures.read(files.find(str(tmp_path), recursive=True)[0], progress=lambda *counts: seen.append(counts))
    assert seen == [("reading images", 2, 5), ("reading images", 4, 5)]
