"""Checkpoint files of the smallest network, whole, taken apart and forged."""

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import CheckpointError
from mnistae.core.records import EpochRecord, ImageStats, Metadata, Provenance, TrainingState
from mnistae.store import format as checkpoint_format

SMALL = ModelConfig(hidden=1, bottleneck=1)  # every step of the reader, in a file of 11 kB

Tensors = dict[str, Array]


def arrays(model: ModelConfig = SMALL, seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in model.shapes().items()}


def metadata(model: ModelConfig = SMALL) -> Metadata:
    return Metadata(
        model=model,
        training=TrainConfig(dataset="ziffern-ä🙂", seed=3, epochs=2),
        provenance=Provenance("d1" * 32, "cuda:0", 2, {"torch": "2.10.0", "mnistae": "0.1"}),
        history=(EpochRecord(1, 0.07021, 1e-3), EpochRecord(2, 0.1 + 0.2, 1e-4)),
        active_units=1,
        images=ImageStats(0.1307, 0.0254, 0.3976, 0.0, 0.25),
    )


def state(model: ModelConfig = SMALL) -> TrainingState:
    steps = {name: np.array(number + 1, np.float32) for number, name in enumerate(model.shapes())}
    return TrainingState(arrays(model), arrays(model, 1), arrays(model, 2), steps, metadata(model).history)


MODEL_FILE = checkpoint_format.encode_model(arrays(), metadata())
STATE_FILE = checkpoint_format.encode_state(state(), metadata())


def head(data: bytes) -> int:
    """Return where the header ends."""
    return 8 + int.from_bytes(data[:8], "little")


def passes(data: bytes, decode: Callable[[bytes], object] = checkpoint_format.decode_model) -> bool:
    """Whether the reader takes these bytes. Anything but a CheckpointError is a failure of the test."""
    try:
        decode(data)
    except CheckpointError as error:
        message = error.message
    else:
        return True
    assert len(message) <= 200
    assert message.isprintable()
    return False


def forged(tensors: Mapping[str, Any] | None = None, /, **changes: Any) -> bytes:
    """Return a file whose digest is right, for other tensors or with other fields of the metadata."""
    tensors = arrays() if tensors is None else tensors
    fields = checkpoint_format._to_json(metadata()) | changes
    fields["digest"] = checkpoint_format._digest(tensors, fields)
    return safetensors.numpy.save(dict(tensors), {"mnistae": checkpoint_format._canonical(fields)})


def assembled(header: str | bytes | Mapping[str, Any], body: bytes = MODEL_FILE[head(MODEL_FILE) :]) -> bytes:
    """Return a safetensors file from any header."""
    text = json.dumps(header).encode() if isinstance(header, Mapping) else header
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text)) + text + body


def own_header() -> dict[str, Any]:
    header: dict[str, Any] = json.loads(MODEL_FILE[8 : head(MODEL_FILE)])
    return header


def described(text: str, body: bytes = MODEL_FILE[head(MODEL_FILE) :]) -> bytes:
    """Return our model file with this text as its metadata."""
    return assembled(own_header() | {"__metadata__": {"mnistae": text}}, body)


def own_text() -> str:
    text: str = own_header()["__metadata__"]["mnistae"]
    return text
