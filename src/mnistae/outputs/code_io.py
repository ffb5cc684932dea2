"""Reading and writing codes as JSON lines, CSV and .npy, in blocks.

JSON lines are `{"image": "train:1", "label": 0, "code": [...]}`. CSV has the columns image, label, c0, c1 and so on. Both have
the key or column class after the label where the labels have names.
An .npy file is an array (n, bottleneck). Nine digits preserve a float32 exactly.
"""

import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import NO_LABEL, Array, Bytes
from mnistae.core.errors import DataError
from mnistae.core.files import kinds, npy, npz
from mnistae.core.files.read import UnreadableError
from mnistae.core.text import counted, csv_text
from mnistae.outputs import code_text
from mnistae.outputs.code_columns import HINT, RIGHT_CHECKPOINT, Note, wrong_width

FORMATS = ("jsonl", "csv", "npy")

BLOCK = code_text.BLOCK

MAX_BYTES = 64 << 20
"""Limit of what is not read in blocks: an .npz file, packed and unpacked, and an array in Fortran order."""


@dataclass(frozen=True)
class Block:
    """Codes (B, bottleneck) with the image reference and the label of each, and its class where the labels have names."""

    images: Sequence[str]
    labels: Sequence[int | None]
    codes: Array
    classes: Sequence[str | None] | None = None

    @classmethod
    def labelled(cls, images: Sequence[str], labels: Bytes, codes: Array, names: Sequence[str]) -> Self:
        """Return the block of images with labels (B,) of a data set whose classes have these names, or none."""
        numbers = [int(label) for label in labels]
        classes = [names[number] if number < len(names) else None for number in numbers] if names else None
        return cls(images, [None if number == NO_LABEL else number for number in numbers], codes, classes)

    def heads(self) -> list[dict[str, Any]]:
        """Return what is known of each code: image, label, and class where the labels have names."""
        columns = {"image": self.images, "label": self.labels, "class": self.classes}
        known = {name: column for name, column in columns.items() if column is not None}
        return [dict(zip(known, row, strict=True)) for row in zip(*known.values(), strict=True)]


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
    lines = []
    for head, code in zip(block.heads(), block.codes.tolist(), strict=True):
        text = numbers % tuple(code)
        if kind == "csv":
            lines.append(f"{csv_text([list(head.values())])[:-1]},{text}\n")
        else:
            lines.append(f'{json.dumps(head)[:-1]}, "code": [{text.replace(",", ", ")}]}}\n')
    return "".join(lines).encode("utf-8", "surrogateescape")


def read(
    stream: io.BufferedReader, *, width: int, name: str, note: Note, check_origin: Callable[[Any], None] | None = None
) -> Iterator[Array]:
    """Yield the codes of `stream` in blocks (B, width); the first bytes tell the format. Raises DataError.

    `name` is the name of the source in messages; `note` is called with what was skipped or converted,
    `check_origin` with the checkpoint that a JSON document names.
    """
    done = 0
    try:
        start = stream.peek(kinds.SIZE)[: kinds.SIZE]
        if start.startswith(npy.MAGIC[:1]):
            blocks = _read_npy(stream, width, name, note)
        elif start.startswith(b"PK"):
            blocks = _read_npz(stream, width, name, note)
        elif kind := kinds.describe(start):
            hint = "unpack it, and give the file in it" if "archive" in kind else HINT
            raise DataError(f"{name} is {kind}, not a file of codes", hint=hint)
        else:
            blocks = _in_blocks(
                code_text.rows(stream, width=width, name=name, note=note, check_origin=check_origin), width, name
            )
        for block in blocks:
            with np.errstate(over="ignore"):
                codes: Array = block.astype(np.float32)
            bad = np.flatnonzero(~np.isfinite(codes).all(axis=1))
            if bad.size:
                reason = f"code {done + int(bad[0])} in {name} has a value that is not finite in float32"
                raise DataError(reason, hint="correct or remove this code (counted from 0)")
            yield codes
            done += len(codes)
    except OSError as error:
        raise DataError(f"cannot read codes from {name}: {error.strerror or error}", hint=HINT) from error


