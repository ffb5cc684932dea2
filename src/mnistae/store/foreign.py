"""Weight files of other programs as named arrays: PyTorch, safetensors, .npz. The only module that reads pickles."""

import io
import itertools
import pickletools
import shlex
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # names of Python 2, which pickles of protocol 2 have
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnistae.core.errors import CheckpointError
from mnistae.core.files import kinds, npy, npz
from mnistae.core.files.read import UnreadableError
from mnistae.core.text import safe_text
from mnistae.store import format as checkpoint_format

MAX_FILE = 256 * 2**20
MAX_OPERATIONS = 500_000
"""Operations of a pickle: one for each number in a list, about fifty for each tensor."""

MAX_ARRAYS = 10_000
"""One array may be listed any number of times, for one operation each."""

MAX_NAMES = 50
"""Classes and functions named in a pickle."""

MAX_DEPTH = 16

HINT = "give the weights of a network 784-h-b-h-784: a PyTorch state dict, a safetensors file or an .npz"
SAVE_WEIGHTS = "in the training program, save only the weights: torch.save(model.state_dict(), FILE)"
SAVE_KERAS = "in the training program, save the weights: np.savez(FILE, *[w.T for w in model.get_weights()])"
COPY_AGAIN = "download or copy it again"

PYTORCH, NPZ, SAFETENSORS = "a PyTorch file", "an .npz of arrays", "a safetensors file"
READABLE = (PYTORCH, NPZ, SAFETENSORS)
UNKNOWN = "in an unknown format"

_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before PyTorch 1.6: a pickled magic number
_ARCHIVES = {
    "constants.pkl": "a TorchScript archive, which contains a program",
    "data.pkl": PYTORCH,
    "archive_format": "an exported PyTorch program (.pt2)",
    "serialized_exported_program.json": "an exported PyTorch program (.pt2)",
    "model.weights.h5": "a Keras model",
}
_HINTS = (
    (SAVE_WEIGHTS, ("program", "pickle")),
    (SAVE_KERAS, ("Keras", "HDF5")),
    (COPY_AGAIN, ("empty", "truncated", "web page", "pointer")),
    ("save the arrays by name: np.savez(FILE, **arrays)", (".npy",)),
    ("unpack it, and give the file in it", ("archive",)),
)
_ONNX = tuple(b"\x08" + bytes([version, tag]) for version in range(1, 32) for tag in (0x12, 0x1A, 0x22, 0x3A, 0x42))
_HARMLESS = ("numpy.core.multiarray.", "numpy._core.multiarray.", "numpy.dtype", "torch.torch_version.")
_PLAIN = ("torch.", "numpy", "collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.")


class _Pickled:
    """An object of a pickle that is not a tensor: a placeholder that is built in its place and only holds data."""

    name: ClassVar[str]
    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


def identify(data: bytes) -> str:
    """Return what a file with these bytes is, in the words of a message; one of READABLE if it may hold weights."""
    if not data or data.isspace():
        return "empty"
    if data[:4] == b"PK\x03\x04":
        return _identify_archive(data)
    if data.startswith(_LEGACY):
        return PYTORCH
    if data.startswith(_ONNX):
        return "an ONNX model"
    if data[8:9] == b"{" and (data[:1] != b"\x80" or data[9:10] == b'"'):
        return SAFETENSORS
    return kinds.describe(data[: kinds.SIZE]) or ("a tar archive" if data[257:262] == b"ustar" else UNKNOWN)


def _identify_archive(data: bytes) -> str:
    try:
        names = npz.names(data)
    except UnreadableError:
        return "a truncated or damaged zip archive, as PyTorch and NumPy write them"
    if names and all(name.endswith(".npy") for name in names):
        return NPZ
    ends = {name.partition("/")[2] or name for name in names}
    listed = ", ".join(f"'{name}'" for name in names[:3]) + (" …" if len(names) > 3 else "")
    return next((kind for end, kind in _ARCHIVES.items() if end in ends), f"a zip archive of {listed}")


def hint(kind: str) -> str:
    """Return what to do with a file of this kind, as `identify` names it."""
    kind = kind.partition(" of '")[0]  # without the names of files in an archive
    return next((text for text, words in _HINTS if any(word in kind for word in words)), HINT)


def not_ours(path: Path, kind: str, *, otherwise: str) -> CheckpointError:
    """Return the error for a file of this kind that was given as a checkpoint; the hint is `otherwise` if it has no weights."""
    command = f"mnistae checkpoints import {shlex.quote(str(path))}"
    if kind in READABLE:
        otherwise = f"import it first: {command}"
    elif hint(kind) == COPY_AGAIN:
        otherwise = f"{COPY_AGAIN}, then import it: {command}"
    elif hint(kind) != HINT:
        otherwise = hint(kind)
    return CheckpointError(f"'{path}' is not a checkpoint of mnistae: it is {safe_text(kind)}", hint=otherwise)


def load(data: bytes) -> dict[str, Any]:
    """Return the arrays and tensors in a weight file by their full names, in its order. Raises CheckpointError."""
    kind = identify(data)
    if kind not in READABLE:
        raise CheckpointError(safe_text(f"it is {kind}"), hint=hint(kind))
    if kind == SAFETENSORS:
        return _load_safetensors(data)
    if data.startswith(_LEGACY):
        return _load_pytorch(data, data)
    try:
        members = npz.unpack(data, ".npy" if kind == NPZ else "data.pkl", limit=MAX_FILE)
        if kind == NPZ:
            return _by_name((name[:-4].replace("/", "."), npy.read_array(member)) for name, member in members.items())
    except (UnreadableError, ValueError) as error:
        raise CheckpointError(safe_text(f"it is {kind} that cannot be read: {error}"), hint=HINT) from error
    if len(members) > 1:
        raise CheckpointError(f"it is {kind} that cannot be read: several pickles", hint=HINT)
    return _load_pytorch(data, *members.values())


