"""Rows C4, C11 and T2: checkpoint files that somebody forged, and those of other versions."""

import dataclasses
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.core.arrays import Array
from mnistae.core.errors import CheckpointError
from mnistae.core.records import Metadata
from mnistae.store import format as checkpoint_format
from mnistae.store import importer, runs
from tests.conftest import Cli
from tests.support.checkpoint_bytes import (
    MODEL_FILE,
    SMALL,
    arrays,
    assembled,
    described,
    head,
    metadata,
    own_header,
    own_text,
    passes,
)
from tests.support.client import LONG, log_result, trials
from tests.support.resource_limits import Costs

pytestmark = pytest.mark.timeout(1200 if LONG else 120)

BODY = MODEL_FILE[head(MODEL_FILE) :]
MEBIBYTE = 2**20

NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-4, 12_000) | st.sampled_from([0.0, 1.5, 1e30, -0.0, 10**40])
LEAVES = NUMBERS | st.sampled_from([None, True, "", "F32", "nan"]) | st.text(max_size=5)
JUNK = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=3
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "dtype": st.sampled_from(["F32", "F64", "F16", "BF16", "I8", "BOOL", "F8_E4M3", "f32", "X"]) | JUNK,
    "shape": st.lists(st.sampled_from([0, 1, 2, 784, -1, 2**31, 2**63, 1.0]), max_size=4) | JUNK,
    "data_offsets": st.lists(st.integers(-4, len(BODY) + 4).map(lambda at: at // 4 * 4), min_size=2, max_size=2) | JUNK,
}
ENTRIES = st.fixed_dictionaries({}, optional={**FIELDS, "extra": JUNK})
METADATA = st.dictionaries(st.sampled_from(["mnistae", "format"]) | st.text(max_size=3), st.text(max_size=9) | JUNK, max_size=3)
NAMES = st.sampled_from([*SMALL.shapes(), "fc1.weight.step", "__metadata__"]) | st.text(max_size=5)
CHANGES = st.lists(st.tuples(NAMES, ENTRIES | METADATA | JUNK), max_size=3)


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Draw a header: of our own or of no entries, more of them (a name may stand twice), and what surrounds the JSON."""
    pairs: list[tuple[str, Any]] = []
    if draw(st.booleans()):
        pairs += own_header().items()
    for name, value in draw(CHANGES):
        known = [at for at, (other, _) in enumerate(pairs) if other == name]
        if draw(st.booleans()) and known:
            pairs[known[0]] = (name, value)
        else:
            pairs.insert(draw(st.integers(0, len(pairs))), (name, value))
    text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}"
    data = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig"])), "surrogatepass")
    before = draw(st.sampled_from([b"", b"", b"", b" ", b"\n", b"\xef\xbb\xbf", b"\0"]))
    after = draw(st.sampled_from([b"", b"", b"", b" ", b"{}", b"\xff", b"]"]))
    return before + data + after


def test_forged_headers() -> None:
    """C4: whatever a header says, and of whatever length, the file is refused unless it is ours; it costs little."""
    costs, taken = Costs(), []

    @settings(max_examples=trials(60, 10_000))
    @given(headers(), st.sampled_from([0, 0, 0, 0, 1, -1, 8, 2**63]), st.booleans())
    def try_one(header: bytes, lie: int, cut: bool) -> None:
        data = struct.pack("<Q", (len(header) + lie) % 2**64) + header + (BODY[:-4] if cut else BODY)
        is_ours = (lie, cut) == (0, False) and header.isascii() and header[:1] == b"{" and same_json(header)
        assert costs.of(passes, data, checkpoint_format.decode_model) == is_ours
        assert not costs.of(passes, data, checkpoint_format.decode_state)
        taken.append(is_ours)

    try_one()
    assert costs.are_low, str(costs)
    assert 0 < sum(taken) < len(taken) / 5
    log_result("C4", trials=len(taken), note=f"{sum(taken)} of them were valid and accepted; {costs}")


def same_json(header: bytes) -> bool:
    """Whether a header says what ours says, each thing once."""
    try:
        value = json.loads(header, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value == own_header()


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its parts. Raises ValueError where one of them stands twice."""
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def many(piece: str, size: int = MEBIBYTE) -> str:
    """Return entries of an object, as many as fit into a header of a MiB."""
    return "{" + ",".join(piece % number for number in range((size - 2) // (len(piece % 0) + 1))) + "}"


def listed(piece: str) -> str:
    return '{"a":[' + ",".join([piece] * (MEBIBYTE // (len(piece) + 1) - 8)) + "]}"


def entry_of(shape: str, offsets: str = "[0,0]") -> str:
    return '{"fc1.bias":{"dtype":"F32","shape":%s,"data_offsets":%s}}' % (shape, offsets)  # noqa: UP031 - braces


BOMBS: dict[str, Callable[[], bytes]] = {
    "a length that lies": lambda: struct.pack("<Q", 10**12) + b"{}",
    "a header over the limit": lambda: assembled(b"{".ljust(MEBIBYTE + 1)),
    "overlapping tensors": lambda: assembled(many('"%05x":{"dtype":"F32","shape":[2357],"data_offsets":[0,9428]}')),
    "many objects": lambda: assembled(many('"%05x":{}')),
    "objects in a list": lambda: assembled(listed('{"":0}')),
    "metadata keys without end": lambda: assembled('{"__metadata__":' + many('"%05x":""', MEBIBYTE - 20) + "}"),
    "our metadata without end": lambda: described('{"format":1,"a":[' + "{}," * (MEBIBYTE // 4) + "0]}"),
    "a shape of 2^63": lambda: assembled(entry_of(f"[{2**63}]")),
    "shapes whose product overflows": lambda: assembled(entry_of(f"[{2**62},{2**62},4]")),
    "a million dimensions": lambda: assembled(entry_of("[" + "1," * 500_000 + "1]", "[0,4]")),
    "a million levels": lambda: assembled('{"a":' * 200_000),
    "a million digits": lambda: assembled('{"a":' + "9" * 10**6 + "}"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path: Path, bomb: str) -> None:
    """T2: what would fill the memory or the day is refused by every reader of files, within a second and 64 MiB."""
    path, costs = tmp_path / "bomb.safetensors", Costs()
    path.write_bytes(BOMBS[bomb]())
    (tmp_path / "warm.safetensors").write_bytes(safetensors.numpy.save(arrays()))
    importer.read(tmp_path / "warm.safetensors")  # imports are no part of the cost
    for read in (runs.load, importer.read):
        with pytest.raises(CheckpointError):
            costs.of(read, str(path) if read is runs.load else path)
    assert costs.are_low, str(costs)
    log_result("T2", trials=costs.calls)


def test_bombs_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T2: without the limit on headers the bombs do cost more than that, so the test above is sensitive."""
    monkeypatch.setattr(checkpoint_format, "MAX_HEADER", 2**40)
    data, costs = assembled('{"a":"' + "x" * 40 * MEBIBYTE + '"}'), Costs()
    assert not costs.of(passes, data)
    assert not costs.are_low
    log_result("T2", trials=0, control=f"headers of any length parsed: 40 MiB take {costs}")


FROZEN = Path(__file__).parent / "frozen"
"""Files of format 1 as first written. They are never regenerated."""


@pytest.mark.parametrize("name", ["model-1", "imported-1", "state-1"])
def test_older_files(name: str) -> None:
    """C11: a file of an older version is read for ever, to the bit."""
    data, expected = (FROZEN / f"{name}.safetensors").read_bytes(), np.arange(2357, dtype=np.float32) / np.float32(2357)
    if name == "state-1":
        state, found = checkpoint_format.decode_state(data)
        assert [joined(part).tolist() for part in (state.first_moments, state.second_moments, state.steps)] == [
            (expected / 2).tolist(),
            (expected / 4).tolist(),
            [7.0] * 8,
        ]
        weights = state.weights
    else:
        weights, found = checkpoint_format.decode_model(data)
    assert joined(weights).tolist() == expected.tolist()
    trained = dataclasses.replace(metadata(), images=None)  # later versions add this key
    assert found == (Metadata(SMALL, source="import MLP.1.pth") if name == "imported-1" else trained)
    log_result("C11", trials=1)


def joined(tensors: Mapping[str, Array]) -> Array:
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


def test_newer_files(cli: Cli, trained: str, home: Path) -> None:
    """C11: a file of a newer version is refused by every command as a reason to upgrade, and left as it is."""
    newer = described(own_text().replace('"format":1', '"format":2'))
    path = home / "checkpoints" / trained / "model.safetensors"
    path.write_bytes(newer)
    for words in (("checkpoints", "show"), ("evaluate",)):
        answer = cli(*words)
        assert answer.code == 3
        assert answer.err.splitlines() == [
            f"error: cannot use checkpoint '{path}': format '2' is newer than this version of mnistae",
            "hint: upgrade with 'pipx upgrade mnistae'; it is the newest run: name another checkpoint",
        ]
    assert path.read_bytes() == newer
    log_result("C11", trials=2, note="3 frozen files of format 1; a newer one in 2 commands")