def _read_npz(stream: IO[bytes], width: int, name: str, note: Note) -> Iterator[NDArray[Any]]:
    data = stream.read(MAX_BYTES + 1)
    try:
        names = npz.names(data)
        arrays = [one.removesuffix(".npy") for one in names if one.endswith(".npy")]
        if len(arrays) < len(names) or not names:
            kind = "PyTorch file" if any(one.endswith("/data.pkl") for one in names) else "zip archive"
            kind = "spreadsheet" if "xl/workbook.xml" in names else kind
            hint = "save the codes as CSV, or with np.save(FILE, codes)"
            raise DataError(f"{name} is a {kind}, not an .npz of arrays", hint=hint)
        if len(arrays) > 1 and "codes" not in arrays:
            found = f"{name} has {len(arrays)} arrays, none of them called 'codes': {', '.join(arrays[:8])}"
            raise DataError(found, hint="save the codes alone, or as np.savez(FILE, codes=...)")
        wanted = "codes.npy" if len(names) > 1 else names[0]
        member = npz.unpack(data, wanted, limit=MAX_BYTES, ignore_others=True)[wanted]
    except UnreadableError as error:
        raise DataError(f"cannot read the .npz file {name}: {error}", hint="recreate it, or save the codes as .npy") from error
    if len(names) > 1:
        note(f"{name}: array 'codes' read, skipped: {', '.join(one for one in arrays if one != 'codes')}")
    yield from _read_npy(io.BytesIO(member), width, name, note)


def _read_npy(stream: IO[bytes], width: int, name: str, note: Note) -> Iterator[NDArray[Any]]:
    try:
        shape, is_fortran, dtype = npy.read_header(stream)
    except ValueError as error:
        raise DataError(f"malformed .npy file: {name}", hint="recreate it") from error
    is_single, sizes = shape == (width,), [size for size in shape[1:] if size != 1]
    if dtype.kind not in "fiu" or not (is_single or (shape and sizes == [width][: width > 1])):
        advice = f"; {RIGHT_CHECKPOINT}" if len(shape) == 2 and dtype.kind in "fiu" else ""
        advice = "; transpose the array" if len(shape) == 2 and shape[0] == width else advice
        reason = f"unsupported array of shape {shape} and type {dtype} in {name}"
        raise DataError(reason, hint=f"expected real numbers of shape (n, {width}){advice}")
    count, row = 1 if is_single else shape[0], width * dtype.itemsize
    if len(shape) != 2:
        note(f"{name}: array of shape {shape} read as {counted(count, 'code')}")
    if is_fortran and count:
        data = stream.read(min(count * row, MAX_BYTES) + 1)
        if len(data) != count * row:
            reason = f"{name} is truncated or oversized, or in Fortran order and larger than {MAX_BYTES >> 20} MiB"
            raise DataError(reason, hint="recreate it, with np.ascontiguousarray(codes)")
        stream = io.BytesIO(np.frombuffer(data, dtype).reshape(shape, order="F").tobytes())
    for start in range(0, count, BLOCK):
        rows = min(BLOCK, count - start)
        data = stream.read(rows * row)
        if len(data) < rows * row:
            raise DataError(f"{name} is truncated ({start:,} of {count:,} codes)", hint="recreate it")
        yield np.frombuffer(data, dtype).reshape(rows, width)
    if stream.read(1):
        raise DataError(f"trailing data after {count:,} codes in {name}", hint="recreate it")


def _in_blocks(values: Iterator[Sequence[Any]], width: int, name: str) -> Iterator[NDArray[Any]]:
    numbered = enumerate(values)
    while rows := list(itertools.islice(numbered, BLOCK)):
        codes = []
        for place, row in rows:
            if len(row) != width:
                raise wrong_width(place, len(row), width, name)
            try:
                codes.append([_number(cell) for cell in row])
            except (TypeError, ValueError, OverflowError) as error:
                raise DataError(f"not a number in code {place} in {name}: '{json.dumps(list(row))[:60]}'", hint=HINT) from error
        yield np.array(codes)


def _number(cell: Any) -> float:
    """Return a number of a table or of JSON, where Python would take true and 1_0 as well."""
    if isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):
        raise ValueError(cell)
    return float(cell)