def _load_safetensors(data: bytes) -> dict[str, Any]:
    import safetensors
    import safetensors.torch

    # safetensors' own limit is a header of 100 MB, which takes it seconds and gigabytes
    if int.from_bytes(data[:8], "little") > checkpoint_format.MAX_HEADER:
        raise CheckpointError(f"it is {SAFETENSORS} with too large a header", hint=HINT)
    try:
        found = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:  # KeyError: a type that torch does not know
        raise CheckpointError(f"it is {SAFETENSORS} that is truncated or damaged", hint=HINT) from error
    return _by_name((name.replace("/", "."), found[name]) for name in sorted(found))  # they have no order of their own


def _load_pytorch(data: bytes, pickled: bytes) -> dict[str, Any]:
    """Return what torch.save wrote. Tensors and plain containers are built; every other object becomes a placeholder."""
    import torch

    names: list[str] = []
    try:
        names += _globals(pickled)
        safe: dict[str, Any] = {name: type("_Pickled", (_Pickled,), {"name": name}) for name in names}
        safe["collections.defaultdict"] = lambda *_: {}
        pairs: list[Any] = [(placeholder, name) for name, placeholder in safe.items()]
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(pairs):
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return _by_name((name or "it", array) for name, array in _arrays(content, "", set()))
    except CheckpointError:
        raise
    except Exception as error:  # foreign bytes: torch raises a dozen kinds
        reason, hint = f"it is {PYTORCH} that is truncated, damaged or has unusual contents", HINT
        if odd := next((name for name in names if name.startswith("torch.nn.modules.") or not name.startswith(_PLAIN)), None):
            reason, hint = f"refused: it contains pickled objects of type '{odd}'", SAVE_WEIGHTS
        elif pickled[:1] == b"\x80" and pickled[1] != 2:
            reason = f"it is written with pickle protocol {pickled[1]}, which cannot be read safely"
            hint = "save it again with torch.save and its default protocol"
        raise CheckpointError(safe_text(reason), hint=hint) from error


def _globals(pickled: bytes) -> list[str]:
    """Return the names of the classes and functions in a pickle, which is not executed."""
    stream = io.BytesIO(pickled)
    passes = range(4 if pickled.startswith(_LEGACY) else 1)  # the fourth pickle is the content
    names = []
    operations = itertools.chain.from_iterable(pickletools.genops(stream) for _ in passes)
    for number, (operation, argument, _) in enumerate(operations):
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            names.append(".".join(NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))))
        if number == MAX_OPERATIONS or len(names) > MAX_NAMES:
            raise CheckpointError("it contains too many objects", hint=SAVE_WEIGHTS)
    return names


def _arrays(item: object, name: str, seen: set[object], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the arrays and tensors in nested containers by their full names, without those of optimizers.

    A container that is reached by two names is entered once.
    """
    import torch

    if id(item) in seen or depth > MAX_DEPTH:
        return
    if isinstance(item, torch.Tensor):
        yield name, item
    elif isinstance(item, _Pickled):
        if (array := _to_array(item, name)) is not None:
            yield name, array
    elif isinstance(item, Mapping | list | tuple):
        seen.add(id(item))
        pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
        is_optimizer = isinstance(item, Mapping) and {"state", "param_groups"} <= item.keys()
        for key, value in () if is_optimizer else pairs:
            own = str(key).replace("/", ".")
            yield from _arrays(value, f"{name}/{own}" if name else own, seen, depth + 1)


def _by_name(arrays: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return arrays by name, without those of a module that is registered under a second name; single vectors may be shared."""
    found: dict[str, Any] = {}
    modules: dict[str, list[str]] = {}
    places: dict[str, object] = {}  # equal for two tensors with the same elements in memory
    for number, (name, array) in enumerate(arrays):
        if number == MAX_ARRAYS:
            raise CheckpointError("it contains too many arrays", hint=SAVE_WEIGHTS)
        if name in found:
            raise CheckpointError(safe_text(f"two arrays have the name '{name}'"), hint="rename one; a slash is read as a dot")
        found[name] = array
        is_dense = not isinstance(array, np.ndarray) and str(array.layout) == "torch.strided" and array.device.type == "cpu"
        places[name] = (array.data_ptr(), array.shape, array.stride()) if is_dense else id(array)
        modules.setdefault(name[: max(map(name.rfind, "./_")) + 1], []).append(name)
    seen: set[object] = set()
    for names in modules.values():
        own_places = {places[name] for name in names}
        is_vector = [found[name].ndim for name in names] == [1]
        if own_places <= seen and not is_vector:
            found = {name: array for name, array in found.items() if name not in names}
        seen |= own_places
    return found


def _to_array(item: _Pickled, name: str) -> NDArray[np.floating] | None:
    """Return an array of floats from its placeholder, None for other values of NumPy's. Raises CheckpointError for the rest."""
    if not item.name.startswith(_HARMLESS):
        is_model = isinstance(item.state, Mapping) and "_modules" in item.state
        kind = f"{'a whole pickled model' if is_model else 'a pickled object'} of type '{item.name}'"
        raise CheckpointError(safe_text(f"refused: '{name}' is {kind}" if name else f"it is {kind}"), hint=SAVE_WEIGHTS)
    if not item.name.endswith("._reconstruct"):
        return None
    _, shape, dtype, is_fortran, values = item.state
    if dtype.args[0] not in {"f2", "f4", "f8"} or not isinstance(values, bytes):  # an empty array has no bytes
        return None
    return np.frombuffer(values, dtype.state[1] + dtype.args[0]).reshape(shape, order="F" if is_fortran else "C")
