"""Codes as text and arrays."""

import io
import itertools
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from mnistae.core.arrays import Array
from mnistae.core.errors import DataError
from mnistae.outputs import code_io
from mnistae.outputs.code_columns import HINT, RIGHT_CHECKPOINT
from mnistae.outputs.code_io import BLOCK, FORMATS, Block
from mnistae.outputs.code_text import BY_ROWS, MAX_JSON, MAX_ROW
from tests.support.images import npy
from tests.support.weight_files import zipped

WIDTH = 3


def read(data: bytes, notes: list[str] | None = None, width: int = WIDTH) -> Array:
    note = ([] if notes is None else notes).append
    blocks = list(code_io.read(io.BufferedReader(io.BytesIO(data)), width=width, name="x", note=note))
    assert all(1 <= len(block) <= BLOCK for block in blocks)
    return np.concatenate([np.empty((0, width), np.float32), *blocks])


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_as_written(kind: str) -> None:
    """Text and arrays preserve every float32, also across blocks."""
    found = np.random.default_rng(0).integers(0, 256, (BLOCK + 5, WIDTH * 4), np.uint8).view(np.float32)
    found[~np.isfinite(found)] = 0
    found[0] = (-0.0, 1e-45, np.finfo(np.float32).max)
    blocks = [Block(["train:1"] * len(part), [None, *[3] * (len(part) - 1)], part) for part in (found[:7], found[7:])]
    text = code_io.header(kind, len(found), WIDTH) + b"".join(code_io.format_block(kind, block) for block in blocks)
    assert read(text).tobytes() == found.tobytes()


