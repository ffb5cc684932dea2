import dataclasses
import itertools
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.core.config import TrainConfig
from mnistae.core.errors import CheckpointError
from mnistae.store import format as checkpoint_format
from tests.support.checkpoint_bytes import (
    MODEL_FILE,
    Tensors,
    arrays,
    assembled,
    described,
    forged,
    head,
    own_header,
    own_text,
    passes,
)
from tests.support.client import log_result, trials

DAMAGED = "retrain it, or copy the original again"


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


TRAINING, PROVENANCE = dataclasses.asdict(TrainConfig()), {"data_digest": "", "device": "cpu", "threads": 1, "versions": {}}
NONSENSE = "invalid metadata ({})"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"training": None, "provenance": None, "history": [], "active_units": None}, None),
        ({"unknown": 1}, None),  # the digest covers it; a change that matters takes another number
        ({"format": 0}, "unsupported format: '0'"),
        ({"format": "\x1b[2J"}, r"unsupported format: '\x1b[2J'"),
        ({"model": {"hidden": 2049, "bottleneck": 1}}, NONSENSE.format("invalid value for --hidden: 2049")),
        ({"model": {"hidden": 2, "bottleneck": 1}}, "tensor 'fc1.weight' is not of type float32 and shape [2, 784]"),
        ({"training": TRAINING | {"epochs": -1}}, NONSENSE.format("invalid value for --epochs: -1")),
        ({"training": TRAINING | {"dataset": ["mnist"]}}, NONSENSE.format("recipe and data set must be text")),
        ({"provenance": PROVENANCE | {"threads": 0}}, NONSENSE.format("invalid thread count: 0")),
        ({"provenance": PROVENANCE | {"versions": 3}}, NONSENSE.format("versions must be a mapping")),
        ({"provenance": PROVENANCE | {"device": 0}}, NONSENSE.format("digest, device and versions must be text")),
        ({"history": [[1.0]]}, NONSENSE.format("not enough values to unpack (expected 2, got 1)")),
        ({"history": [["nan", 1.0]]}, NONSENSE.format("'nan' is not a number")),
        ({"active_units": 2}, NONSENSE.format("invalid number of active units: 2 of 1")),
        ({"active_units": True}, NONSENSE.format("invalid number of active units: True of 1")),
        ({"unit_ranges": None}, None),
        ({"unit_ranges": [[0, 1.5]]}, None),
        ({"unit_ranges": []}, NONSENSE.format("0 unit ranges do not match 1 active units of 1")),
        ({"unit_ranges": [[0, 0.0]]}, NONSENSE.format("1 unit ranges do not match 1 active units of 1")),
        ({"unit_ranges": [[0, 1], [0, 1]]}, NONSENSE.format("2 unit ranges do not match 1 active units of 1")),
        ({"unit_ranges": [[2, 1]]}, NONSENSE.format("invalid unit range: 2.0 to 1.0")),
        ({"unit_ranges": [[-1, 1]]}, NONSENSE.format("invalid unit range: -1.0 to 1.0")),
        ({"unit_ranges": [[0, True]]}, NONSENSE.format("'True' is not a number")),
        ({"unit_ranges": [3]}, NONSENSE.format("cannot unpack non-iterable int object")),
        ({"source": ["x"]}, NONSENSE.format("source must be text")),
    ],
)
def test_metadata(changes: dict[str, Any], message: str | None) -> None:
    """Metadata with invalid values is refused although its digest is right, and the message names them."""
    check(forged(**changes), message)


def check(data: bytes, message: str | None) -> None:
    """Row T3, a trial of it: a file whose digest is right is taken, or refused with this message."""
    if message is None:
        assert passes(data)
        return
    with pytest.raises(CheckpointError) as failure:
        checkpoint_format.decode_model(data)
    assert (failure.value.message, failure.value.hint) == (message, DAMAGED)
    log_result("T3", trials=1)


NO_TEXT = "unreadable metadata"
REWRITTEN = "metadata not in canonical form"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (own_text(), None),
        ("", NO_TEXT),
        ("{", NO_TEXT),
        ("[]", NO_TEXT),
        ('{"format":1,"format":1}', NO_TEXT),
        ('{"format":NaN}', NO_TEXT),
        ('{"format":1e400}', NO_TEXT),
        (f'{{"format":{"9" * 10**5}}}', NO_TEXT),
        (f'{{"format":{deep(10**5)}}}', "header nested too deeply"),
        ('{"format":1}', REWRITTEN),
        ('{"digest":3,"format":1}', REWRITTEN),
        (own_text().replace('"format":1', '"format": 1'), REWRITTEN),
        (own_text().replace("1e-05", "0.00001"), REWRITTEN),
        (own_text().replace('"source":"train"', '"source":"other"'), "checksum mismatch"),
    ],
    ids=itertools.count(),
)
def test_metadata_texts(text: str, message: str | None) -> None:
    """Metadata is JSON without duplicate keys, in its canonical form."""
    check(described(text), message)


@pytest.mark.parametrize(
    "text",
    ['{"format":2}', f'{{"format":{"9" * 19}}}', '{"format":999,"digest":[1]}', own_text().replace('"format":1', '"format":2')],
)
def test_newer_format(text: str) -> None:
    """A file of a newer format is not called damaged, whatever else has changed in it; the hint is to upgrade."""
    with pytest.raises(CheckpointError) as failure:
        checkpoint_format.decode_model(described(text))
    assert failure.value.message == f"format '{json.loads(text)['format']}' is newer than this version of mnistae"
    assert failure.value.hint == "upgrade with 'pipx upgrade mnistae'"


