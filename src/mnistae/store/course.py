"""Import of weights from elsewhere: course checkpoints (.pth) and plain safetensors. The one place that meets a pickle."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistae import bounded
from mnistae.config import ModelConfig
from mnistae.errors import CheckpointError, UsageError
from mnistae.records import Array, Description, Weights
from mnistae.store import format as checkpoint_format

if TYPE_CHECKING:
    import torch

MAX_FILE = 256 * 2**20

_HINT = "the file has to hold the state dict of the lab's network: fc1.weight … fc4.bias"


def read(path: Path) -> tuple[Weights, Description]:
    """Return the weights and description in `path`: a state dict in a PyTorch file, or a safetensors file.

    A PyTorch file is unpickled with `weights_only=True`, which builds tensors and plain containers and nothing else.
    Raises CheckpointError.
    """
    data = bounded.read_or_raise(path, limit=MAX_FILE, family=CheckpointError, what="the checkpoint", hint=_HINT)
    try:
        if checkpoint_format.is_ours(data):
            return checkpoint_format.decode_model(data)
        tensors = _find_network(_load_pytorch(data) if _is_pytorch(data) else _load_safetensors(data))
        return tensors, Description(model=_sizes(tensors), source=f"import {path.name}")
    except CheckpointError as error:
        raise CheckpointError(f"cannot import '{path}': {error.message}", hint=error.hint) from error


def _is_pytorch(data: bytes) -> bool:
    # a zip archive since PyTorch 1.6, a bare pickle before
    return data[:4] == b"PK\x03\x04" or data[:1] == b"\x80"


def _load_pytorch(data: bytes) -> object:
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "it holds more than tensors, and loading it could run code",
            hint="save the state dict alone: torch.save(model.state_dict(), FILE)",
        ) from error
    except Exception as error:
        raise CheckpointError("it is not a readable PyTorch file", hint=_HINT) from error


def _load_safetensors(data: bytes) -> object:
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:  # KeyError: a type that torch does not know
        raise CheckpointError("it is neither a PyTorch nor a safetensors file", hint=_HINT) from error


def _find_network(content: object) -> Weights:
    """Return the eight arrays, wherever the file keeps them: at its top or one mapping deeper, under any prefix."""
    candidates = [content, *(content.values() if isinstance(content, Mapping) else ())]
    for candidate in candidates:
        if isinstance(candidate, Mapping) and (tensors := _strip_prefix(candidate)):
            return {name: _to_array(name, tensors[name]) for name in ModelConfig().shapes()}
    raise CheckpointError("it does not hold the lab's network", hint=_HINT)


def _strip_prefix(candidate: Mapping[Any, Any]) -> dict[str, Any] | None:
    """Return the entries by plain names if `candidate` holds exactly one network, else None."""
    names = [name for name in candidate if isinstance(name, str)]
    prefix = next((name.removesuffix("fc1.weight") for name in names if name.endswith("fc1.weight")), None)
    if prefix is None:
        return None
    tensors = {name.removeprefix(prefix): candidate[name] for name in names if name.startswith(prefix)}
    return tensors if tensors.keys() == ModelConfig().shapes().keys() else None


def _to_array(name: str, tensor: "torch.Tensor") -> Array:
    import torch

    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point() or tensor.is_sparse:
        raise CheckpointError(f"'{name}' is not a tensor of numbers", hint=_HINT)
    array: Array = tensor.detach().to(torch.float32).contiguous().numpy().copy()
    if not np.isfinite(array).all():
        raise CheckpointError(f"'{name}' holds numbers that are not finite", hint="the training of this file diverged")
    return array


def _sizes(tensors: Weights) -> ModelConfig:
    """Return the sizes that the shapes tell, if all of them agree."""
    shape = tensors["fc2.weight"].shape
    if len(shape) != 2:
        raise CheckpointError("'fc2.weight' is not a matrix", hint=_HINT)
    try:
        config = ModelConfig(hidden=shape[1], bottleneck=shape[0])
    except UsageError as error:
        raise CheckpointError(f"its {error.message}", hint=error.hint) from error
    for name, expected in config.shapes().items():
        if tensors[name].shape != expected:
            raise CheckpointError(f"'{name}' has the shape {tensors[name].shape}, not {expected}", hint=_HINT)
    return config
