"""Codes as text and arrays."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.outputs import code_io
from mnistae.outputs.code_io import BLOCK, FORMATS, MAX_CODE_CHARS, Block

WIDTH = 3


def text_of(kind: str, *blocks: Array) -> bytes:
    """Return blocks of codes as a stream."""
    parts = [code_io.header(kind, sum(map(len, blocks)), WIDTH)]
    for block in blocks:
        names = [f"train:{k}" for k in range(len(block))]
        parts.append(code_io.format_block(kind, Block(names, [None, *[3] * (len(block) - 1)], block)))
    return b"".join(parts)


def read(data: bytes) -> Array:
    blocks = list(code_io.read(io.BufferedReader(io.BytesIO(data)), width=WIDTH, name="x"))
    assert all(1 <= len(block) <= BLOCK for block in blocks)
    return np.concatenate([np.empty((0, WIDTH), np.float32), *blocks])


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_as_written(kind: str) -> None:
    """Codes of all magnitudes are read as they were written, also across blocks."""
    rng = np.random.default_rng(0)
    found = (10 ** rng.uniform(-30, 30, (BLOCK + 5, WIDTH)) * rng.choice([-1, 0, 1], (BLOCK + 5, WIDTH))).astype(np.float32)
    assert read(text_of(kind, found[:7], found[7:])).tobytes() == found.tobytes()


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3), max_size=5))
def test_any_float_is_preserved(rows: list[list[float]]) -> None:
    """Text preserves every float32."""
    array = np.array(rows, np.float32).reshape(-1, WIDTH)
    if len(array):
        for kind in FORMATS:
            assert read(text_of(kind, array)).tobytes() == array.tobytes()


def test_handwritten_and_jq_input_is_read() -> None:
    """Bare arrays, values over several lines, objects with other keys, CSV without a header or with reordered columns."""
    expected = [[1, 2, 3], [4, 5.5, 6]]
    streams = (
        "[1,2,3]\n[4,5.5,6]\n",
        '{"code": [1,2,3], "extra": {"a": []}}\n{"label": null, "code": [4, 5.5, 6]}',
        json.dumps([1, 2, 3], indent=2) + "\n" + json.dumps({"code": [4, 5.5, 6]}, indent=2),
        "1,2,3\n4,5.5,6\n",
        "c2,image,c0,c1\r\n3,x,1,2\r\n6,y,4,5.5\r\n",
    )
    for stream in streams:
        assert read(stream.encode()).tolist() == expected, stream
    other = io.BytesIO()
    np.save(other, np.array(expected, ">f8"))
    assert read(other.getvalue()).tolist() == expected


BAD = {
    b"[1,2]\n": "code 0 in x has 2 values, expected 3",
    b"[1,2,3]\n[1,2,3,4]": "code 1 in x has 4 values, expected 3",
    b'{"label": 1}\n': "without a code",
    b'{"code": 1}\n': "without a code",
    b"[1,2,NaN]": "not finite",
    b"[1,2,1e39]": "not finite",
    b"[1,2,1e999]": "not finite",
    b"[1,2,[]]": "not a number",
    b'[1,2,"a"]': "not a number",
    b"[1,2,": "malformed JSON",
    b"{" * 9: "malformed JSON",
    b"[" + b"1" * 2 * MAX_CODE_CHARS: "line longer than",
    b"[1,\n" * MAX_CODE_CHARS: "malformed JSON",
    b"1,2\n": "has 2 values, expected 3",
    b"a,b,c\n": "not a number",
    b"\xff\xfe,2,3": "not a number",
    b"\x93NUMPY\x01\x00": "malformed .npy",
    b"\x93NUMPY\x09\x00": "malformed .npy",
    b"\x93NUMPY\x01\x00\x28\x23" + b"-" * 9000: "malformed .npy",
}


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_bad_streams_are_refused(data: bytes) -> None:
    """Each error names the place and the reason."""
    with pytest.raises(DataError, match=BAD[data]):
        read(data)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4), np.float32), r"shape \(2, 4\)"),
        (np.zeros(3, np.float32), r"shape \(3,\)"),
        (np.zeros((2, 3), np.int64), "type int64"),
        (np.asfortranarray(np.ones((2, 3), np.float32)), "shape"),
        (np.array([[1, 2, np.inf]], np.float32), "not finite"),
    ],
)
def test_bad_arrays_are_refused(array: Array, message: str) -> None:
    """Shapes, types and numbers that cannot be codes are errors."""
    stream = io.BytesIO()
    np.save(stream, array)
    with pytest.raises(DataError, match=message):
        read(stream.getvalue())


def test_truncated_and_oversized_arrays_are_refused() -> None:
    """An array whose length is not that of its header is refused."""
    whole = text_of("npy", np.ones((5, WIDTH), np.float32))
    with pytest.raises(DataError, match="truncated"):
        read(whole[:-1])
    with pytest.raises(DataError, match="trailing data"):
        read(whole + b"x")


def test_csv_quotes_what_needs_it() -> None:
    """A path with commas, quotes and line breaks is one field; bytes that are not UTF-8 are preserved."""
    names = ['a,"b".png', "two\nlines", "\udcff.png"]
    text = code_io.format_block("csv", Block(names, [None] * 3, np.zeros((3, WIDTH), np.float32)))
    assert text == b'"a,""b"".png",,0,0,0\n"two\nlines",,0,0,0\n\xff.png,,0,0,0\n'
    lines = code_io.format_block("jsonl", Block(names, [1] * 3, np.zeros((3, WIDTH), np.float32))).splitlines()
    assert [json.loads(line)["image"] for line in lines] == names
