"""Reading and writing codes as JSON lines, CSV and .npy, in blocks.

JSON lines are `{"image": "train:1", "label": 0, "code": [...]}`. CSV has the columns image, label, c0, c1 and so on. Both have
the key or column class after the label where the labels have names.
An .npy file is an array (n, bottleneck). Nine digits preserve a float32 exactly.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.core.files import kinds, npy
from mnistae.core.files.read import DAMAGED_ZIP
from mnistae.core.text import csv_text
from mnistae.outputs import code_text
from mnistae.outputs.code_text import HINT, RIGHT_CHECKPOINT, Note

FORMATS = ("jsonl", "csv", "npy")

BLOCK = 1024
"""Codes that are read, decoded and written together."""

MAX_BYTES = 64 << 20
"""Limit of what is not read in blocks: an .npz file, packed and unpacked, and an array in Fortran order."""


@dataclass(frozen=True)
class Block:
    """Codes (B, bottleneck) with the image reference and the label of each, and its class where the labels have names."""

    images: Sequence[str]
    labels: Sequence[int | None]
    codes: Array
    classes: Sequence[str | None] | None = None


def header(kind: str, count: int, width: int, *, has_classes: bool = False) -> bytes:
    """Return the header of a file of `count` codes of `width` numbers."""
    if kind == "npy":
        return npy.header((count, width))
    if kind == "csv":
        return ",".join(["image", "label", *["class"] * has_classes, *(f"c{unit}" for unit in range(width))]).encode() + b"\n"
    return b""


def format_block(kind: str, block: Block) -> bytes:
    """Return a block of codes as one of the FORMATS."""
    if kind == "npy":
        return np.ascontiguousarray(block.codes, "<f4").tobytes()
    numbers = ",".join(["%.9g"] * block.codes.shape[1])
    texts = [numbers % tuple(code) for code in block.codes.tolist()]
    named = [{"class": name} for name in block.classes] if block.classes is not None else [{}] * len(texts)
    rows = zip(block.images, block.labels, named, texts, strict=True)
    if kind == "csv":
        lines = (
            f"{csv_text([[image, '' if label is None else label, *name.values()]])[:-1]},{text}\n"
            for image, label, name, text in rows
        )
    else:
        lines = (
            f'{json.dumps({"image": image, "label": label, **name})[:-1]}, "code": [{text.replace(",", ", ")}]}}\n'
            for image, label, name, text in rows
        )
    return "".join(lines).encode("utf-8", "surrogateescape")


def read(stream: io.BufferedReader, *, width: int, name: str, note: Note) -> Iterator[Array]:
    """Yield the codes of `stream` in blocks (B, width); the first bytes tell the format. Raises DataError.

    `name` is the name of the source in messages; `note` is called with what was passed over or converted.
    """
    try:
        start = stream.peek(kinds.SIZE)[: kinds.SIZE]
        kind = kinds.describe(start)
        if start.startswith(npy.MAGIC[:1]):
            yield from _read_npy(stream, width, name)
        elif start.startswith(b"PK"):
            yield from _read_npz(stream, width, name, note)
        elif kind is not None:
            raise DataError(f"{name} is {kind} and contains no codes", hint=HINT)
        else:
            yield from _in_blocks(code_text.rows(stream, width=width, name=name, note=note), width, name)
    except OSError as error:
        raise DataError(f"cannot read codes from {name}: {error.strerror or error}", hint=HINT) from error


def _read_npz(stream: IO[bytes], width: int, name: str, note: Note) -> Iterator[Array]:
    data = stream.read(MAX_BYTES + 1)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            entry = archive.getinfo("codes.npy" if "codes.npy" in names else names[0])
            if entry.filename != "codes.npy" and (len(names) > 1 or not names[0].endswith(".npy")):
                kind = "PyTorch file" if any(one.endswith("/data.pkl") for one in names) else "zip archive"
                found = f"{len(names)} members, the first ones {', '.join(names[:4])}"
                raise DataError(f"{name} is a {kind} without an array 'codes'", hint=f"it has {found}")
            if entry.file_size > MAX_BYTES or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise zipfile.BadZipFile(f"larger than {MAX_BYTES >> 20} MiB, or an unsupported compression")
            if len(names) > 1:
                note(f"{name}: array 'codes' read, skipped: {', '.join(one for one in names if one != entry.filename)}")
            with archive.open(entry) as member:
                yield from _read_npy(member, width, name)
    except (IndexError, *DAMAGED_ZIP) as error:
        raise DataError(f"cannot read the .npz file {name}: {error}", hint="recreate it, or save the codes as .npy") from error


def _read_npy(stream: IO[bytes], width: int, name: str) -> Iterator[Array]:
    try:
        shape, is_fortran, dtype = npy.read_header(stream)
    except ValueError as error:
        raise DataError(f"malformed .npy file: {name}", hint="recreate it") from error
    if len(shape) != 2 or shape[1] != width or dtype.kind not in "fiu":
        advice = ""
        if len(shape) == 2 and shape[1] != width:
            advice = "; transpose the array" if shape[0] == width else f"; {RIGHT_CHECKPOINT}"
        hint = f"expected real numbers of shape (n, {width}){advice}"
        raise DataError(f"array of shape {shape} and type {dtype} in {name}", hint=hint)
    if is_fortran and shape[0]:
        size = shape[0] * width * dtype.itemsize
        data = stream.read(min(size, MAX_BYTES) + 1)
        if len(data) != size:
            reason = f"{name} is truncated or oversized, or in Fortran order and larger than {MAX_BYTES >> 20} MiB"
            raise DataError(reason, hint="recreate it, with np.ascontiguousarray(codes)")
        stream = io.BytesIO(np.frombuffer(data, dtype).reshape(shape, order="F").tobytes())
    left = shape[0]
    while left > 0:
        rows = min(BLOCK, left)
        data = stream.read(rows * width * dtype.itemsize)
        if len(data) < rows * width * dtype.itemsize:
            raise DataError(f"{name} is truncated ({shape[0] - left:,} of {shape[0]:,} codes)", hint="recreate it")
        yield _require_finite(np.frombuffer(data, dtype).reshape(rows, width), shape[0] - left, name)
        left -= rows
    if stream.read(1):
        raise DataError(f"trailing data after {shape[0]:,} codes in {name}", hint="recreate it")


def _in_blocks(values: Iterable[Sequence[Any]], width: int, name: str) -> Iterator[Array]:
    rows: list[Sequence[Any]] = []
    done = 0
    for value in values:
        if len(value) != width:
            raise code_text.wrong_width(done + len(rows), len(value), width, name)
        rows.append(value)
        if len(rows) == BLOCK:
            yield _to_array(rows, done, name)
            done += len(rows)
            rows = []
    if rows:
        yield _to_array(rows, done, name)


def _to_array(rows: Sequence[Sequence[Any]], done: int, name: str) -> Array:
    numbers = []
    for k, row in enumerate(rows):
        try:
            numbers.append([float(cell) for cell in row])
        except (TypeError, ValueError, OverflowError) as error:
            shown = json.dumps(list(row))[:60]
            raise DataError(f"not a number in code {done + k} in {name}: '{shown}'", hint=HINT) from error
    return _require_finite(np.array(numbers), done, name)


def _require_finite(codes: NDArray[Any], done: int, name: str) -> Array:
    with np.errstate(over="ignore"):
        array: Array = codes.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise DataError(f"number that is not finite in code {done + int(bad[0])} in {name}", hint=HINT)
    return array
