"""The four layers of the network among named arrays: found by their shapes, whatever their names."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnistae.core.config import PIXELS, ModelConfig
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.text import safe_text
from mnistae.store.foreign import HINT

LISTED = 8
"""Arrays named in a message."""

_PART = re.compile(r"\A(.*)(?<![a-z])(?:(?:weights?|kernel|w)|(bias|biases|b))(?![a-z])(.*)", re.IGNORECASE | re.DOTALL)
"""The last part in which the names of a layer's matrix and bias may differ: `encoder.0.weight`, `fc1_b`, `W1`."""

_ALONE = "save the weights of one network alone, 784-h-b-h-784: torch.save(model.state_dict(), FILE)"
_ONLY = "only networks of four linear layers, 784-h-b-h-784, can be imported"

Arrays = Mapping[str, Any]
"""By name; a slash separates a mapping from what it contains. Each array has `shape` and `ndim`."""


@dataclass(frozen=True)
class Layer:
    """A matrix (outputs, inputs) and the bias that its name belongs to, both by the names of the arrays."""

    name: str
    matrix: str
    bias: str | None
    shape: tuple[int, int]


Shapes = Mapping[tuple[int, int], Sequence[Layer]]


@dataclass(frozen=True)
class Found:
    """The network's sizes, its layers in order, and the arrays that have no effect on it."""

    config: ModelConfig
    layers: Sequence[Layer]
    left_out: Sequence[str]

    @property
    def names(self) -> dict[str, str]:
        """The full names of the arrays by those of the network, in its order."""
        full = [name for layer in self.layers for name in (layer.matrix, layer.bias or "")]
        return dict(zip(self.config.shapes(), full, strict=True))

    @property
    def notes(self) -> tuple[str, str]:
        """What was taken for what, and what was left out; empty if there is nothing to say."""
        pairs = [(safe_text(layer.name), f"fc{number}") for number, layer in enumerate(self.layers, start=1)]
        mapping = ", ".join(f"{name} → {own}" for name, own in pairs) if any(name != own for name, own in pairs) else ""
        left_out = ", ".join(f"'{safe_text(name)}'" for name in self.left_out[:LISTED])
        more = " …" if len(self.left_out) > LISTED else ""
        return mapping, f"left out: {left_out}{more}" if left_out else ""


def find(arrays: Arrays) -> Found:
    """Return the only network 784-h-b-h-784 among `arrays`. Raises CheckpointError, also if it has other layers."""
    by_shape: dict[tuple[int, int], list[Layer]] = defaultdict(list)
    for layer in _layers(arrays):
        by_shape[layer.shape].append(layer)
    config = _sizes(by_shape, arrays)
    chosen = _choose(config, by_shape)
    _check_biases(chosen, arrays)
    used = {name for layer in chosen for name in (layer.matrix, layer.bias)}
    found = Found(config, chosen, [name for name in arrays if name not in used])
    _check_others(found, by_shape, arrays)
    return found


def _layers(arrays: Arrays) -> Iterator[Layer]:
    biases = {part[1] + part[3]: name for name in arrays if (part := _PART.match(name)) and part[2]}
    is_list = not any(map(_PART.match, arrays))  # without such names a bias follows its matrix
    following = dict(itertools.pairwise(arrays)) if is_list else {}
    for name, array in arrays.items():
        if array.ndim == 2:
            key, after = _PART.sub(r"\1\3", name), following.get(name)
            bias = after if after and arrays[after].ndim == 1 else biases.get(key)
            yield Layer(key.lstrip("./").rstrip("./_") or name, name, bias, (array.shape[0], array.shape[1]))


def _sizes(by_shape: Shapes, arrays: Arrays) -> ModelConfig:
    """Return the only sizes for which there are four matrices."""
    outputs_of: dict[int, list[int]] = defaultdict(list)
    for outputs, inputs in by_shape:
        outputs_of[inputs].append(outputs)
    configs, unsupported = [], None
    for hidden, bottleneck in [(h, b) for h in outputs_of[PIXELS] for b in outputs_of.get(h, ()) if _has_chain(h, b, by_shape)]:
        try:
            configs.append(ModelConfig(hidden=hidden, bottleneck=bottleneck))
        except UsageError as error:
            unsupported = error
    if unsupported and not configs:
        raise CheckpointError(f"unsupported network size ({unsupported.message})", hint=unsupported.hint)
    if not configs:
        raise CheckpointError(f"no network 784-h-b-h-784 found; it contains {_list(arrays, arrays)}", hint=HINT)
    if len(configs) > 1:
        sizes = [f"784-{config.hidden}-{config.bottleneck}-{config.hidden}-784" for config in configs]
        raise CheckpointError(f"more than one network fits: {', '.join(sizes[:LISTED])}", hint=_ALONE)
    return configs[0]


