"""Codes as text and arrays."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.outputs import code_io
from mnistae.outputs.code_io import BLOCK, FORMATS, Block
from mnistae.outputs.code_text import MAX_JSON, MAX_ROW

WIDTH = 3


def text_of(kind: str, *blocks: Array) -> bytes:
    """Return blocks of codes as a stream."""
    parts = [code_io.header(kind, sum(map(len, blocks)), WIDTH)]
    for block in blocks:
        names = [f"train:{k}" for k in range(len(block))]
        parts.append(code_io.format_block(kind, Block(names, [None, *[3] * (len(block) - 1)], block)))
    return b"".join(parts)


def read(data: bytes, notes: list[str] | None = None) -> Array:
    note = ([] if notes is None else notes).append
    blocks = list(code_io.read(io.BufferedReader(io.BytesIO(data)), width=WIDTH, name="x", note=note))
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


CODES = [[1.5, 2.25, 0], [4, 5.5, 6], [7, 8, 9.125]]
ROWS = "1.5,2.25,0\n4,5.5,6\n7,8,9.125\n"
DECIMALS = "1.5,2.25,0.0\n4.0,5.5,6.0\n7.0,8.0,9.125\n"
INDEXED = "0,1.5,2.25,0.0\n1,4.0,5.5,6.0\n2,7.0,8.0,9.125\n"
DOCUMENT = {"schema": 1, "images": [{"image": "a", "label": 0, "code": code} for code in CODES]}
RECORDS = [{"c2": code[2], "c0": code[0], "c1": code[1]} for code in CODES]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("".join(f"{code}\n" for code in CODES), ""),
        ("".join(f"{code} " for code in CODES), ""),
        ("\n".join(json.dumps({"x0": 0, "x1": 1, "x2": [], "code": code}) for code in CODES), ""),
        ("\n".join(json.dumps({"image": "]", "code": code}, indent=2) for code in CODES), ""),
        (json.dumps(CODES), ""),
        (json.dumps(CODES, indent=1), ""),
        (json.dumps(DOCUMENT, indent=2), ""),
        (json.dumps({"images": [{"image": "1"}], "codes": CODES}), ""),
        (json.dumps(RECORDS), ""),
        (ROWS, ""),
        ("c0,c1,c2\n" + ROWS, ""),
        ("c2,image,c0,c1\r\n0,x,1.5,2.25\r\n6,y,4,5.5\r\n9.125,z,7,8\r\n", ""),
        ("0,1,2\n" + ROWS, "x: first row '0,1,2' read as a header"),
        ("1,2,3\n" + DECIMALS, "x: first row '1,2,3' read as a header"),
        (",0,1,2\n" + INDEXED, "x: columns '0' to '2' read, skipped: (unnamed)"),
        (INDEXED, "x: first column skipped as an index ('0')"),
        ("tilt,loop,slant\n" + ROWS, "x: columns 'tilt' to 'slant' read"),
        ("z1,z2,z3\n" + INDEXED, "x: columns 'z1' to 'z3' read, x: first column skipped as an index ('0')"),
        ("1,5;2,25;0\n4;5,5;6\n7;8;9,125\n", "x: commas read as decimal points"),
        ('"1,5","2,25",0\n4,"5,5",6\n7,8,"9,125"\n', "x: commas read as decimal points"),
        (ROWS.replace(",", "\t").replace("\n", "\r"), ""),
        (ROWS.replace(",", "   ").replace("\n", " \r\n"), ""),
        ('"' + ROWS.strip().replace(",", '", "').replace("\n", '"\n\n"') + '"', ""),
        ("sep=;\n" + ROWS.replace(",", ";"), ""),
        (ROWS.replace("\n", ",\n"), ""),
        ("tilt,loop,slant\n" + ROWS.replace("\n", ",\n"), "x: columns 'tilt' to 'slant' read"),
        ("# by hand, 3 codes\n \n" + ROWS + "# end\n", ""),
    ],
)
def test_codes_of_other_programs_are_read(text: str, note: str) -> None:
    """JSON in any arrangement and tables of jq, NumPy, pandas, R and Excel give the same codes; assumptions are reported."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        notes: list[str] = []
        assert read(text.encode(encoding), notes).tolist() == CODES
        assert ", ".join(notes) == note


@pytest.mark.parametrize("data", [b"", b"\n \n", b"# a comment\n", b",,\n"])
def test_a_text_without_codes_is_empty(data: bytes) -> None:
    """Blank lines and comments hold no codes."""
    assert len(read(data)) == 0


@pytest.mark.parametrize("first", ["0,1,2", "1,2,3"])
def test_a_first_code_of_counts_is_not_lost(first: str) -> None:
    """Whole numbers that count are a code where they may be one, which is reported."""
    notes: list[str] = []
    rows = f"{first}\n" + ("4,5.5,6\n" if first == "1,2,3" else "")
    assert read(rows.encode(), notes)[0].tolist() == [float(cell) for cell in first.split(",")]
    assert notes == [f"x: first row '{first}' read as a code"]


