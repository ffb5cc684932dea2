"""The four layers of the network among named arrays: found by their shapes, whatever their names."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mnistae.core.config import PIXELS, ModelConfig
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.text import safe_text
from mnistae.store.foreign import HINT, SAVE_KERAS

LISTED = 8
"""Arrays named in a message."""

_PART = re.compile(r"\A(.*)(?<![a-z])(?:(?:weights?|kernel|w)|(bias|biases|b))(?![a-z])(.*)", re.IGNORECASE | re.DOTALL)
"""The last part in which the names of a layer's matrix and bias may differ: `encoder.0.weight`, `fc1_b`, `W1`."""

_PARAMETRISED = re.compile(r"parametrizations\.|weight_(?:g|orig|mask)$")

_ALONE = "save the weights of one network alone, 784-h-b-h-784: torch.save(model.state_dict(), FILE)"
_BIAS = "name each bias like its matrix, as in fc1.weight and fc1.bias; save zeros where a layer has none"
_NUMBER = "number the layers in their order, as in fc1 to fc4"
_ONLY = "only networks of four linear layers, 784-h-b-h-784, can be imported"
_APPLY = "apply it before saving, with remove_parametrizations, remove_weight_norm, remove_spectral_norm or prune.remove"

Arrays = Mapping[str, Any]
"""By name; a slash separates a mapping from what it contains. Each array has `shape` and `ndim`."""


class Layer(NamedTuple):
    """A matrix (outputs, inputs) and the bias that its name belongs to, both by the names of the arrays."""

    name: str
    matrix: str
    bias: str | None
    shape: tuple[int, int]


def find(arrays: Arrays) -> tuple[ModelConfig, dict[str, str], list[str]]:
    """Return the only network 784-h-b-h-784 among `arrays`: its sizes, the names of its arrays by the lab's, and notes.

    Raises CheckpointError, also if it has other layers.
    """
    if odd := [name for name in arrays if _PARAMETRISED.search(name)]:
        reason = f"its layers are parametrised, as by weight normalisation or pruning: {_list(odd, arrays)}"
        raise CheckpointError(reason, hint=_APPLY)
    layers = list(_layers(arrays))
    config = _sizes(layers, arrays)
    used = _choose(config, layers)
    _check_biases(used, arrays)
    names = [name for layer in used for name in (layer.matrix, str(layer.bias))]
    _check_others([layer for layer in layers if layer not in used], config, names, arrays)
    notes = []
    if [layer.name for layer in used] != ["fc1", "fc2", "fc3", "fc4"]:
        sources = [layer.name if _PART.match(str(layer.bias)) else f"{layer.name} with {layer.bias}" for layer in used]
        notes.append(", ".join(f"{safe_text(source)} → fc{number}" for number, source in enumerate(sources, start=1)))
    if left_out := [f"'{safe_text(name)}'" for name in arrays if name not in names]:
        notes.append(f"left out: {', '.join(left_out[:LISTED])}{' …' if len(left_out) > LISTED else ''}")
    return config, dict(zip(config.shapes(), names, strict=True)), notes


def _layers(arrays: Arrays) -> Iterator[Layer]:
    parts = {name: _PART.match(name) for name in arrays}
    biases = {(part[1] + part[3]).rstrip("./_"): name for name, part in parts.items() if part and part[2]}
    unnamed = {} if any(parts.values()) else _pairs(arrays)
    columns = {*biases.values(), *unnamed.values()}  # biases of one column, or one row
    for name, array in arrays.items():
        if array.ndim == 2 and name not in columns:
            key = _PART.sub(r"\1\3", name).rstrip("./_")
            bias = unnamed.get(name) or biases.get(key)
            yield Layer(key.lstrip("./") or name, name, bias, (array.shape[0], array.shape[1]))


def _pairs(arrays: Arrays) -> dict[str, str]:
    """Return the biases by their matrices, for names that do not tell: the next array, or the one of the same number or place.

    Places in the file mean nothing if they follow from the alphabet, or if the numbers in the names are in another order.
    """
    has_flat = sum(array.ndim == 1 for array in arrays.values()) >= 4  # or else biases are columns or rows
    matrices = {name: a.shape for name, a in arrays.items() if a.ndim == 2 and (has_flat or 1 not in a.shape)}
    following = {one: after for one, after in itertools.pairwise(arrays) if arrays[one].ndim == 2 and arrays[after].ndim == 1}
    if sum(arrays[after].shape == arrays[name].shape[:1] for name, after in following.items()) >= 4:
        return following
    lengths = {length for shape in matrices.values() for length in shape}
    vectors = [name for name, array in arrays.items() if name not in matrices and {*array.shape} - {1} <= lengths]
    steps = [step for names in (matrices, vectors) for step in itertools.pairwise(map(_numbers, names))]
    is_numbered = all(number < after for number, after in steps)
    is_ordered = list(arrays) != sorted(arrays) and all(number <= after for number, after in steps)
    if len(matrices) == len(vectors) and (is_numbered or is_ordered) and PIXELS in next(iter(matrices.values()), ()):
        return dict(zip(matrices, vectors, strict=True))
    return following


def _numbers(name: str) -> list[int]:
    return [*map(int, re.findall(r"\d{1,9}", name))]


