"""Import of weights from PyTorch (.pth) and safetensors files. The only module that reads pickles."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.config import ModelConfig
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.files import read as files
from mnistae.core.records import Metadata, Weights
from mnistae.store import format as checkpoint_format

if TYPE_CHECKING:
    import torch

MAX_FILE = 256 * 2**20

_HINT = "the file must contain the state dict of the lab's network: fc1.weight … fc4.bias"


def read(path: Path) -> tuple[Weights, Metadata]:
    """Return the weights and metadata in `path`: a state dict in a PyTorch file, or a safetensors file.

    A PyTorch file is unpickled with `weights_only=True`, which builds tensors and plain containers and nothing else.
    Raises CheckpointError.
    """
    data = files.read_or_raise(path, limit=MAX_FILE, family=CheckpointError, what="the checkpoint", hint=_HINT)
    try:
        if checkpoint_format.has_metadata(data):
            return checkpoint_format.decode_model(data)
        tensors = _find_network(_load_pytorch(data) if _is_pytorch(data) else _load_safetensors(data))
        metadata = Metadata(model=_sizes(tensors), source=f"import {path.name}")
        return {name: _to_array(name, tensors[name]) for name in metadata.model.shapes()}, metadata
    except CheckpointError as error:
        raise CheckpointError(f"cannot import '{path}': {error.message}", hint=error.hint) from error


def _is_pytorch(data: bytes) -> bool:
    # a zip archive since PyTorch 1.6, a bare pickle before; safetensors may begin with 0x80 too, but then has a brace
    return data[:4] == b"PK\x03\x04" or (data[:1] == b"\x80" and data[8:9] != b"{")


def _load_pytorch(data: bytes) -> object:
    import torch

    try:
        _check_unpacked_size(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "refused: contains pickled objects other than tensors",
            hint="save only the state dict: torch.save(model.state_dict(), FILE)",
        ) from error
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError("unreadable PyTorch file", hint=_HINT) from error


def _check_unpacked_size(data: bytes) -> None:
    """Raise CheckpointError for a zip bomb: PyTorch writes uncompressed archives, but reads compressed ones too."""
    if data[:2] != b"PK":
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE:
            raise CheckpointError(f"it unpacks to more than {MAX_FILE / 2**20:.0f} MiB", hint=_HINT)


def _load_safetensors(data: bytes) -> object:
    import safetensors
    import safetensors.torch

    # safetensors' own limit is a header of 100 MB, which takes it seconds and gigabytes
    if int.from_bytes(data[:8], "little") > checkpoint_format.MAX_HEADER:
        raise _unknown()
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:  # KeyError: a type that torch does not know
        raise _unknown() from error


def _unknown() -> CheckpointError:
    return CheckpointError("neither a PyTorch nor a safetensors file", hint=_HINT)


def _find_network(content: object) -> "dict[str, torch.Tensor]":
    """Return the eight tensors, at the top level or one mapping deeper, under any prefix."""
    candidates = [content, *(content.values() if isinstance(content, Mapping) else ())]
    for candidate in candidates:
        if isinstance(candidate, Mapping) and (tensors := _strip_prefix(candidate)):
            return {name: _check_tensor(name, tensors[name]) for name in tensors}
    raise CheckpointError("no network of the lab's architecture found", hint=_HINT)


def _strip_prefix(candidate: Mapping[Any, Any]) -> dict[str, Any] | None:
    """Return the entries by plain names if `candidate` holds exactly one network, else None."""
    names = [name for name in candidate if isinstance(name, str)]
    prefixes = [name.removesuffix("fc1.weight") for name in names if name.endswith("fc1.weight")]
    if len(prefixes) != 1:
        return None
    tensors = {name.removeprefix(prefixes[0]): candidate[name] for name in names if name.startswith(prefixes[0])}
    return tensors if tensors.keys() == ModelConfig().shapes().keys() else None


def _check_tensor(name: str, tensor: object) -> "torch.Tensor":
    import torch

    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        raise CheckpointError(f"'{name}' is not a floating-point tensor", hint=_HINT)
    if tensor.layout != torch.strided or tensor.device.type != "cpu":  # sparse, or on "meta" and without numbers
        raise CheckpointError(f"'{name}' is not a dense tensor", hint=_HINT)
    return tensor


def _to_array(name: str, tensor: "torch.Tensor") -> Array:
    """Return the values as float32. The shape must have been checked: a stride of 0 can make a tiny file huge."""
    import torch

    array: Array = tensor.detach().to(torch.float32).contiguous().numpy().copy()
    if not np.isfinite(array).all():
        raise CheckpointError(f"'{name}' contains NaN or infinity", hint="import a checkpoint whose training did not diverge")
    return array


def _sizes(tensors: "Mapping[str, torch.Tensor]") -> ModelConfig:
    """Return the network's sizes if all shapes agree."""
    shape = tensors["fc2.weight"].shape
    if len(shape) != 2:
        raise CheckpointError("'fc2.weight' is not a matrix", hint=_HINT)
    try:
        config = ModelConfig(hidden=shape[1], bottleneck=shape[0])
    except UsageError as error:
        raise CheckpointError(f"unsupported network size ({error.message})", hint=error.hint) from error
    for name, expected in config.shapes().items():
        shape = tensors[name].shape
        if shape != expected:
            raise CheckpointError(f"'{name}' has the shape {tuple(shape)}, not {expected}", hint=_HINT)
    return config