CODES = [[1.5, 2.25, 0], [4, 5.5, 6], [7, 8, 9.125]]
ROWS = "1.5,2.25,0\n4,5.5,6\n7,8,9.125\n"
DECIMALS = "1.5,2.25,0.0\n4.0,5.5,6.0\n7.0,8.0,9.125\n"
INDEXED = "0,1.5,2.25,0.0\n1,4.0,5.5,6.0\n2,7.0,8.0,9.125\n"
DOCUMENT = {"schema": 1, "images": [{"image": "a", "label": 0, "code": code} for code in CODES]}
PADDED = "x: columns 'p' to 'r' read, x: 2 rows without values skipped"
EMPTY_FIRST = "x: first column skipped as an index ('0'), x: 1 row without values skipped"
RECORDS = [{"c2": code[2], "c0": code[0], "c1": code[1]} for code in CODES]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("".join(f"{code}\n" for code in CODES), ""),
        ("\n".join(json.dumps({"x0": 0, "x1": 1, "x2": [], "code": code}) for code in CODES), ""),
        ("\n".join(json.dumps({"image": "]", "code": code}, indent=2) for code in CODES), ""),
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
        ("1,5;2,25;0\n4;5,5;6\n7;8;9,125\n", "x: commas read as decimal points"),
        ('"1,5","2,25",0\n4,"5,5",6\n7,8,"9,125"\n', "x: commas read as decimal points"),
        (ROWS.replace(",", "\t").replace("\n", "\r"), ""),
        (ROWS.replace(",", "   ").replace("\n", " \r\n"), ""),
        ('"' + ROWS.strip().replace(",", '", "').replace("\n", '"\n\n"') + '"', ""),
        ("sep=;\n" + ROWS.replace(",", ";"), ""),
        (ROWS.replace("\n", ",\n"), ""),
        ("1,5 | 2,25 | 0\n4 | 5,5 | 6\n7 | 8 | 9,125\n", "x: commas read as decimal points"),
        ("c0 | c1 | c2\n" + ROWS.replace(",", " | "), ""),
        (INDEXED.replace(",", " | "), "x: first column skipped as an index ('0')"),
        ("image , c0 , c1 , c2 \na," + ROWS.replace("\n", "\nb,", 2), ""),
        ("a|b.png," + ROWS.replace("\n", "\nb,", 2), "x: first column skipped as an index ('a|b.png')"),
        ("a|b,c0,c1,c2\n0," + ROWS.replace("\n", "\n1,", 2), "x: columns 'c0' to 'c2' read, skipped: a|b"),
        ("label,0,1,2,nan\n7," + ROWS.replace("\n", ",7\n7,", 2)[:-1] + ",7\n", "x: columns '0' to '2' read, skipped: nan"),
        ("a|b c0 c1 c2\n0 " + ROWS.replace(",", " ").replace("\n", "\n1 ", 2), "x: columns 'c0' to 'c2' read, skipped: a|b"),
        ("c0,c1,c2,2023\n" + ROWS.replace("\n", ",7\n"), "x: columns 'c0' to 'c2' read, skipped: 2023"),
        (ROWS.replace("\n", "\n,,\n", 2), "x: 2 rows without values skipped"),
        ("image,c0,c1,c2\n#1," + ROWS.replace("\n", "\n#2,", 2) + "#,\n", "x: 3 rows beginning with # read as codes"),
        ("#1,2,3\n# a,b,c\n" + ROWS, "x: 1 row beginning with # skipped as comments"),
        ("# a b c\n#1  2 3\n" + ROWS.replace(",", " "), "x: 1 row beginning with # skipped as comments"),
        ("c0,c1,c2\n#1,2,3\n#\n" + ROWS, "x: 1 row beginning with # skipped as comments"),
        ("# by hand, 3 codes\n \n" + ROWS + "# end\n", ""),
        ("# c2,c0,c1\n0,1.5,2.25\n6,4,5.5\n9.125,7,8\n", ""),
        ("# label c0 c1 c2\n7 " + ROWS.replace(",", " ").replace("\n", "\n7 ", 2), ""),
        ("# codes by digit\n" + ROWS.replace(",", " "), ""),
        ("x,y,z\n" + ROWS, "x: columns 'x' to 'z' read"),
        ("p,q,r\n" + ROWS.replace("\n", ",,\n"), "x: columns 'p' to 'r' read"),
        ("p;q;r;;\n" + ROWS.replace("\n", ",,\n").replace(",", ";") + ";;;;\n" * 2, PADDED),
        (";;;;;\n" + INDEXED.replace("\n", ",,\n").replace(",", ";"), EMPTY_FIRST),
        ("image,c0,c1,c2\n#1," + ROWS.replace("\n", ",,\n#2,", 2), "x: 3 rows beginning with # read as codes"),
        (ROWS.replace("\n", ",,\n#1,2,3,,\n", 1), "x: 1 row beginning with # skipped as comments"),
    ],
)
def test_codes_of_other_programs_are_read(text: str, note: str) -> None:
    """JSON in any arrangement and tables of jq, NumPy, pandas, R and Excel give the same codes; assumptions are reported."""
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        notes: list[str] = []
        assert read(text.encode(encoding), notes).tolist() == CODES
        assert ", ".join(notes) == note


