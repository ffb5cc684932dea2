"""Import of weights from PyTorch, safetensors and .npz files."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnistae.core.arrays import Array
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.files import read as files
from mnistae.core.records import Metadata, Weights
from mnistae.core.text import safe_text
from mnistae.store import foreign, layers, variants
from mnistae.store import format as checkpoint_format
from mnistae.store.variants import DEFAULT, Bottleneck, Trial, Variant


class Imported(NamedTuple):
    """The converted weights, what was noticed on the way, and their trial: none for a checkpoint of mnistae."""

    weights: Weights
    metadata: Metadata
    notes: tuple[str, ...] = ()
    trial: Trial | None = None


def read(path: Path, variant: Variant = DEFAULT) -> Imported:
    """Return the network in `path`, trained as `variant`. Raises CheckpointError, UsageError.

    A PyTorch file is read with `weights_only=True`, which builds tensors and plain containers and nothing else.
    """
    data = files.read_or_raise(path, limit=foreign.MAX_FILE, family=CheckpointError, what="the weights", hint=foreign.HINT)
    try:
        if checkpoint_format.has_metadata(data):
            return _own(data, variant)
        arrays = foreign.load(data)
        config, names, notes = layers.find(arrays)
        raw = {name: _to_array(names[name], arrays[names[name]]).reshape(shape) for name, shape in config.shapes().items()}
        weights = variants.convert(raw, variant)
    except CheckpointError as error:
        raise CheckpointError(f"cannot import '{path}': {error.message}", hint=error.hint) from error
    metadata = Metadata(model=config, source=f"import {path.name} {variant.options}".rstrip())
    if variant.options:
        shift = "; codes are shifted by constants, so that none is negative" if variant.bottleneck is Bottleneck.LINEAR else ""
        notes.append(f"converted from {variant}{shift}")
    return Imported(weights, metadata, tuple(notes), variants.try_on_digits(raw, variant))


def _own(data: bytes, variant: Variant) -> Imported:
    """Return the weights of a model or of a training state of mnistae."""
    if variant.options:
        raise UsageError(f"{variant.options} does not apply to a checkpoint of mnistae", hint="leave it out")
    if checkpoint_format.is_state(data):
        state, metadata = checkpoint_format.decode_state(data)
        return Imported(state.weights, metadata, ("the training state is left out",))
    return Imported(*checkpoint_format.decode_model(data))


def _to_array(name: str, values: Any) -> Array:
    """Return the values as float32. The shape must have been checked: a stride of 0 can make a tiny file huge."""
    is_array = isinstance(values, np.ndarray)
    if not (values.dtype.kind == "f" if is_array else values.is_floating_point()):
        kind = str(values.dtype).removeprefix("torch.")
        raise CheckpointError(safe_text(f"'{name}' is not of a floating-point type: {kind}"), hint=foreign.HINT)
    if not is_array and (str(values.layout) != "torch.strided" or values.device.type != "cpu"):  # "meta" has no numbers
        raise CheckpointError(safe_text(f"'{name}' is not a dense tensor"), hint=foreign.HINT)
    with np.errstate(over="ignore"):
        found: Array = np.array(values if is_array else values.detach().float().numpy(), np.float32, order="C")
    if not np.isfinite(found).all():
        hint = "import a checkpoint whose training did not diverge"
        raise CheckpointError(safe_text(f"'{name}' contains NaN or infinity"), hint=hint)
    return found
