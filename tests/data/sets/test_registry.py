"""Every data set known by name can be checked, and the error for a wrong name suggests the right one."""

import re

import pytest

from mnistae.data.sets import registry
from mnistae.data.sets.registry import DATASETS, ROLES, DatasetInfo

each_entry = pytest.mark.parametrize("entry", DATASETS.values(), ids=DATASETS)


@each_entry
def test_entry(entry: DatasetInfo) -> None:
    """An entry has a file for each role, and the default one the sum of each file's content."""
    assert len(set(entry.files)) == len(ROLES)
    for role, name in zip(ROLES, entry.files, strict=True):
        assert ("labels" in name) == ("labels" in role)
        assert ("train" in name) == ("train" in role)
    assert entry.name in registry.NAMES
    assert entry.sha256.keys() == (set(entry.files) if entry.name == registry.DEFAULT else set())
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in entry.sha256.values())


@each_entry
def test_torchvision(entry: DatasetInfo) -> None:
    """The classes are those of torchvision's tables, and the first mirror is torchvision's, over https."""
    from torchvision import datasets

    table = getattr(datasets, entry.torchvision)
    by_split = getattr(table, "classes_split_dict", {})
    classes = by_split.get(entry.name.removeprefix("emnist-"), getattr(table, "classes", []))
    assert not entry.classes or list(entry.classes) == classes
    mirror = {
        "EMNIST": getattr(table, "url", "").removesuffix("gzip.zip"),
        "QMNIST": table.resources["train"][0][0].rpartition("/")[0] + "/" if isinstance(table.resources, dict) else "",
        # torchvision's is an S3 web site, which has no https
        "FashionMNIST": "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    }.get(entry.torchvision, table.mirrors[0])
    assert entry.mirrors[0] == mirror.replace("http://", "https://")


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("MNIST", "unknown data set: 'MNIST'", "did you mean 'mnist'?"),
        ("FashionMNIST", "unknown data set: 'FashionMNIST'", "did you mean 'fashion-mnist'?"),
        ("glyph", "unknown data set: 'glyph'", "did you mean 'glyphs'?"),
        ("", "unknown data set: ''", f"valid names: {', '.join(registry.NAMES)}; or a path"),
        ("glyphs", "'glyphs' is built in and has no folder", "use it with 'mnistae train --dataset glyphs'"),
    ],
)
def test_unknown(name: str, message: str, hint: str) -> None:
    """A name that is not known is repeated, with the nearest one or all of them."""
    error = registry.unknown(name)
    assert (error.message, error.hint) == (message, hint)