@pytest.mark.parametrize(
    ("data", "codes", "note"),
    [
        (b"\n \n", [], []),
        (b"# a comment\n", [], []),
        (b",,\n", [], []),
        (b"0,1,2\n", [[0, 1, 2]], ["x: first row '0,1,2' read as a code"]),
        (b"1e0,1e1,1e2\n4,5,6\n", [[1, 10, 100], [4, 5, 6]], []),
        (b"1,2,3\n4,5.5,6\n", [[1, 2, 3], [4, 5.5, 6]], ["x: first row '1,2,3' read as a code"]),
        (b"[1]", [[1]], []),
        (b"0.5\n1.5\n", [[0.5], [1.5]], []),
        (b"0\n1\n", [[0], [1]], ["x: first row '0' read as a code"]),
        (b"c0\n0.5\n", [[0.5]], []),
        (b"image,label,c0\na,3,0.5\n", [[0.5]], []),
        (b",c0,0\n0,0.5,7\n", [[0.5]], ["x: columns 'c0' to 'c0' read, skipped: (unnamed), 0"]),
        (b"a|b 0.5\n", [[0.5]], ["x: first column skipped as an index ('a|b')"]),
        (b"0,0.5\n1,1.5\n", [[0.5], [1.5]], ["x: first column skipped as an index ('0')"]),
        (b"0,125;1,25;10,976\n", [[0.125, 1.25, 10.976]], ["x: commas read as decimal points"]),
        (b"7;8;9,125\n1;2;10,5\n", [[7, 8, 9.125], [1, 2, 10.5]], ["x: commas read as decimal points"]),
        (b"2;2;3\n" * 3 + b"1;2;3,5\n", [[2, 2, 3]] * 3 + [[1, 2, 3.5]], ["x: commas read as decimal points"]),
        (b"7;8;9,125\n", [[7, 8, 9.125]], ["x: commas read as decimal points"]),
        *(
            (b"1,234;2,345;3,456\n" * 4 + last, [[1.234, 2.345, 3.456]] * 4 + [code], ["x: commas read as decimal points"])
            for last, code in (
                (b"0,125;1;2\n", [0.125, 1, 2]),
                (b"1;-0,5;2\n", [1, -0.5, 2]),
                (b"1;2;3,4560\n", [1, 2, 3.456]),
                (b"1;2;1234,567\n", [1, 2, 1234.567]),
            )
        ),
    ],
)
def test_what_a_text_holds(data: bytes, codes: list[list[float]], note: list[str]) -> None:
    """Comments and blank lines hold no codes; numbers that count are a code where they may be one; a late comma is reported.

    Codes may be single numbers.
    """
    notes: list[str] = []
    found = read(data, notes, len(codes[0]) if codes else WIDTH)
    assert (found.tolist(), notes) == (np.array(codes, np.float32).tolist(), note)


@pytest.mark.parametrize("kind", [">f8", "<f2", "<i8", "|u1", "F"])
def test_arrays_of_any_real_type_and_order_are_read(kind: str) -> None:
    """An .npy file and the array of an .npz file, alone or named codes, are read whatever their type and order."""
    array = np.asfortranarray(CODES) if kind == "F" else np.array(CODES).astype(kind)
    for data in (npy(array), npz_of(arr_0=array), npz_of(labels=np.arange(3), codes=array)):
        assert (read(data) == array).all()


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), (2, 1, 3), (2, 3, 1, 1)])
def test_axes_of_length_one_are_dropped(shape: tuple[int, ...]) -> None:
    """A single code, and arrays with axes of length 1, are read, and what they are read as is reported."""
    notes: list[str] = []
    array = np.random.default_rng(0).random(shape, np.float32)
    assert (read(npy(array), notes) == array.reshape(-1, 3)).all()
    assert notes == [f"x: array of shape {shape} read as {array.size // 3} code{'s' * (array.size > 3)}"]


