"""The Python API: what the commands do, on arrays. `import mnistae` exports these names and imports them on first use.

Images are passed as (n, 28, 28), (n, 784) or a single (28, 28): uint8, or floats in [0, 1] with 0 = background, 1 = stroke.
They are returned as float32 (n, 28, 28). Expected errors are raised as MnistaeError.
"""

import atexit
import dataclasses
import numbers
import os
import sys
import warnings
import weakref
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistae.core import config as configs
from mnistae.core.arrays import Array, Bytes
from mnistae.core.config import PIXELS, SIDE, ModelConfig, Precision, TrainConfig
from mnistae.core.errors import DataError, UsageError
from mnistae.core.records import EpochRecord
from mnistae.core.text import safe_repr, safe_text, suggestion
from mnistae.data.images import arrays_io, values
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model import backend
from mnistae.model import device as devices
from mnistae.model.backend import Network
from mnistae.store import names, runs
from mnistae.store.runs import Checkpoint
from mnistae.tasks import drift, inference
from mnistae.tasks import noise as noises
from mnistae.tasks.inference import Denoising, Reconstruction
from mnistae.tasks.noise import Noise

if TYPE_CHECKING:
    import torch

T = TypeVar("T", bound=StrEnum)

DATASET = "the name or the path of a data set"
IMAGES = "numbers of shape (28, 28), (n, 28, 28) or (n, 784)"


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A loaded checkpoint: its metadata and its network."""

    checkpoint: Checkpoint
    network: Network

    def encode(self, images: ArrayLike) -> Array:
        """Return the codes (n, bottleneck) of images; no value is negative."""
        return self.network.encode(self._rows(images))

    def decode(self, codes: ArrayLike) -> Array:
        """Return the images (n, 28, 28) of codes (n, bottleneck). Raises DataError."""
        expected = f"finite numbers of shape (n, {self.network.config.bottleneck})"
        found = _to_array("codes", codes, expected)
        if found.ndim != 2 or found.shape[1] != self.network.config.bottleneck:
            raise DataError(f"invalid codes: an array of shape '{found.shape}'", hint=f"must be {expected}")
        with np.errstate(over="ignore"):
            array = found.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            low, high = values.extremes(found)
            raise DataError(f"invalid codes: values from {low:g} to {high:g}", hint="must be finite as float32")
        return _to_images(self.network.decode(array))

    def reconstruct(self, images: ArrayLike) -> Reconstruction:
        """Encode and decode images: `originals` and `outputs` (n, 28, 28), and `metrics` of each pair."""
        found = inference.reconstruct(self.network, self._rows(images))
        return dataclasses.replace(found, originals=_to_images(found.originals), outputs=_to_images(found.outputs))

    def denoise(self, images: ArrayLike, noise: str = Noise.UNIFORM, *, level: float | None = None, seed: int = 0) -> Denoising:
        """Add noise to images and remove it with the network: `originals`, `noisy` and `outputs` (n, 28, 28).

        `before` and `after` are the metrics of `noisy` and `outputs`. `noise` is uniform, gaussian, salt-pepper, mask, or none
        for images that are already noisy. Raises UsageError.
        """
        kind = _parse_enum(Noise, noise)
        strength, seed = noises.check_level(kind, level), noises.check_seed(seed)
        rows = self._rows(images, are_noisy=kind is Noise.NONE)
        found = inference.denoise(self.network, rows, kind=kind, level=strength, seed=seed)
        originals, noisy, outputs = map(_to_images, (found.originals, found.noisy, found.outputs))
        return dataclasses.replace(found, originals=originals, noisy=noisy, outputs=outputs)

    def interpolate(self, images: ArrayLike, *, steps: int = 8, slerp: bool = False) -> Array:
        """Return the frames (n, 28, 28) from each image to the next; a frame that two segments share occurs once.

        A segment has `steps` frames, 2 to 1,000, endpoints included. Raises UsageError.
        """
        steps, slerp = configs.check_integer("--steps", steps, 2, inference.MAX_STEPS), configs.check_flag("--slerp", slerp)
        frames = inference.interpolate(self.network, self._rows(images), steps=steps, slerp=slerp)
        return _to_images(inference.join_segments(frames))

    def _rows(self, images: ArrayLike, *, are_noisy: bool = False) -> Array:
        """Return images as rows (n, 784). Warn of conversions, and unless they are noisy of images unlike the training's."""
        found, notes = arrays_io.from_array(_to_array("images", images, IMAGES), name="images")
        rows = found.reshape(-1, PIXELS)
        said = list(notes)
        if not are_noisy:
            names = [f"image {k}" for k in range(len(rows))]
            said += drift.image_warnings(names, drift.brightness(rows), self.checkpoint.metadata, self.checkpoint.name)
        for note in said:
            warnings.warn(note, stacklevel=3)
        return rows

    def __repr__(self) -> str:
        sizes = self.network.config
        return f"<{self.checkpoint.name or self.checkpoint.path}: 784-{sizes.hidden}-{sizes.bottleneck}-{sizes.hidden}-784>"


