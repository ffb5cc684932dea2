"""The data sets known by name: their files, mirrors and checksums."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from mnistae.core.errors import UsageError

GLYPHS = "glyphs"
DEFAULT = "mnist"

ROLES = ("train_images", "train_labels", "test_images", "test_labels")
"""The content of the four files of a data set."""

_MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class DatasetInfo:
    """One data set of IDX files. `files` are the names of the uncompressed files, in the order of ROLES."""

    name: str
    description: str
    torchvision: str
    """The class in torchvision.datasets that carries the archives' MD5 sums, and the folder of its layout."""
    mirrors: tuple[str, ...]
    """Folders of archives, https, tried in order; for EMNIST the one archive."""
    files: tuple[str, ...] = _MNIST_FILES
    sha256: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the content by file, where it is published."""
    transposed: bool = False
    """Whether the images in the files have rows and columns exchanged."""


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
        ),
        DatasetInfo(
            "kmnist",
            "cursive Japanese characters (2018)",
            "KMNIST",
            ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
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
        DatasetInfo(
            "emnist-digits",
            "280,000 handwritten digits (2017)",
            "EMNIST",
            ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
            files=(
                "emnist-digits-train-images-idx3-ubyte",
                "emnist-digits-train-labels-idx1-ubyte",
                "emnist-digits-test-images-idx3-ubyte",
                "emnist-digits-test-labels-idx1-ubyte",
            ),
            transposed=True,
        ),
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


def unknown(name: str) -> UsageError:
    """Return the error for a name that is not that of a data set to download."""
    if name == GLYPHS:
        return UsageError("'glyphs' is built in and has no folder", hint="use it with --dataset glyphs")
    close = difflib.get_close_matches(name.lower(), NAMES, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"valid names: {', '.join(NAMES)}; or a path"
    return UsageError(f"unknown data set: '{name}'", hint=hint)
