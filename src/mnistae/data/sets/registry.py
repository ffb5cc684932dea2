"""The data sets known by name: their files, mirrors, checksums and classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mnistae.core.errors import UsageError
from mnistae.core.text import suggestion

GLYPHS = "glyphs"
DEFAULT = "mnist"

ROLES = ("train_images", "train_labels", "test_images", "test_labels")
"""The content of the four files of a data set."""

MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")  # the other small letters are merged with the capitals

MAX_CONTENT = 640 * 2**20
"""EMNIST's 697,932 images of the split byclass are the largest file of all: 547 MB."""


@dataclass(frozen=True)
class DatasetInfo:
    """One data set of IDX files. `files` are the names of the uncompressed files, in the order of ROLES."""

    name: str
    description: str
    torchvision: str
    """The class in torchvision.datasets that carries the archives' MD5 sums, and the folder of its layout."""
    mirrors: tuple[str, ...]
    """Folders of archives, https, tried in order."""
    files: tuple[str, ...] = MNIST_FILES
    sha256: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the content by file, where it is published."""
    transposed: bool = False
    """Whether the images in the files have rows and columns exchanged."""
    classes: tuple[str, ...] = ()
    """The names of the labels 0, 1 and so on, where they are not digits."""
    max_content: int = 64 * 2**20
    """The most bytes of an uncompressed file."""


def _emnist(split: str, description: str, classes: Sequence[str] = ()) -> DatasetInfo:
    roles = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
    return DatasetInfo(
        f"emnist-{split}",
        description,
        "EMNIST",
        ("https://biometrics.nist.gov/cs_links/EMNIST/",),
        files=tuple(f"emnist-{split}-{role}-ubyte" for role in roles),
        transposed=True,
        classes=tuple(classes),
        max_content=MAX_CONTENT,
    )


DATASETS: dict[str, DatasetInfo] = {
    entry.name: entry
    for entry in (
        DatasetInfo(
            "mnist",
            "handwritten digits (1998)",
            "MNIST",
            ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
            sha256={
                "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ),
        DatasetInfo(
            "fashion-mnist",
            "articles of clothing (2017)",
            "FashionMNIST",
            ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
            classes=(
                *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
                *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            ),
        ),
        DatasetInfo(
            "kmnist",
            "cursive Japanese characters (2018)",
            "KMNIST",
            ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        ),
        DatasetInfo(
            "qmnist",
            "MNIST with 60,000 test digits (2019)",
            "QMNIST",
            ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
            files=(
                "qmnist-train-images-idx3-ubyte",
                "qmnist-train-labels-idx2-int",
                "qmnist-test-images-idx3-ubyte",
                "qmnist-test-labels-idx2-int",
            ),
        ),
        _emnist("digits", "280,000 handwritten digits (2017)"),
        _emnist("mnist", "70,000 handwritten digits of EMNIST (2017)"),
        _emnist("letters", "145,600 handwritten letters, upper and lower case (2017)", ("N/A", *_LETTERS)),
        _emnist("balanced", "131,600 handwritten characters of 47 classes (2017)", _BALANCED),
        _emnist("bymerge", "814,255 handwritten characters of 47 classes (2017)", _BALANCED),
        _emnist("byclass", "814,255 handwritten characters of 62 classes (2017)", f"0123456789{_LETTERS.upper()}{_LETTERS}"),
    )
}

NAMES = (*DATASETS, GLYPHS)
"""Every name that `--dataset` knows, besides paths."""


def archive_sums(entry: DatasetInfo) -> dict[str, str]:
    """Return the MD5 sums of the entry's archives, by archive name, from torchvision's tables."""
    from torchvision import datasets

    table = getattr(datasets, entry.torchvision)
    if entry.torchvision == "EMNIST":
        return {"gzip.zip": table.md5}
    resources = table.resources
    if isinstance(resources, dict):  # QMNIST's are by subset, with complete URLs
        resources = [*resources["train"], *resources["test"]]
    return {url.rpartition("/")[2]: md5 for url, md5 in resources}


def unknown(name: str, *, takes_paths: bool = True) -> UsageError:
    """Return the error for a name that is not that of a data set to download; `takes_paths` if glyphs or a path would do."""
    if name == GLYPHS:
        return UsageError("'glyphs' is built in and has no folder", hint="use it with 'mnistae train --dataset glyphs'")
    valid = NAMES if takes_paths else tuple(DATASETS)
    otherwise = f"valid names: {', '.join(valid)}{'; or a path' if takes_paths else ''}"
    return UsageError(f"unknown data set: '{name}'", hint=suggestion(name, valid, otherwise=otherwise))