def test_decimal_commas_are_reported_wherever_they_begin() -> None:
    """A comma after the rows that the columns are inferred from is reported too."""
    notes: list[str] = []
    assert read(b"2;2;3\n" * 9 + b"1;2;3,5\n4,5;5;6\n", notes)[-2:].tolist() == [[1, 2, 3.5], [4.5, 5, 6]]
    assert notes == ["x: commas read as decimal points"]


@pytest.mark.parametrize("kind", [">f8", "<f2", "<i8", "|u1", "F"])
def test_arrays_of_any_real_type_and_order_are_read(kind: str) -> None:
    """An .npy file and the array of an .npz file, alone or named codes, are read whatever their type and order."""
    array = np.asfortranarray(CODES) if kind == "F" else np.array(CODES).astype(kind)
    plain, alone, named = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(plain, array)
    np.savez(alone, array)
    np.savez_compressed(named, labels=np.arange(3), codes=array)
    for stream in (plain, alone, named):
        assert (read(stream.getvalue()) == array).all()


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), (2, 1, 3), (2, 3, 1, 1)])
def test_axes_of_length_one_are_dropped(shape: tuple[int, ...]) -> None:
    """A single code, and arrays with axes of length 1, are read, and what they are read as is reported."""
    stream, notes = io.BytesIO(), list[str]()
    array = np.random.default_rng(0).random(shape, np.float32)
    np.save(stream, array)
    assert (read(stream.getvalue(), notes) == array.reshape(-1, 3)).all()
    assert notes == [f"x: array of shape {shape} read as {array.size // 3} code{'s' * (array.size > 3)}"]


def test_other_archives_are_named() -> None:
    """Archives without codes are named for what they are, with the names of their arrays."""
    arrays, other = io.BytesIO(), io.BytesIO()
    np.savez(arrays, z=np.zeros((2, 3)), labels=np.zeros(2))
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("x/data.pkl", b"")
    with pytest.raises(DataError, match="x has 2 arrays, none of them called 'codes': z, labels"):
        read(arrays.getvalue())
    with pytest.raises(DataError, match="x is a PyTorch file, not an"):
        read(other.getvalue())


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
    b"[1,2,": "malformed or truncated JSON",
    b"{" * 9: "malformed or truncated JSON",
    b"[" * 9000 + b"]" * 9000: "malformed or truncated JSON",
    b"[" + b"1" * MAX_JSON: "line or code longer than",
    b"1" * 2 * MAX_ROW: "line or code longer than",
    b'1,"\n' + b'","\n' * MAX_ROW: "line or code longer than",
    b"[1,\n" * MAX_ROW: "malformed or truncated JSON",
    b'{"schema": 1, "error": {}}': "without a code in x: 'keys schema, error'",
    b"1,2\n": "has 2 values, expected 3 .the checkpoint's bottleneck",
    b"1,5,2,5,0,5\n": "has 6 values, expected 3",
    b"a.png,7,1.5,2.5,3\n": "has 5 values, expected 3",
    b"c0,c1,c2\n0.5,1.5,2.5,7\n1.5,1.5,2.5,8\n": "has 4 values, expected 3",
    b"1.5,2,3\n1,2\n": "code 1 in x is in a row of 2 columns; the first row has 3",
    b"array([[1.5, 2.5, 3.5]])": "x is the printed text of an array",
    b"[[1.5 2.5 3.5]\n [1.5 2.5 3.5]]": "x is the printed text of an array",
    b'{"c0": [1], "c1": [2], "c2": [3]}': "JSON by columns in x",
    b"1.5,,3\n": "not a number in code 0 in x",
    b"a,b,c\n": "no codes in x, only text such as 'a,b,c'",
    b",0,1,2\n": "no codes in x, only text such as ',0,1,2'",
    b"Dear all,\n\nthe codes are attached.\n": "no codes in x, only text such as 'Dear all,'",
    b"c0,c1,c3\n1,2,3\n": "no code of 3 values in the header of x: 'c0,c1,c3'",
    b"label,a,b\n1,2.5,3.5\n": "no code of 3 values in the header",
    b"a,b\n1,2\n": "no code of 3 values in the header",
    b"<!DOCTYPE html>": "x is a web page",
    b"\x89PNG\r\n\x1a\n": "x is a PNG image",
    b'\x10\0\0\0\0\0\0\0{"': "x is a safetensors file",
    b"PK\x03\x04": "cannot read the .npz file x",
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
        (np.zeros(4, np.float32), r"shape \(4,\)"),
        (np.zeros((2, 3, 3), np.float32), r"shape \(2, 3, 3\)"),
        (np.zeros((3, 1), np.float32), r"shape \(3, 1\)"),
        (np.zeros((2, 3), complex), "type complex128"),
        (np.array([["1", "2", "3"]]), "type <U1"),
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
