"""Reading and writing codes as JSON lines, CSV and .npy, in blocks.

JSON lines are `{"image": "train:1", "label": 0, "code": [...]}`; a bare array is read as well. CSV has the columns image,
label, c0, c1 and so on; without a header every column is a number of the code. An .npy file is an array (n, bottleneck).
Nine digits preserve a float32 exactly.
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
from mnistae.core.text import csv_text

FORMATS = ("jsonl", "csv", "npy")

BLOCK = 1024
"""Codes that are read, decoded and written together."""

MAX_CODE_CHARS = 1 << 16
"""Limit of a code in characters, over all its lines."""


@dataclass(frozen=True)
class Block:
    """Codes (B, bottleneck) with the image reference and the label of each."""

    images: Sequence[str]
    labels: Sequence[int | None]
    codes: Array


def header(kind: str, count: int, width: int) -> bytes:
    """Return the header of a file of `count` codes of `width` numbers."""
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
    """Yield the codes of `stream` in blocks (B, width); the first byte tells the format. Raises DataError.

    `name` is the name of the source in messages.
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


_HINT = "must be codes as written by 'mnistae encode': JSON lines, CSV or .npy"


def _read_npy(stream: io.BufferedReader, width: int, name: str) -> Iterator[Array]:
    try:
        shape, is_fortran, dtype = npy.read_header(stream)
    except ValueError as error:
        raise DataError(f"malformed .npy file: {name}", hint=_HINT) from error
    if len(shape) != 2 or shape[1] != width or dtype.kind != "f" or (is_fortran and shape[0] > 1):
        raise DataError(f"array of shape {shape} and type {dtype} in {name}", hint=f"must be floats of shape (n, {width})")
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


def _lines(stream: io.BufferedReader, name: str) -> Iterator[str]:
    while line := stream.readline(MAX_CODE_CHARS):
        if len(line) == MAX_CODE_CHARS:
            raise DataError(f"line longer than {MAX_CODE_CHARS:,} characters in {name}", hint=_HINT)
        yield line.decode("utf-8", "replace")


def _json_values(lines: Iterable[str], name: str) -> Iterator[list[Any]]:
    """Yield the arrays of a stream of JSON values, each of which may span several lines."""
    text = ""
    for line in lines:
        text += line
        if line.rstrip().endswith(("]", "}")):
            try:
                value = json.loads(text, parse_constant=float, parse_int=float)  # to keep -0
            except (ValueError, RecursionError):  # incomplete
                value = None
            if value is not None:
                yield _code_of(value, name)
                text = ""
        if len(text) > MAX_CODE_CHARS:
            break
    if text.strip():
        raise DataError(f"malformed JSON in {name}: '{text.strip()[:40]}'", hint=_HINT)


def _code_of(value: object, name: str) -> list[Any]:
    code = value.get("code") if isinstance(value, dict) else value
    if not isinstance(code, list):
        raise DataError(f"JSON value without a code in {name}: '{str(value)[:40]}'", hint=_HINT)
    return code


def _csv_values(lines: Iterable[str], name: str) -> Iterator[list[str]]:
    """Yield the numbers of each row: the columns c0, c1 and so on, or all columns without a header."""
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
        raise DataError(f"malformed CSV in {name}: {error}", hint=_HINT) from error


def _in_blocks(values: Iterable[Sequence[Any]], width: int, name: str) -> Iterator[Array]:
    rows: list[Sequence[Any]] = []
    done = 0
    for value in values:
        if len(value) != width:
            raise DataError(
                f"code {done + len(rows)} in {name} has {len(value)} values, expected {width}",
                hint="use the checkpoint that the codes were encoded with: -c NAME",
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
            raise DataError(f"not a number in code {done + k} in {name}", hint=_HINT) from error
    return _require_finite(np.array(numbers), done, name)


def _require_finite(codes: NDArray[Any], done: int, name: str) -> Array:
    with np.errstate(over="ignore"):
        array: Array = codes.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise DataError(f"number that is not finite in code {done + int(bad[0])} in {name}", hint=_HINT)
    return array


def _quoted(text: str) -> str:
    return csv_text([[text]]).removesuffix("\n")
