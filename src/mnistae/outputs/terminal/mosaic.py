"""Images as terminal text: half-blocks in shades of grey, or ASCII characters of increasing weight."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistae.core.arrays import Array
from mnistae.core.config import SIDE
from mnistae.data.images.resize import area_weights
from mnistae.outputs.terminal.canvas import Canvas, padded

MIN_TILE = 14
"""Columns of the smallest tile on which a digit is legible."""

GAP = 2

RAMP = " .:-=+*#%@"
"""Characters from black to white; a character is two pixels high."""

GREY_LEVELS = np.array([0, *range(8, 239, 10), 255])
"""The greys of a terminal with 256 colours: colours 16, 232 to 255 and 231."""


def mosaic(
    canvas: Canvas, *columns: Array, names: Sequence[str] = (), titles: Sequence[str] = (), total: int | None = None
) -> list[str]:
    """Return lines that show images, (n, 784) in each column, as large as the canvas allows.

    Images of one row are side by side, and several rows share the same lines if there is room. Captions above the images are
    `names`, one per row, and `titles`, one for each column after the first. If even the smallest tiles do not fit, the first
    rows are shown, and the last line counts the others, out of `total` if that is larger.
    """
    rows = len(columns[0])
    for side in range(SIDE, MIN_TILE - 1, -2):  # the largest tile at which all rows fit, else the smallest
        across = (canvas.width + GAP) // (len(columns) * (side + GAP))  # rows side by side
        height = side // 2 + 1  # a line for two rows of pixels, and one for the caption or the gap
        if across and -(-rows // across) * height <= canvas.height:
            break
    if not across:
        return []
    shown = min(rows, across * max(canvas.height // height, 1))
    lines: list[str] = []
    for start in range(0, shown, across):
        several = range(start, min(start + across, shown))
        captions = [caption for row in several for caption in (names[row], *titles)] if names else []
        if captions:
            lines.append((" " * GAP).join(padded(caption, side) for caption in captions).rstrip())
        elif lines:
            lines.append("")
        tiles = [_tile(column[row], side, canvas) for row in several for column in columns]
        lines += [(" " * GAP).join(parts).rstrip(" ") for parts in zip(*tiles, strict=True)]
    left = (total or rows) - shown
    if left:
        lines.append(f"{'…' if canvas.has_blocks else '...'} and {left:,} more"[: canvas.width])
    return lines


def _tile(image: Array, side: int, canvas: Canvas) -> list[str]:
    pixels = np.nan_to_num(image.reshape(SIDE, SIDE).astype(np.float64))
    if not (canvas.has_blocks and canvas.colours >= 256):
        grey = area_weights(SIDE, side // 2) @ pixels @ area_weights(SIDE, side).T
        return ["".join(RAMP[level] for level in row) for row in np.rint(grey.clip(0, 1) * (len(RAMP) - 1)).astype(int)]
    grey = np.rint((area_weights(SIDE, side) @ pixels @ area_weights(SIDE, side).T).clip(0, 1) * 255).astype(int)
    return [_half_blocks(top, bottom, canvas.colours) for top, bottom in zip(grey[::2], grey[1::2], strict=True)]


def _half_blocks(top: NDArray[np.int_], bottom: NDArray[np.int_], colours: int) -> str:
    """Return a line of cells of two pixels each; a colour is set where it changes."""
    pieces, before = [], ""
    for upper, lower in zip(top.tolist(), bottom.tolist(), strict=True):
        paint = f"\x1b[38;{_grey(upper, colours)};48;{_grey(lower, colours)}m"
        cell = " " if upper == lower else "▀"  # some fonts show a seam between equal halves
        pieces.append(cell if paint == before else paint + cell)
        before = paint
    return "".join(pieces) + "\x1b[0m"


def _grey(level: int, colours: int) -> str:
    if colours > 256:
        return f"2;{level};{level};{level}"
    nearest = int(np.abs(GREY_LEVELS - level).argmin())
    return f"5;{[16, *range(232, 256), 231][nearest]}"