def test_deep_metadata() -> None:
    """Deep metadata is taken, or refused near the interpreter's recursion limit, in the checks and in their messages."""
    assert passes(forged(unknown=json.loads(deep(100))))
    for levels in range(900, 1000):
        assert not passes(described(f'{{"digest":"","format":{deep(levels)}}}'))
        assert not passes(described(f'{{"digest":"","format":1,"model":{{"hidden":{deep(levels)}}}}}'))
        assert not passes(assembled(f'{{"__metadata__":{deep(levels)}}}'))


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, {"mnistae": 3}, {"mnistae": None}])
def test_not_ours(metadata: dict[str, Any]) -> None:
    """Other weights are refused with a hint at `checkpoints import`."""
    with pytest.raises(CheckpointError) as failure:
        checkpoint_format.decode_model(assembled(own_header() | {"__metadata__": metadata}))
    assert failure.value.message == "no mnistae metadata"
    assert failure.value.hint == "use 'mnistae checkpoints import FILE' for weights from elsewhere"


def without(name: str) -> Tensors:
    return {other: array for other, array in arrays().items() if other != name}


WRONG = "tensor 'fc1.bias' is not of type float32 and shape [1]"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (without("fc4.bias"), "missing or unexpected tensor 'fc4.bias'"),
        (arrays() | {"fc5.bias": np.zeros(1)}, "missing or unexpected tensor 'fc5.bias'"),
        (arrays() | {"\x1b]0;x": np.zeros(1)}, r"missing or unexpected tensor '\x1b]0;x'"),
        (arrays() | {"fc1.bias": np.zeros((1, 1), np.float32)}, WRONG),
        (arrays() | {"fc1.bias": np.zeros((), np.float32)}, WRONG),
        (arrays() | {"fc1.bias": np.zeros(1, np.float64)}, WRONG),
        (arrays() | {"fc1.bias": np.full(1, np.nan, np.float32)}, "it contains NaN or infinity"),
        (arrays() | {"fc1.bias": np.full(1, -np.inf, np.float32)}, "it contains NaN or infinity"),
    ],
)
def test_tensors(tensors: Tensors, message: str) -> None:
    """Missing or extra tensors, other types and shapes, NaN and infinity are refused although the digest is right."""
    check(forged(tensors), message)


def entry(**changes: Any) -> bytes:
    """Return our file with changes to one tensor's entry in the header."""
    header = own_header()
    return assembled(header | {"fc2.bias": header["fc2.bias"] | changes})


BODY = MODEL_FILE[head(MODEL_FILE) :]
TEXT = MODEL_FILE[8 : head(MODEL_FILE)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(8),
        *(struct.pack("<Q", size) + TEXT + BODY for size in (1, len(TEXT) - 8, 2**31, 2**64 - 1)),
        struct.pack("<Q", 2**20 + 1) + TEXT.ljust(2**20 + 1) + BODY,
        *(assembled(text) for text in (b"{}", b"[]", b"3", b"\xff\xfe", deep(2**19), b" " + TEXT, TEXT + b"{}")),
        *(assembled(b"{%s}" % part) for part in (b'"a":1,"a":1', b'"a":' + b"9" * 10**6, b'"a":-Infinity')),
        *(assembled(own_header() | {"__metadata__": value}) for value in (None, 3, [["mnistae", own_text()]])),
        assembled(TEXT.rstrip()[:-1] + b',"fc2.bias":{"dtype":"F32","shape":[1],"data_offsets":[3140,3144]}}'),
        *(entry(dtype=value) for value in ("f32", "I32", None)),
        *(entry(shape=value) for value in ([], [-1], [1, 1], ["1"], [2**62], None)),
        *(entry(data_offsets=value) for value in ([], [3144, 3148], [3140, 10**17], [3140, 3144.5], None)),
        entry(extra=1),
    ],
    ids=itertools.count(),
)
def test_headers(data: bytes) -> None:
    """Whatever lengths, offsets, shapes and types a header has, it is refused as a damaged checkpoint, without a crash."""
    assert not passes(data)
    assert not passes(data, checkpoint_format.decode_state)
    log_result("T3", trials=1, note="forged files, each refused with the message for it")


def test_headers_control() -> None:
    """The untouched parts, put together by the same helpers, make a file that is taken: the table above is sensitive."""
    assert passes(assembled(TEXT))
    assert passes(entry(data_offsets=[3140, 3144]))
    assert passes(assembled(TEXT.rstrip()[:-1] + b"}"))


JSON = st.recursive(
    st.sampled_from([None, True, "", "F32", 0, 1, -1, 2**63, 10**30, 1.0, 1e-5, float("nan"), float("inf")]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=trials(40, 1000))
@given(st.dictionaries(st.sampled_from(list(json.loads(own_text()))), JSON, max_size=3))
def test_any_metadata(changes: dict[str, Any]) -> None:
    """Any metadata with a right digest is taken or refused, and one that is taken comes back as it was written."""
    changes.pop("digest", None)
    try:
        data = forged(**changes)
    except ValueError:  # NaN has no place in JSON
        return
    if passes(data):
        weights, found = checkpoint_format.decode_model(data)
        assert checkpoint_format.decode_model(checkpoint_format.encode_model(weights, found))[1] == found
