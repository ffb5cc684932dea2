"""Files of other programs given as a data set: what they are, and how to convert them."""

import contextlib
import zlib
from collections.abc import Sequence
from pathlib import Path

from mnistae.core.files import kinds

GZIP = "a gzip archive"

_CONVERSIONS = {
    "an Excel workbook": "save its sheet as CSV",
    "a Python pickle": "loading a pickle runs the code in it: if you trust it, load it and save its arrays with numpy.savez",
    "a PyTorch file": "load it with torch.load(FILE, weights_only=True) and save its tensors with numpy.savez",
    "an HDF5 file": "read it with h5py and save its arrays with numpy.savez",
    "a MATLAB file": "load it with scipy.io.loadmat and save its arrays: numpy.savez('new.npz', x=..., y=...)",
    "a Parquet file": "convert it: pandas.read_parquet(FILE).to_csv('new.csv', index=False), or save its images as PNG files",
    "an ARFF file": "remove all lines up to @DATA and rename it to .csv",
    "an IDX file": "give the folder that has it and the other three files of MNIST",
    **dict.fromkeys(
        (f"{name} archive" for name in ("a zip", "a gzip", "a bzip2", "an xz", "a Zstandard", "a 7-Zip", "a RAR")),
        "unpack it and give its file or folder",
    ),
}

_BY_SUFFIX = {".arff": "an ARFF file", ".mat": "a MATLAB file", ".pkl": "a Python pickle", ".pickle": "a Python pickle"}
"""Kinds of files that their first bytes do not always show."""

_ARCHIVES = {"data.pkl": "a PyTorch file", "workbook.xml": "an Excel workbook"}
"""Kinds of zip files by how the name of a member ends."""


def identify(data: bytes, path: Path) -> tuple[str | None, str | None]:
    """Return what a file is and how to convert it, or None for what is unknown. A gzip archive is named with its content."""
    kind = kinds.describe(data[: kinds.SIZE]) or _BY_SUFFIX.get(path.suffix.lower())
    packed = None
    if kind == GZIP:
        with contextlib.suppress(zlib.error):
            packed = kinds.describe(zlib.decompressobj(wbits=31).decompress(data, kinds.SIZE))
    hint = _CONVERSIONS.get(packed or "") or _CONVERSIONS.get(kind or "")
    return f"{kind} of {packed}" if packed else kind, hint


def identify_zip(names: Sequence[str]) -> tuple[str, str]:
    """Return what a zip archive is by the names of its members, and how to convert it."""
    kind = next((kind for end, kind in _ARCHIVES.items() for name in names if name.endswith(end)), "a zip archive")
    return kind, _CONVERSIONS[kind]