def test_array_beside_the_codes() -> None:
    """Other arrays of an .npz are skipped, whatever their size."""
    notes: list[str] = []
    images = np.zeros(code_io.MAX_BYTES // 4 + 1, np.float32)
    assert read(npz_of(codes=np.ones((2, 3)), images=images), notes).tolist() == [[1, 1, 1]] * 2
    assert notes == ["x: array 'codes' read, skipped: images"]


def npz_of(**arrays: object) -> bytes:
    np.savez_compressed(stream := io.BytesIO(), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


PRINTED = {
    **dict.fromkeys(
        (
            b"array([[1.5, 2.5, 3.5]])",
            b"[[1.5 2.5 3.5]\n [1.5 2.5 3.5]]",
            b"[[nan 2.5 3.5]]",
            b"[array([1.5, 2.5, 3.5]), array([1.5, 2.5, 3.5])]",
            b"[np.float32(1.5), np.float32(2.5), np.float32(3.5)]",
            b"Parameter containing:\ntensor([[1.5, 2.5, 3.5]])",
        ),
        "np.save(FILE, codes)",
    ),
    **dict.fromkeys(
        (
            b"     [,1] [,2] [,3]\n[1,]  1.5  2.5  3.5\n",
            b"[1,]  1.5  2.5  3.5\n",
            b"[1] 1.5 2.5 3.5\n",
            b"[[1]]\n[1] 1.5 2.5 3.5\n",
        ),
        "write.csv(codes, FILE, row.names = FALSE)",
    ),
    **dict.fromkeys(
        (
            b"\nz =\n\n    1.5000    2.5000    3.5000\n",
            b"  Columns 1 through 3\n\n  1.5  2.5  3.5\n",
            b"   1.0e+03 *\n\n  1.5  2.5  3.5\n",
        ),
        "writematrix(codes, 'codes.csv')",
    ),
    **dict.fromkeys(("1×3 Matrix{Float64}:\n 1.5  2.5  3.5\n".encode(), b"Float32[1.5 2.5 3.5]"), "writedlm(FILE, codes)"),
}
"""Printed text of Python, R, MATLAB and Julia, with the call that writes the array instead."""

FRAMES = [
    b'{"columns": ["p", "q", "r"], "index": [0], "data": [[1.5, 2.5, 3.5]]}',
    b'{"schema": {"fields": []}, "data": [{"p": 1.5, "q": 2.5, "r": 3.5}]}',
    b'{"4": {"p": 1.5, "q": 2.5, "r": 3.5}}',
    b'{"p": [1.5], "q": [2.5], "r": [3.5]}',
]
"""JSON of pandas: orient='split', 'table', 'index', and to_dict('list')."""

INDEXES = [
    *(
        f"{name},a,b\n0,2.5,3.5\n1,2.5,3.5\n".encode()
        for name in ("idx", "ID", '"index"', "row", "n", "Nr.", "y", "#", "image_id", "# idx")
    ),
    *(
        f"a,b,{name}\n2.5,3.5,0\n2.5,3.5,1\n".encode()
        for name in ("no", "number", "Digit", "target", "true_label", "split", "#")
    ),
    b"# idx c0 c1\n0 2.5 3.5\n",
]
"""Tables of two values, and an index or a label."""

NO_FRAME = "expected arrays of numbers, or objects with a key 'code', 'codes' or 'images', or with 'c0', 'c1' and so on"
PYTORCH_FILE = zipped({"x/data.pkl": b""})
BAD = {
    b"1\n2\n": "code 0 in x has 1 value, expected 3",
    b"[1,2,3]\n[1,2,3,4]": "code 1 in x has 4 values, expected 3",
    b"[]": "code 0 in x has 0 values",
    b'{"code": 1}\n': "without a code",
    b"[1,2,NaN]": "not finite",
    b"[1,2,1e39]": "not finite",
    b"[1,2,[]]": "not a number",
    b"[1,2,true]": "not a number",
    b"1.5,2,1_0\n": "not a number",
    b"| c0 | c1 | c2 |\n|---|---|---|\n| 1 | 2 | 3 |\n": "x is a Markdown table",
    b"0,1.5,2.5,3.5\n": "has 4 values, expected 3",
    b"[1,2,": "malformed or truncated JSON",
    b"[" * 200_000 + b"]" * 200_000: "malformed or truncated JSON",
    b"[" + b"1" * MAX_JSON: "line or code longer than",
    b"1" * 2 * MAX_ROW: "line or code longer than",
    b'1,"\n' + b'","\n' * MAX_ROW: "line or code longer than",
    b"[1,\n" * MAX_ROW: "malformed or truncated JSON",
    b'{"schema": 1, "error": {}}': "without a code in x: 'keys schema, error'",
    b'{"latents": [[1, 2, 3]], "other": [1]}': "without a code in x: 'keys latents, other'",
    b"1,2\n": "has 2 values, expected 3 .the checkpoint's bottleneck",
    b"1,5,2,5,0,5\n": "has 6 values, expected 3",
    b"a.png,7,1.5,2.5,3\n": "has 5 values, expected 3",
    b"1,2,3,4.5\n4,5,6,7.5\n": "has 4 values, expected 3",
    b"0,1,2,3.5\n1,2,3,4.5\n1,2,3,5.5\n": "has 4 values, expected 3",
    b"c0,c1,c2\n0.5,1.5,2.5,7\n1.5,1.5,2.5,8\n": "has 4 values, expected 3",
    b"1.5,2,3\n1,2\n": "code 1 in x is in a row of 2 columns; the first row has 3",
    **dict.fromkeys(PRINTED, "x is the printed text of an array"),
    **dict.fromkeys(FRAMES, "JSON value without a code in x: 'keys "),
    **dict.fromkeys(INDEXES, "the header of x does not name the 3 columns of a code: '"),
    b",c0,c1,c2\n0,1.5,2.5,3\nTotal,1.5,2.5,3\n": "row 'Total' in x is not a code",
    b"1,2,3.5,,\n" * 4 + b"1,2,3.5,,7\n": "code 4 in x is in a row of 5 columns; the first row has 3",
    b"c0,c1,c2\n1,2,,,\n": "not a number in code 0 in x",
    b'{"c0": [1], "c1": [2], "c2": [3]}': "JSON by columns in x",
    b"1.5,,3\n": "not a number in code 0 in x",
    b"1,5;10,976.271;3\n": r"not a number in code 0 in x: '.\"1,5\", \"10,976\.271\", \"3\".'",
    **dict.fromkeys(
        (
            b"10,976;14,303;7\n",
            b"10,976\t7\t14,303\n",
            b'"10,976","14,303",7\n',
            b"10,976;14.5;7\n",
            b"1;2;3\n" * 4 + b"14.5;2;3\n10,976;5;6\n",
            b"10,976;5;6\n" + b"1;2;3\n" * 4 + b"14.5;2;3\n",
            b"10,976;5;6\n" + b"1;2;3\n" * BLOCK + b"10,976;5;6\n",
        ),
        "unclear whether commas are decimal points or thousands separators in x: '10,976'",
    ),
    b"1;2;3.5\n" * 4 + b"9,125;5;6\n": "thousands separators in x: '9,125'",
    b"a,b,c\n": "no codes in x, only text such as 'a,b,c'",
    b"Dear all,\n\nthe codes are attached.\n": "no codes in x, only text such as 'Dear all'",
    b"c0,c1,c3\n1,2,3\n": "the header of x does not name the 3 columns of a code: 'c0,c1,c3'",
    b"label,a,b\n1,2.5,3.5\n": "the header of x does not name the 3 columns of a code",
    b"<!DOCTYPE html>": "x is a web page",
    b"PK\x03\x04": "cannot read the .npz file x",
    b"\x93NUMPY\x01\x00": "malformed .npy",
    npy(np.zeros((2, 4))): r"shape \(2, 4\).* in x",
    npy(np.zeros((2, 3, 3))): r"shape \(2, 3, 3\)",
    npy(np.zeros((3, 1))): r"shape \(3, 1\)",
    npy(np.zeros((2, 3), complex)): "type complex128",
    npy(np.array([["1", "2", "3"]])): "type <U1",
    npy(np.array([[1, 2, np.inf]])): "not finite",
    npy(np.ones((5, 3)))[:-1]: "x is truncated .0 of 5 codes",
    npy(np.ones((5, 3))) + b"x": "trailing data after 5 codes in x",
    npy(np.ones((5, 3), order="F"))[:-1]: "x is truncated or oversized, or in Fortran order",
    npz_of(z=np.zeros((2, 3)), labels=np.zeros(2)): "x has 2 arrays, none of them called 'codes': z, labels",
    PYTORCH_FILE: "x is a PyTorch file, not an",
    zipped({"xl/workbook.xml": b""}): "x is a spreadsheet, not an",
    b"BZh91AY&SY": "x is a bzip2 archive, not a file of codes",
}


HINTS = {
    **{data: f"write the array itself: {call}" for data, call in PRINTED.items()},
    **dict.fromkeys([*FRAMES, b'{"c0": [1], "c1": [2], "c2": [3]}'], BY_ROWS),
    b'{"schema": 1, "error": {}}': NO_FRAME,
    b'{"latents": [[1, 2, 3]], "other": [1]}': NO_FRAME,
    b"1\n2\n": f"{HINT}; put all numbers of a code in one row",
    b"[]": HINT,
    b"1,2\n": RIGHT_CHECKPOINT,
    b"1,5,2,5,0,5\n": f"{RIGHT_CHECKPOINT}; if the decimal points are commas, separate the values by semicolons",
    b"0,1.5,2.5,3.5\n": f"{RIGHT_CHECKPOINT}; if only some of the columns are the code, name them c0 to c2 in a header",
    PYTORCH_FILE: "save the codes as CSV, or with np.save(FILE, codes)",
    b"BZh91AY&SY": "unpack it, and give the file in it",
    b"10,976;14,303;7\n": "write the numbers without thousands separators, and with decimal points or with four decimals",
}


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_bad_streams_are_refused(data: bytes) -> None:
    """Each error names the place and the reason, and the hint a cause that fits the number of values, or the missing step."""
    with pytest.raises(DataError, match=BAD[data]) as failure:
        read(data)
    assert failure.value.hint == HINTS.get(data, failure.value.hint)


class Endless(io.RawIOBase):
    """A pipe that never ends, and counts the rows that are read."""

    rows = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.rows += 1
        row = b"9,5;8,5;7,125\n"
        buffer[: len(row)] = row
        return len(row)


def test_a_table_is_read_by_blocks() -> None:
    """A block is read from no more rows than its own, and earlier rows take up no memory."""
    pipe = Endless()
    blocks = code_io.read(io.BufferedReader(pipe), width=WIDTH, name="x", note=lambda _: None)
    assert next(blocks).tolist() == [[9.5, 8.5, 7.125]] * BLOCK
    assert pipe.rows == BLOCK
    tracemalloc.start()
    try:
        assert sum(map(len, itertools.islice(blocks, 8))) == 8 * BLOCK
        assert tracemalloc.get_traced_memory()[1] < 3 << 19
    finally:
        tracemalloc.stop()


def test_single_number_beside_another() -> None:
    """A header whose other columns are numbers is refused where it may be a code of one number."""
    with pytest.raises(DataError, match="code 0 in x has 2 values, expected 1"):
        read(b"c0,0\n0.5,7\n", width=1)


@pytest.mark.parametrize("line", [b"[1,2,3]\n", b'{"image": "1", "code": [1, 2, 3]}\n'])
def test_lines_of_json_are_read_by_blocks(line: bytes) -> None:
    """Of a text of any length no more is read than the blocks so far, and the buffers."""
    source, number = io.BytesIO(9 * BLOCK * line), 0
    for number, block in enumerate(code_io.read(io.BufferedReader(source), width=WIDTH, name="x", note=lambda _: None), 1):
        assert len(block) == BLOCK
        assert source.tell() <= number * BLOCK * len(line) + 4 * io.DEFAULT_BUFFER_SIZE
    assert number == 9


def test_csv_quotes_what_needs_it() -> None:
    """A path with commas, quotes and line breaks is one field; bytes that are not UTF-8 are preserved."""
    names = ['a,"b".png', "two\nlines", "\udcff.png"]
    text = code_io.format_block("csv", Block(names, [None] * 3, np.zeros((3, WIDTH), np.float32)))
    assert text == b'"a,""b"".png",,0,0,0\n"two\nlines",,0,0,0\n\xff.png,,0,0,0\n'
    lines = code_io.format_block("jsonl", Block(names, [1] * 3, np.zeros((3, WIDTH), np.float32))).splitlines()
    assert [json.loads(line)["image"] for line in lines] == names