class Settings(TypedDict, total=False):
    """Settings of a run that override its recipe."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    precision: Precision
    raw: bool


def load(checkpoint: str | os.PathLike[str] | None = None, *, device: "str | torch.device | None" = None) -> Model:
    """Return the model of a run by its name, of a .safetensors file by its path, or of the newest run.

    Without a `device` it computes with NumPy and does not import torch. Raises CheckpointError, DeviceError, UsageError.
    """
    choice = devices.check_choice(str(device)) if device is not None else None  # before anything is read
    expected = "the name of a run or the path of a .safetensors file"
    found = runs.load(_text("--checkpoint", checkpoint, expected) if checkpoint is not None else None)
    return Model(found, backend.load_network(found.weights, choice))


def read_dataset(
    reference: str | os.PathLike[str] = "mnist", split: str = Split.TRAIN, *, raw: bool = False
) -> tuple[Bytes, Bytes]:
    """Return the images (n, 28, 28) and labels (n,) of a data set by name or path, as uint8; label 255 means unlabelled.

    A data set that is not installed is downloaded. `raw`: images of other sizes than 28x28 are not inverted.
    Raises DataError, UsageError.
    """
    parsed = _parse_enum(Split, split)
    dataset = resolve.open_dataset(_text("--dataset", reference, DATASET), raw=configs.check_flag("--raw", raw))
    return dataset.images(parsed).reshape(-1, SIDE, SIDE), dataset.labels(parsed)


def train(
    images: ArrayLike | os.PathLike[str],
    *,
    recipe: str = "lab",
    hidden: int = 392,
    bottleneck: int = 8,
    device: "str | torch.device" = "auto",
    name: str | None = None,
    force: bool = False,
    **settings: Unpack[Settings],
) -> Generator[EpochRecord, None, None]:
    """Train a network on images, or on a data set by name or path, and save it; yield a record of each epoch.

    The result is byte-identical to that of `mnistae train` unless torch's global settings were changed. Training starts with
    the first record; breaking out of the loop keeps the last finished epoch (a generator in a variable saves it on `close()` or
    at exit). Afterwards `load(name)`, or `load()`, returns the model. Raises MnistaeError.
    """
    choice, force = devices.check_choice(str(device)), configs.check_flag("--force", force)
    valid = [*(train.__kwdefaults__ or {}), *Settings.__annotations__]
    for argument in settings:
        if argument not in valid:
            hint = suggestion(argument, valid, otherwise=f"choose from: {', '.join(valid)}")
            raise UsageError(f"unknown argument: '{argument}'", hint=hint)
    sizes = ModelConfig(hidden=hidden, bottleneck=bottleneck)
    is_reference = isinstance(images, str | os.PathLike)
    dataset = resolve.absolute(_text("--dataset", images, DATASET)) if is_reference else resolve.ARRAY
    config = dataclasses.replace(configs.recipe(recipe), dataset=dataset, **settings)
    if is_reference:
        data = resolve.open_dataset(dataset, raw=config.raw)
    else:
        data = resolve.from_array(_to_array("images", images, f"{IMAGES}, or {DATASET}"))
        for note in data.notes:
            warnings.warn(note, stacklevel=2)
    given = None if name is None else names.check(_text("--name", name, "text"))
    records = _train(given or names.default(sizes, config, dataset=data.name), sizes, config, data, choice, force=force)
    _close_at_exit(weakref.ref(records))
    return records


def _train(
    name: str, sizes: ModelConfig, config: TrainConfig, data: Dataset, device: str, *, force: bool
) -> Generator[EpochRecord, None, None]:
    with runs.lock(name):
        runs.check_is_new(name, force=force, hint="replace it with force=True, or choose another name")
        from mnistae.training import run as training_run

        found, threads = training_run.prepare_device(device, config.precision), training_run.choose_threads()
        spec = training_run.RunSpec(name, sizes, config, data, found, threads)
        run = training_run.Run(spec)
        for warning in drift.training_warnings(run.image_stats):
            warnings.warn(warning, stacklevel=2)
        yield from run.epochs()


def _close_at_exit(kept: "weakref.ref[Generator[EpochRecord, None, None]]") -> None:
    """Save an unfinished run at exit, while torch can still be used."""

    @atexit.register
    def close() -> None:
        if records := kept():
            records.close()


def _parse_enum(kind: type[T], value: str) -> T:
    try:
        return kind(value)
    except ValueError:
        what = f"unknown {kind.__name__.lower()}: {safe_repr(value)}"
        raise UsageError(what, hint=f"choose one of: {', '.join(kind)}") from None


def _text(option: str, value: object, expected: str) -> str:
    """Return text as it is, and a path as the text of an absolute one. Raises UsageError."""
    try:
        found: object = os.fspath(value)  # type: ignore[call-overload]  # anything but text and paths is a TypeError
    except Exception:  # noqa: BLE001 - the method of a class of the caller
        found = None
    if not isinstance(found, str) or "\0" in found:
        raise UsageError(f"invalid value for {option}: {safe_repr(value)}", hint=f"must be {expected}")
    return found if isinstance(value, str) else str(Path(found).absolute())


def _to_array(what: str, given: Any, expected: str) -> NDArray[np.generic]:
    """Return numbers, or a list of arrays, tensors or Pillow images, as NumPy reads them. Raises DataError."""
    hint = f"must be {expected}"
    try:
        array: NDArray[np.generic] = np.asarray(_readable(what, given))
        if array.dtype.kind == "O" and all(map(_is_real, set(map(type, array.flat)))):  # columns of several types
            array = array.astype(np.float64)
    except (OSError, OverflowError, RuntimeError, SyntaxError, TypeError, ValueError) as error:
        raise DataError(f"cannot convert {what} to an array: {safe_text(error)}", hint=hint) from error
    if array.dtype.kind not in "buif":
        kind = {"U": "text", "S": "bytes", "O": "objects", "c": "complex numbers"}.get(array.dtype.kind, str(array.dtype))
        first = "".join(map(safe_repr, array.flat[:1].tolist()))
        raise DataError(f"{what} must be real numbers, not {kind}: {first}", hint=hint)
    return array


def _is_real(kind: type) -> bool:
    return issubclass(kind, numbers.Real | np.bool_) and not issubclass(kind, np.timedelta64)


def _readable(what: str, given: Any) -> Any:
    """Return what NumPy reads correctly: tensors, also in lists, are copied from their device. Raises DataError."""
    if isinstance(given, list | tuple):
        is_plain = set(map(type, given)) <= {float, int}  # a row of a long list
        return given if is_plain else [_readable(what, item) for item in given]
    if np.ma.is_masked(given):
        raise DataError(f"{what} with masked values", hint="fill them, for example with x.filled(0)")
    if getattr(given, "mode", None) in {"P", "PA"}:  # NumPy would read the indices of the colours
        raise DataError(f"{what} with a colour palette", hint="convert them to grey with image.convert('L')")
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(given, torch.Tensor):
        return given
    return given.detach().cpu().to(torch.float32 if given.dtype == torch.bfloat16 else given.dtype)


def _to_images(rows: Array) -> Array:
    return rows.reshape(-1, SIDE, SIDE)
