"""The checkpoints that come with the package: made by it, on MNIST, as docs/results.md tells. Nothing writes or removes them.

A run of the same name in the store goes before them.
"""

from pathlib import Path

LAB = "lab"
DENOISE = "denoise"
NAMES = (LAB, DENOISE)

_FOLDER = Path(__file__).with_name("builtin")


def folder(name: str) -> Path:
    """Return the folder of a built-in checkpoint, laid out as one in the store."""
    return _FOLDER / name


def is_one(path: Path) -> bool:
    """Whether a model file is that of a built-in checkpoint."""
    return path.parent.parent == _FOLDER
