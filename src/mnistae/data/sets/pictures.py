"""The image files of a data set as rows: images of 28x28 stay as they are, all others are prepared in the same way."""

import contextlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mnistae.core.arrays import Array, Bytes, to_bytes
from mnistae.core.config import PIXELS, SIDE
from mnistae.core.errors import DataError
from mnistae.core.files import read as files
from mnistae.core.text import counted
from mnistae.data.images import decode, formats, values
from mnistae.data.images.layout import border
from mnistae.data.images.resize import resized
from mnistae.data.sets.dataset import Progress, no_progress

MAX_PLAIN_PNG = 8192
"""Bytes of a PNG that is passed to Pillow directly: so few cannot hold many chunks."""

_GREY_28 = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + SIDE.to_bytes(4, "big") * 2 + b"\x08\0"
_EVERY = 1000  # images between two reports of progress


@dataclass
class _Findings:
    """What the files are, by which the set is prepared as a whole."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    coloured: int = 0
    clear: dict[int, Bytes] = field(default_factory=dict)  # transparency (784,) of each image that has some
    deep: dict[int, decode.Deep] = field(default_factory=dict)  # images of 16 or 32 bits per pixel that are not black
    notes: Counter[str] = field(default_factory=Counter)  # of the decoder
    failures: list[DataError] = field(default_factory=list)


def read(paths: Sequence[str], *, raw: bool = False, progress: Progress = no_progress) -> tuple[Bytes, list[str]]:
    """Return the images (N, 784) of files, and what was converted.

    Other sizes are padded to a square and scaled to 28x28; if all images of the set have other sizes and most are dark on
    light, they are inverted, unless `raw`. Raises DataError if a file cannot be read.
    """
    rows = np.empty((len(paths), PIXELS), np.uint8)
    found = _Findings()
    for index, path in enumerate(paths):
        if index % _EVERY == 0 < index:
            progress("reading images", index, len(paths))
        try:
            rows[index] = _read(path, index, found)
        except DataError as error:
            found.failures.append(error)
    if found.failures:
        first, others = found.failures[0], len(found.failures) - 1
        more = f" (and {others:,} more of {len(paths):,} images)" if others else ""
        hint = f"{first.hint}, or remove it: every image of a data set must be readable"
        raise DataError(f"{first.message}{more}", hint=hint)
    notes = _composite(rows, found)
    if found.coloured:
        notes.append(f"converted {counted(found.coloured, 'coloured image')} to grey")
    notes += [f"{note} ({counted(count, 'image')})" for note, count in found.notes.items()]
    notes += _rescale(rows, found.deep) + list(values.stretch_binary(rows))
    return rows, notes + _prepare(rows, found.sizes, raw=raw)


def _read(path: str, index: int, found: _Findings) -> Bytes:
    try:
        data = files.read_bytes(Path(path), limit=formats.MAX_FILE_BYTES)
    except files.UnreadableError as error:
        raise DataError(f"cannot read '{path}': {error}", hint=formats.GIVE_AN_IMAGE) from error
    if (plain := _plain(data)) is not None:
        found.sizes[SIDE, SIDE] += 1
        return plain
    image = decode.read_grey(data, name=path)
    found.sizes[image.size] += 1
    found.coloured += image.is_coloured
    found.notes.update(note for note in image.notes if image.deep is None or note not in image.deep.scale.notes)
    if image.deep and image.deep.high > 0:
        found.deep[index] = image.deep
    if image.alpha is None or image.alpha.min() == 1:
        return _fitted(image.grey, float(np.median(border(image.grey))))
    found.clear[index] = 255 - _fitted(image.alpha, 0)
    return _fitted(image.grey * image.alpha, 0)


def _plain(data: bytes) -> Bytes | None:
    """Return the pixels (784,) of a grey PNG of 28x28 without transparency and rotation, the usual file; else None."""
    if len(data) > MAX_PLAIN_PNG or not data.startswith(_GREY_28) or b"tRNS" in data or b"eXIf" in data:
        return None
    from PIL import Image

    with contextlib.suppress(OSError, SyntaxError, ValueError):  # damaged: `decode` says how
        return np.asarray(Image.open(io.BytesIO(data), formats=("PNG",))).reshape(PIXELS)
    return None


def _fitted(image: Array, background: float) -> Bytes:
    """Return an image (h, w) in [0, 1] padded to a square with `background` and scaled to (784,), one of 28x28 unchanged."""
    h, w = image.shape
    if (h, w) != (SIDE, SIDE):
        side = max(h, w)
        top, left = (side - h) // 2, (side - w) // 2
        square = np.pad(image, ((top, side - h - top), (left, side - w - left)), constant_values=background)
        image = resized(square, (SIDE, SIDE))
    row: Bytes = to_bytes(image[np.newaxis])[0]
    return row


def _composite(rows: Bytes, found: _Findings) -> list[str]:
    """Put all images with transparency on the same background, the one from which their ink differs more."""
    if not found.clear:
        return []
    places, clear = list(found.clear), np.stack(list(found.clear.values()))
    is_dark = rows[places].sum(dtype=np.int64) < (255 - clear).sum(dtype=np.int64) / 2  # the ink, weighted by its opacity
    if is_dark:
        rows[places] += np.minimum(clear, 255 - rows[places])
    return [f"composited {counted(len(places), 'transparent image')} on {'white' if is_dark else 'black'}"]


def _rescale(rows: Bytes, images: dict[int, decode.Deep]) -> list[str]:
    """Give all images of 16 or 32 bits, integers and floats apart, the scale of the brightest; return the notes about it."""
    notes = []
    for name, is_float in (("integer", False), ("floating-point", True)):
        alike = {index: image for index, image in images.items() if image.is_float == is_float}
        full = max((image.scale.divisor for image in alike.values()), default=0)
        for index, image in alike.items():  # only made darker, so that none needs to be read again
            rows[index] = np.rint(rows[index] * (image.scale.divisor / full))
        if alike:
            low, high = min(image.low for image in alike.values()), max(image.high for image in alike.values())
            notes.append(f"{name} values from {low:g} to {high:g}, divided by {full} ({counted(len(alike), 'image')})")
    return notes


def _prepare(rows: Bytes, sizes: Counter[tuple[int, int]], *, raw: bool) -> list[str]:
    """Invert a set of other sizes that is dark on light, and return the notes on sizes and inversion."""
    others = sizes.total() - sizes[SIDE, SIDE]
    if not others:
        return []
    named = [f"{count:,} of {w}x{h}" for (w, h), count in sizes.most_common(4)]
    more = f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
    notes = [f"scaled images to {SIDE}x{SIDE}: {', '.join(named)}{more}"]
    light = int(np.count_nonzero(np.median(border(rows.reshape(-1, SIDE, SIDE)), axis=1) >= 128))
    share = "dark on light" if light == len(rows) else f"{light:,} of {len(rows):,} are dark on light"
    if 2 * light <= len(rows):
        return notes + ([f"not inverted: {share}"] if light else [])
    if raw or sizes[SIDE, SIDE]:
        return [*notes, f"not inverted, although {share}" + ("" if raw else " (28x28 images stay as they are)")]
    np.subtract(255, rows, out=rows)
    return [*notes, f"inverted all images ({share}; --raw keeps them)"]