def _has_chain(hidden: int, bottleneck: int, by_shape: Shapes) -> bool:
    needed = Counter([(hidden, PIXELS), (bottleneck, hidden), (hidden, bottleneck), (PIXELS, hidden)])
    return all(len(by_shape.get(shape, ())) >= number for shape, number in needed.items())


def _choose(config: ModelConfig, by_shape: Shapes) -> list[Layer]:
    """Return fc1 to fc4. Of two matrices of the same shape the encoder's comes first, then the one with the lower number."""
    shapes = [(shape[0], shape[1]) for shape in config.shapes().values() if len(shape) == 2]
    pools = {}
    for shape, number in Counter(shapes).items():
        if len(by_shape[shape]) > number:
            names = ", ".join(f"'{layer.name}'" for layer in by_shape[shape][:LISTED])
            raise CheckpointError(safe_text(f"more than one matrix of shape {shape}: {names}"), hint=_ALONE)
        pools[shape] = iter(sorted(by_shape[shape], key=_place))
    return [next(pools[shape]) for shape in shapes]


def _place(layer: Layer) -> tuple[bool, list[int]]:
    return "dec" in layer.name.lower(), [int(number) for number in re.findall(r"\d{1,9}", layer.name)]


def _check_biases(layers: Sequence[Layer], arrays: Arrays) -> None:
    missing = [f"'{layer.name}'" for layer in layers if layer.bias is None]
    if missing:
        raise CheckpointError(safe_text(f"no bias found for {', '.join(missing)}"), hint="save zeros where a layer has no bias")
    biases = [tuple(arrays[layer.bias].shape) for layer in layers if layer.bias]
    if [(layer.shape[0],) for layer in layers] == biases:
        return
    if [(layer.shape[1],) for layer in layers] == biases:
        hint = "Keras and JAX store (inputs, outputs): save each matrix as matrix.T and import that file"
        raise CheckpointError("all matrices are transposed", hint=hint)
    layer, shape = next((layer, shape) for layer, shape in zip(layers, biases, strict=True) if (layer.shape[0],) != shape)
    raise CheckpointError(safe_text(f"'{layer.bias}' has the shape {shape}, not {(layer.shape[0],)}"), hint=HINT)


def _check_others(found: Found, by_shape: Shapes, arrays: Arrays) -> None:
    """Raise CheckpointError for what changes the network's output: a layer that leads to an image, a normalisation."""
    used, leading_back = set(found.names.values()), _widths_leading_back(by_shape)
    layers = [layer for alike in by_shape.values() for layer in alike if layer.matrix not in used]
    if deeper := [layer.matrix for layer in layers if layer.shape[0] in leading_back]:
        raise CheckpointError(f"there are more than four layers: {_list(deeper, arrays)}", hint=_ONLY)
    homes = {name.rpartition("/")[0] for name in used}
    known = {name for layer in _layers(arrays) for name in (layer.matrix, layer.bias)}
    others = [name for name in found.left_out if name not in known and arrays[name].ndim]
    if odd := [name for name in others if name.rpartition("/")[0] in homes or "running_mean" in name]:
        is_normalised = any("running_mean" in name for name in odd)
        reason = "the network has batch normalisation" if is_normalised else "there are other layers in the network"
        raise CheckpointError(f"{reason}: {_list(odd, arrays)}", hint=_ONLY)


def _widths_leading_back(by_shape: Shapes) -> set[int]:
    """Return the widths from which a sequence of matrices leads to an image."""
    inputs_of: dict[int, list[int]] = defaultdict(list)
    for outputs, inputs in by_shape:
        inputs_of[outputs].append(inputs)
    found, new = {PIXELS}, [PIXELS]
    while new:
        new = [width for outputs in new for width in inputs_of.pop(outputs, ()) if width not in found]
        found.update(new)
    return found


def _list(names: Iterable[str], arrays: Arrays) -> str:
    """Return names and shapes of arrays for a message."""
    first = [safe_text(f"{name} {tuple(arrays[name].shape)}") for name in itertools.islice(names, LISTED + 1)]
    return ", ".join([*first[:LISTED], *(["…"] if len(first) > LISTED else [])]) or "no arrays"
