"""The checkpoint format: safetensors with one metadata key, verified to the last bit. See docs/checkpoints.md."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig, TrainConfig
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.records import EpochRecord, ImageStats, Metadata, Provenance, TrainingState, UnitRange, Weights
from mnistae.core.text import safe_text

FORMAT = 1
KEY = "mnistae"
MAX_FILE = 64 * 2**20
MAX_HEADER = 2**20
ADAM_STATE = ("exp_avg", "exp_avg_sq", "step")
"""What Adam keeps for each parameter, by the names of `torch.optim.Adam`."""


def encode_model(weights: Weights, metadata: Metadata) -> bytes:
    """Return the bytes of a model file: these tensors under their plain names, and the metadata."""
    import safetensors.numpy

    fields = _to_json(metadata)
    fields["digest"] = _digest(weights, fields)
    text = _canonical(fields)
    _reserve(3 * sum(array.nbytes for array in weights.values()))
    return safetensors.numpy.save({name: np.asarray(a, "<f4", order="C") for name, a in weights.items()}, {KEY: text})


def encode_state(state: TrainingState, metadata: Metadata) -> bytes:
    """Return the bytes of a state file: the weights, and for each of them Adam's moments and step count."""
    tensors = dict(state.weights)
    for moment, arrays in zip(ADAM_STATE, (state.first_moments, state.second_moments, state.steps), strict=True):
        tensors |= {f"{name}.{moment}": array for name, array in arrays.items()}
    return encode_model(tensors, metadata)


def decode_model(data: bytes) -> tuple[dict[str, Array], Metadata]:
    """Return the verified weights and metadata of a model file. Raises CheckpointError."""
    return _decode(data, with_moments=False)


def decode_state(data: bytes) -> tuple[TrainingState, Metadata]:
    """Return the verified state and metadata of a state file. Raises CheckpointError."""
    tensors, metadata = _decode(data, with_moments=True)
    names = metadata.model.shapes()
    first, second, steps = ({name: tensors[f"{name}.{moment}"] for name in names} for moment in ADAM_STATE)
    return TrainingState({name: tensors[name] for name in names}, first, second, steps, metadata.history), metadata


def _decode(data: bytes, *, with_moments: bool) -> tuple[dict[str, Array], Metadata]:
    import safetensors
    import safetensors.numpy

    try:
        header = _header(data)
        if not with_moments and _has_moments(header):
            raise CheckpointError("it is a training state, not a model", hint="give model.safetensors in the same folder")
        fields, metadata = _metadata(header)
    except (KeyError, OverflowError, TypeError, ValueError, UsageError) as error:
        raise _damaged(f"invalid metadata ({error})") from error
    except RecursionError as error:
        raise _damaged("header nested too deeply") from error
    schema = metadata.model.shapes()
    if with_moments:
        schema |= {f"{name}.{m}": () if m == "step" else shape for name, shape in schema.items() for m in ADAM_STATE}
    _check_schema(header, schema)
    _reserve(2 * len(data))
    try:
        tensors = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing: ")
        raise _damaged(f"truncated or damaged safetensors file ({reason})") from error
    if fields.pop("digest") != _digest(tensors, fields):
        raise _damaged("checksum mismatch")
    if not all(np.isfinite(array).all() for array in tensors.values()):
        raise _damaged("it contains NaN or infinity")
    return tensors, metadata


def _reserve(size: int) -> None:
    """Raise MemoryError if there is no room for `size` bytes. Safetensors copies, and would abort or hang: it is Rust."""
    bytearray(size)  # untouched zeros cost no time


def has_metadata(data: bytes) -> bool:
    """Whether these bytes are a safetensors file that carries our metadata key."""
    try:
        return KEY in _header(data).get("__metadata__", {})
    except (CheckpointError, RecursionError):
        return False


def is_state(data: bytes) -> bool:
    """Whether these bytes, which carry our metadata key, are a training state. Raises CheckpointError, RecursionError."""
    return _has_moments(_header(data))


def _has_moments(header: Mapping[str, Any]) -> bool:
    return KEY in header.get("__metadata__", {}) and any(name.endswith(f".{ADAM_STATE[0]}") for name in header)


