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
from tests.support.checkpoint_bytes import MODEL_FILE, arrays, assembled, described, forged, head, own_header, own_text, passes
from tests.support.client import log_result, trials


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def entry(**changes: Any) -> bytes:
    """Return our file with changes to one tensor's entry in the header."""
    header = own_header()
    return assembled(header | {"fc2.bias": header["fc2.bias"] | changes})


BODY = MODEL_FILE[head(MODEL_FILE) :]
TEXT = MODEL_FILE[8 : head(MODEL_FILE)]


@pytest.mark.parametrize(
    "data",
    [
        forged(),
        forged(training=None, provenance=None, history=[], active_units=None),
        forged(unknown=1),  # the digest covers it; a change that matters takes another number
        forged(unknown=json.loads(deep(100))),
        forged(unit_ranges=None),
        forged(unit_ranges=[[0, 1.5]]),
        described(own_text()),
        assembled(TEXT),
        assembled(TEXT.rstrip()[:-1] + b"}"),
        entry(data_offsets=[3140, 3144]),
    ],
    ids=itertools.count(),
)
def test_whole_files(data: bytes) -> None:
    """What the helpers of the tables below put together is taken if nothing is wrong with it: they are sensitive."""
    assert passes(data)


TRAINING, PROVENANCE = dataclasses.asdict(TrainConfig()), {"data_digest": "", "device": "cpu", "threads": 1, "versions": {}}
METADATA: list[tuple[dict[str, Any], str]] = [
    ({"model": {"hidden": 2049, "bottleneck": 1}}, "invalid value for --hidden: 2049"),
    ({"training": TRAINING | {"epochs": -1}}, "invalid value for --epochs: -1"),
    ({"training": TRAINING | {"dataset": ["mnist"]}}, "recipe and data set must be text"),
    ({"provenance": PROVENANCE | {"threads": 0}}, "invalid thread count: 0"),
    ({"provenance": PROVENANCE | {"versions": 3}}, "versions must be a mapping"),
    ({"provenance": PROVENANCE | {"device": 0}}, "digest, device and versions must be text"),
    ({"history": [[1.0]]}, "not enough values to unpack (expected 2, got 1)"),
    ({"history": [["nan", 1.0]]}, "'nan' is not a number"),
    ({"active_units": 2}, "invalid number of active units: 2 of 1"),
    ({"active_units": True}, "invalid number of active units: True of 1"),
    ({"unit_ranges": []}, "0 unit ranges do not match 1 active units of 1"),
    ({"unit_ranges": [[0, 0.0]]}, "1 unit ranges do not match 1 active units of 1"),
    ({"unit_ranges": [[2, 1]]}, "invalid unit range: 2.0 to 1.0"),
    ({"unit_ranges": [[-1, 1]]}, "invalid unit range: -1.0 to 1.0"),
    ({"unit_ranges": [[0, True]]}, "'True' is not a number"),
    ({"unit_ranges": [3]}, "cannot unpack non-iterable int object"),
    ({"source": ["x"]}, "source must be text"),
]
NO_TEXT, REWRITTEN = "unreadable metadata", "metadata not in canonical form"
WRONG = "tensor '{}' is not of type float32 and shape {}"
NEWER = ('{"format":2}', f'{{"format":{"9" * 19}}}', '{"format":999,"digest":[1]}')

REFUSED: dict[str, list[tuple[bytes, str]]] = {
    "retrain or import it again, or restore a copy": [
        *((forged(**changes), f"invalid metadata ({reason})") for changes, reason in METADATA),
        (forged(format=0), "unsupported format: '0'"),
        (forged(format="\x1b[2J"), r"unsupported format: '\x1b[2J'"),
        (described(""), NO_TEXT),
        (described("[]"), NO_TEXT),
        (described('{"format":1,"format":1}'), NO_TEXT),
        (described('{"format":NaN}'), NO_TEXT),
        (described('{"format":1e400}'), NO_TEXT),
        (described(f'{{"format":{"9" * 10**5}}}'), NO_TEXT),
        (described(f'{{"format":{deep(10**5)}}}'), "header nested too deeply"),
        (described('{"format":1}'), REWRITTEN),
        (described('{"digest":3,"format":1}'), REWRITTEN),
        (described(own_text().replace('"format":1', '"format": 1')), REWRITTEN),
        (described(own_text().replace("1e-05", "0.00001")), REWRITTEN),
        (described(own_text().replace('"source":"train"', '"source":"other"')), "checksum mismatch"),
        (forged(model={"hidden": 2, "bottleneck": 1}), WRONG.format("fc1.weight", [2, 784])),
        (forged({name: a for name, a in arrays().items() if name != "fc4.bias"}), "missing or unexpected tensor 'fc4.bias'"),
        (forged(arrays() | {"\x1b]0;x": np.zeros(1)}), r"missing or unexpected tensor '\x1b]0;x'"),
        (forged(arrays() | {"fc1.bias": np.zeros((1, 1), np.float32)}), WRONG.format("fc1.bias", [1])),
        (forged(arrays() | {"fc1.bias": np.zeros((), np.float32)}), WRONG.format("fc1.bias", [1])),
        (forged(arrays() | {"fc1.bias": np.zeros(1, np.float64)}), WRONG.format("fc1.bias", [1])),
        (forged(arrays() | {"fc1.bias": np.full(1, np.nan, np.float32)}), "it contains NaN or infinity"),
        (forged(arrays() | {"fc1.bias": np.full(1, -np.inf, np.float32)}), "it contains NaN or infinity"),
    ],
    # a newer file is not called damaged, whatever else has changed in it
    "upgrade with 'pipx upgrade mnistae'": [
        (described(text), f"format '{json.loads(text)['format']}' is newer than this version of mnistae") for text in NEWER
    ],
    "use 'mnistae checkpoints import FILE' for weights from elsewhere": [
        (assembled(own_header() | {"__metadata__": metadata}), "no mnistae metadata")
        for metadata in ({}, {"format": "pt"}, {"mnistae": 3}, {"mnistae": None})
    ],
}


@pytest.mark.parametrize(
    ("data", "message", "hint"), [(*row, hint) for hint, rows in REFUSED.items() for row in rows], ids=itertools.count()
)
def test_forged_files(data: bytes, message: str, hint: str) -> None:
    """T3: metadata and tensors that are not ours are refused although the digest is right, and the message names them."""
    with pytest.raises(CheckpointError) as failure:
        checkpoint_format.decode_model(data)
    assert (failure.value.message, failure.value.hint) == (message, hint)
    log_result("T3", trials=1)


def test_deep_metadata() -> None:
    """Deep metadata is refused near the interpreter's recursion limit, in the checks and in their messages."""
    for levels in range(900, 1000):
        assert not passes(described(f'{{"digest":"","format":{deep(levels)}}}'))
        assert not passes(described(f'{{"digest":"","format":1,"model":{{"hidden":{deep(levels)}}}}}'))
        assert not passes(assembled(f'{{"__metadata__":{deep(levels)}}}'))


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
    """T3: whatever lengths, offsets, shapes and types a header has, the file is refused as damaged, without a crash."""
    assert not passes(data)
    assert not passes(data, checkpoint_format.decode_state)
    log_result("T3", trials=1, note="forged files, each refused with the message for it")


JSON = st.recursive(
    st.sampled_from([None, True, "", "F32", 0, 1, -1, 2**63, 10**30, 1.0, 1e-5, float("nan"), float("inf")]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=trials(40, 100))
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
