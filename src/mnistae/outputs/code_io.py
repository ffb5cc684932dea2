"""Codes on their way through a pipe: JSON lines, CSV and .npy, written and read a block at a time.

JSON lines are `{"image": "train:1", "label": 0, "code": [...]}`; a bare array is read as well. CSV has the columns image,
label, c0, c1 and so on; without a header line every column is a number of the code. An .npy file is an array
(n, bottleneck). Nine digits bring a float32 back to the bit.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.core.files import npy

FORMATS = ("jsonl", "csv", "npy")

BLOCK = 1024
"""Codes that are read, decoded and passed on together."""

MAX_CODE_CHARS = 1 << 16
"""Characters that a code may take as text, over all its lines."""


@dataclass(frozen=True)
class Block:
    """Some codes (B, bottleneck), with the IMAGE word and the label of each."""

    images: Sequence[str]
    labels: Sequence[int | None]
    codes: Array


def header(kind: str, count: int, width: int) -> bytes:
    """Return what stands before the first of `count` codes of `width` numbers."""
    if kind == "npy":
        return npy.header((count, width))
    if kind == "csv":
        return ",".join(["image", "label", *(f"c{unit}" for unit in range(width))]).encode() + b"\n"
    return b""


def format_block(kind: str, block: Block) -> bytes:
    """Return a block of codes as one of the FORMATS."""
    if kind == "npy":
        return np.ascontiguousarray(block.codes, "<f4").tobytes()
    numbers = ",".join(["%.9g"] * block.codes.shape[1])
    texts = [numbers % tuple(code) for code in block.codes.tolist()]
    rows = zip(block.images, block.labels, texts, strict=True)
    if kind == "csv":
        lines = (f"{_quoted(image)},{'' if label is None else label},{text}\n" for image, label, text in rows)
    else:
        lines = (
            f'{{"image": {json.dumps(image)}, "label": {json.dumps(label)}, "code": [{text.replace(",", ", ")}]}}\n'
            for image, label, text in rows
        )
    return "".join(lines).encode("utf-8", "surrogateescape")


def read(stream: io.BufferedReader, *, width: int, name: str) -> Iterator[Array]:
    """Yield the codes of `stream` in blocks (B, width), told apart by their first byte. Raises DataError.

    `name` stands for the source in messages.
    """
    first = stream.peek(1)[:1]
    try:
        if first == npy.MAGIC[:1]:
            yield from _read_npy(stream, width, name)
            return
        lines = _lines(stream, name)
        values = _json_values(lines, name) if first in {b"{", b"["} else _csv_values(lines, name)
        yield from _in_blocks(values, width, name)
    except OSError as error:
        raise DataError(f"cannot read codes from {name}: {error.strerror or error}", hint=_HINT) from error


_HINT = "codes are what 'mnistae encode' writes: JSON lines, CSV or .npy"


def _read_npy(stream: io.BufferedReader, width: int, name: str) -> Iterator[Array]:
    try:
        shape, is_fortran, dtype = npy.read_header(stream)
    except ValueError as error:
        raise DataError(f"{name} holds no readable .npy array", hint=_HINT) from error
    if len(shape) != 2 or shape[1] != width or dtype.kind != "f" or (is_fortran and shape[0] > 1):
        raise DataError(f"{name} holds an array of shape '{shape}' and type '{dtype}'", hint=f"give floats (n, {width})")
    left = shape[0]
    while left > 0:
        rows = min(BLOCK, left)
        data = stream.read(rows * width * dtype.itemsize)
        if len(data) < rows * width * dtype.itemsize:
            raise DataError(f"{name} ends after {shape[0] - left:,} of its {shape[0]:,} codes or so", hint="make it again")
        yield _require_finite(np.frombuffer(data, dtype).reshape(rows, width), shape[0] - left, name)
        left -= rows
    if stream.read(1):
        raise DataError(f"{name} goes on after its {shape[0]:,} codes", hint="make it again")


def _lines(stream: io.BufferedReader, name: str) -> Iterator[str]:
    while line := stream.readline(MAX_CODE_CHARS):
        if len(line) == MAX_CODE_CHARS:
            raise DataError(f"{name} has a line of more than {MAX_CODE_CHARS:,} characters", hint=_HINT)
        yield line.decode("utf-8", "replace")


def _json_values(lines: Iterable[str], name: str) -> Iterator[list[Any]]:
    """Yield the arrays of a stream of JSON values, each of which may take several lines."""
    text = ""
    for line in lines:
        text += line
        if line.rstrip().endswith(("]", "}")):
            try:
                value = json.loads(text, parse_constant=float, parse_int=float)  # an int has no -0
            except (ValueError, RecursionError):  # not whole yet
                value = None
            if value is not None:
                yield _code_of(value, name)
                text = ""
        if len(text) > MAX_CODE_CHARS:
            break
    if text.strip():
        raise DataError(f"{name} holds something that is no JSON value: '{text.strip()[:40]}'", hint=_HINT)


def _code_of(value: object, name: str) -> list[Any]:
    code = value.get("code") if isinstance(value, dict) else value
    if not isinstance(code, list):
        raise DataError(f"{name} holds a JSON value without a code: '{str(value)[:40]}'", hint=_HINT)
    return code


def _csv_values(lines: Iterable[str], name: str) -> Iterator[list[str]]:
    """Yield the numbers of each row: those under c0, c1 and so on, or all if there is no header."""
    reader = csv.reader(lines)
    columns: list[int] | None = None
    try:
        for row in reader:
            if not row:
                continue
            if reader.line_num == 1 and "c0" in row:
                columns = [row.index(name) for name in (f"c{unit}" for unit in range(len(row))) if name in row]
                continue
            yield row if columns is None else [row[column] for column in columns if column < len(row)]
    except csv.Error as error:
        raise DataError(f"{name} is no readable CSV: {error}", hint=_HINT) from error


def _in_blocks(values: Iterable[Sequence[Any]], width: int, name: str) -> Iterator[Array]:
    rows: list[Sequence[Any]] = []
    done = 0
    for value in values:
        if len(value) != width:
            raise DataError(
                f"code {done + len(rows)} in {name} has {len(value)} numbers, and the checkpoint's bottleneck {width}",
                hint="decode with the checkpoint that the codes were made with: -c NAME",
            )
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
            raise DataError(f"code {done + k} in {name} holds something that is no number", hint=_HINT) from error
    return _require_finite(np.array(numbers), done, name)


def _require_finite(codes: NDArray[Any], done: int, name: str) -> Array:
    with np.errstate(over="ignore"):
        array: Array = codes.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise DataError(f"code {done + int(bad[0])} in {name} holds a number that is not finite", hint=_HINT)
    return array


def _quoted(text: str) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow([text])
    return stream.getvalue()[:-1]