def _sizes(layers: Sequence[Layer], arrays: Arrays) -> ModelConfig:
    """Return the only sizes for which there are four matrices."""
    found = Counter(layer.shape for layer in layers)
    chains = []
    for bottleneck, hidden in found:
        needed = Counter([(hidden, PIXELS), (bottleneck, hidden), (hidden, bottleneck), (PIXELS, hidden)])
        # `needed <= found` would go through all of `found` each time
        if bottleneck != PIXELS and all(found[shape] >= number for shape, number in needed.items()):
            chains.append((hidden, bottleneck))
    if not chains:
        raise CheckpointError(f"no network 784-h-b-h-784 found; it contains {_list(arrays, arrays)}", hint=HINT)
    if len(chains) > 1:
        sizes = ", ".join(f"784-{hidden}-{bottleneck}-{hidden}-784" for hidden, bottleneck in chains[:LISTED])
        raise CheckpointError(f"more than one network fits: {sizes}", hint=_ALONE)
    try:
        return ModelConfig(*chains[0])
    except UsageError as error:
        raise CheckpointError(f"unsupported network size ({error.message})", hint=error.hint) from error


def _choose(config: ModelConfig, layers: Sequence[Layer]) -> list[Layer]:
    """Return fc1 to fc4. Of two matrices of the same shape the encoder's comes first, or else the one with the lower number.

    Otherwise numbers that differ in all layers decide, or the order of the file unless it is alphabetical. In either order fc1
    has to be the first and fc4 the last.
    """
    shapes = [shape for shape in config.shapes().values() if len(shape) == 2]
    fitting = [layer for layer in layers if layer.shape in shapes]
    columns = zip(*(_numbers(layer.name) for layer in fitting), strict=False)
    is_numbered = next((len(set(column)) for column in columns if len(set(column)) > 1), 0) == len(shapes)
    is_alphabetical = list(layers) == sorted(layers, key=lambda layer: layer.matrix)
    if is_numbered:
        fitting.sort(key=lambda layer: _numbers(layer.name))
    is_ordered = [layer.shape for layer in fitting] == shapes and (is_numbered or not is_alphabetical)
    chosen: list[Layer] = []
    for shape in shapes:
        alike = [layer for layer in fitting if layer.shape == shape]
        names = ", ".join(f"'{safe_text(layer.name)}'" for layer in alike[:LISTED])
        if len(alike) > shapes.count(shape):
            # a second network has a second fc1; a variational one has two heads
            raise CheckpointError(f"more than one matrix of shape {shape}: {names}", hint=_ONLY if chosen else _ALONE)
        if not is_numbered and len({re.sub(r"\d", "", layer.name) for layer in alike}) == 1:
            alike.sort(key=lambda layer: _numbers(layer.name))
        elif len(alike) > 1 and len(set(map(_is_decoder, alike))) == 1 and not is_ordered:
            raise CheckpointError(f"{names} have the same shape, and their order is unclear", hint=_NUMBER)
        alike.sort(key=_is_decoder)
        chosen.append(next(layer for layer in alike if layer not in chosen))
    return chosen


def _is_decoder(layer: Layer) -> bool:
    return "dec" in layer.name.lower()


def _check_biases(layers: Sequence[Layer], arrays: Arrays) -> None:
    missing = ", ".join(f"'{layer.name}'" for layer in layers if layer.bias is None)
    if missing:
        biases = {layer.bias for layer in layers}
        vectors = [name for name, array in arrays.items() if array.ndim == 1 and name not in biases]
        reason = f"no bias found for {missing}, among {_list(vectors, arrays)}" if vectors else f"no bias found for {missing}"
        raise CheckpointError(safe_text(reason), hint=_BIAS)
    found = {layer: tuple(arrays[layer.bias].shape) for layer in layers if layer.bias}
    wrong = [
        layer for layer, shape in found.items() if shape not in {layer.shape[:1], (1, layer.shape[0]), (layer.shape[0], 1)}
    ]
    if len(wrong) == 4 and all(layer.shape[1] in found[layer] for layer in wrong):
        raise CheckpointError("all matrices are transposed, as in Keras and JAX", hint=f"for Keras, {SAVE_KERAS}")
    for layer in wrong:
        raise CheckpointError(safe_text(f"'{layer.bias}' has the shape {found[layer]}, not {layer.shape[:1]}"), hint=HINT)


def _check_others(layers: Sequence[Layer], config: ModelConfig, used: Collection[str], arrays: Arrays) -> None:
    """Raise CheckpointError for what may change the network's output: layers that lead to it, and arrays among its own."""
    if any(layer.shape[0] in {PIXELS, config.hidden, config.bottleneck} for layer in layers):
        found = _list([layer.matrix for layer in layers], arrays)
        raise CheckpointError(f"there are more than four layers: {found}", hint=_ONLY)
    homes = {name: name.rpartition("/")[0] for name in arrays}
    if len({homes[name] for name in used}) >= 4:  # lists of pairs, one for each layer or array, count as one
        homes = {name: re.sub(r"\d+", "0", home) for name, home in homes.items()}
    own = {homes[name] for name in used}
    separate = {name for layer in layers if layer.bias or layer.shape[0] > 1 for name in (layer.matrix, layer.bias)}
    others = [name for name in arrays if name not in separate.union(used)]
    others = [name for name in others if homes[name] in own or "running_mean" in name]
    widths = {1, PIXELS, config.hidden, config.bottleneck}
    if odd := [name for name in others if arrays[name].ndim > 1 or {*arrays[name].shape} & widths]:
        is_normalised = any("running_mean" in name for name in odd)
        reason = "the network has batch normalisation" if is_normalised else "the network may have more than its four layers"
        raise CheckpointError(f"{reason}: {_list(odd, arrays)}", hint=_ONLY)


def _list(names: Collection[str], arrays: Arrays) -> str:
    """Return names and shapes of arrays for a message."""
    first = [safe_text(f"{name} {tuple(arrays[name].shape)}") for name in list(names)[:LISTED]]
    return ", ".join(first + ["…"] * (len(names) > LISTED)) or "no arrays"