def _header(data: bytes) -> dict[str, Any]:
    """Return the JSON header of a safetensors file, its size checked before it is parsed."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= MAX_HEADER or 8 + size > len(data):
        raise _damaged("truncated or not a safetensors file")
    header = _parse(data[8 : 8 + size], "header")
    # safetensors requires a brace at the start and does not check it
    if data[8:9] != b"{" or not isinstance(header.get("__metadata__", {}), dict):
        raise _damaged("unreadable header")
    return header


def _metadata(header: Mapping[str, Any]) -> tuple[dict[str, Any], Metadata]:
    """Return the metadata of a file, as the fields of its JSON object and as a record."""
    text = header.get("__metadata__", {}).get(KEY)
    if not isinstance(text, str):
        raise CheckpointError("no mnistae metadata", hint="use 'mnistae checkpoints import FILE' for weights from elsewhere")
    fields = _parse(text, "metadata")
    version = fields.get("format")
    if isinstance(version, int) and version > FORMAT:
        message = safe_text(f"format '{version}' is newer than this version of mnistae")
        raise CheckpointError(message, hint="upgrade with 'pipx upgrade mnistae'")
    if version != FORMAT:
        raise _damaged(f"unsupported format: '{version}'")
    # one spelling for each value: a flipped bit that turns 1e-05 into 1E-05 would leave the digest as it was
    if not isinstance(fields.get("digest"), str) or _canonical(fields) != text:
        raise _damaged("metadata not in canonical form")
    training, provenance, ranges = fields["training"], fields["provenance"], fields["unit_ranges"]
    images = fields.get("images")
    history = (EpochRecord(number, _number(loss), _number(rate)) for number, (loss, rate) in enumerate(fields["history"], 1))
    return fields, Metadata(
        model=ModelConfig(**fields["model"]),
        training=TrainConfig(**training) if training is not None else None,
        provenance=Provenance(**provenance) if provenance is not None else None,
        history=tuple(history),
        active_units=fields["active_units"],
        unit_ranges=tuple(UnitRange(_number(low), _number(high)) for low, high in ranges) if ranges is not None else None,
        images=ImageStats(*map(_number, images)) if images is not None else None,
        source=fields["source"],
    )


def _check_schema(header: Mapping[str, Any], schema: Mapping[str, tuple[int, ...]]) -> None:
    names = header.keys() - {"__metadata__"}
    if names != schema.keys():
        odd = min(names ^ schema.keys())
        raise _damaged(f"missing or unexpected tensor '{odd}'")
    for name, shape in schema.items():
        entry = header[name]
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise _damaged(f"invalid entry for tensor '{name}'")
        if entry["dtype"] != "F32" or entry["shape"] != list(shape):
            raise _damaged(f"tensor '{name}' is not of type float32 and shape {list(shape)}")


def _digest(tensors: Weights, fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors, and over the metadata."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.asarray(tensors[name], "<f4", order="C")
        digest.update(f"{name} F32 {list(array.shape)}\n".encode())
        digest.update(array.tobytes())
    digest.update(_canonical(fields).encode())
    return digest.hexdigest()


def _to_json(metadata: Metadata) -> dict[str, Any]:
    ranges, images = metadata.unit_ranges, metadata.images
    return {
        **dataclasses.asdict(metadata),
        "format": FORMAT,
        "history": [[epoch.loss, epoch.learning_rate] for epoch in metadata.history],
        "unit_ranges": [[unit.low, unit.high] for unit in ranges] if ranges is not None else None,
        "images": list(dataclasses.astuple(images)) if images else None,
    }


def _canonical(fields: Mapping[str, Any]) -> str:
    """Return metadata as it is always written. Raises ValueError for NaN and infinity."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _parse(text: str | bytes, what: str) -> dict[str, Any]:
    """Return a JSON object of untrusted origin. Raises CheckpointError, also for duplicate keys, and RecursionError."""
    try:
        value = json.loads(text, object_pairs_hook=_reject_duplicates)
        _canonical(value)  # NaN and infinity are not JSON
    except ValueError as error:
        raise _damaged(f"unreadable {what}") from error
    if not isinstance(value, dict):
        raise _damaged(f"unreadable {what}")
    return value


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"'{value}' is not a number")
    return float(value)


def _damaged(reason: str) -> CheckpointError:
    return CheckpointError(safe_text(reason), hint="retrain or import it again, or restore a copy")
