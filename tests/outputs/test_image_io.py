"""Strips, animations and arrays, as bytes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from mnistae.core.errors import UsageError
from mnistae.outputs import image_io

IMAGES = np.random.default_rng(0).random((3, 784), np.float32)


def test_strip_is_the_images_side_by_side() -> None:
    """Each pixel of an image becomes 4 by 4 pixels of the strip, which contains nothing else."""
    tiles = np.rint(IMAGES.reshape(3, 28, 28) * 255).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    strip = np.asarray(Image.open(io.BytesIO(image_io.strip(IMAGES))))
    np.testing.assert_array_equal(strip, np.hstack(list(tiles)))
    rows = np.asarray(Image.open(io.BytesIO(image_io.strip(IMAGES, columns=2))))
    np.testing.assert_array_equal(rows, np.vstack([np.hstack([tiles[0], tiles[1]]), np.hstack([tiles[2], 0 * tiles[2]])]))


@pytest.mark.parametrize("side_by_side", [1, 3])
def test_animation_has_one_frame_per_image(side_by_side: int) -> None:
    """A GIF shows the images in order, one or several side by side, in an endless loop."""
    images = IMAGES if side_by_side == 1 else np.stack([IMAGES[::-1], IMAGES])
    with Image.open(io.BytesIO(image_io.gif(images))) as animation:
        assert animation.n_frames == len(images)  # type: ignore[attr-defined]
        assert (animation.info["loop"], animation.size) == (0, (side_by_side * 112, 112))
        animation.seek(len(images) - 1)
        frame = np.asarray(animation.convert("L"))
    expected = np.hstack(list(images[-1].reshape(-1, 28, 28)))
    np.testing.assert_allclose(frame[::4, ::4], expected * 255, atol=1)


@pytest.mark.parametrize(("rate", "durations"), [(8, [120, 130, 130, 120]), (30, [30, 40, 30, 30]), (40, [20, 30, 30, 20])])
def test_rates_are_exact_on_average(rate: float, durations: list[int]) -> None:
    """Durations are whole hundredths of a second: they differ where needed, so that the rate is right on average."""
    with Image.open(io.BytesIO(image_io.gif(np.eye(4, 784, dtype=np.float32), frames_per_second=rate))) as gif:
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(gif)] == durations


def test_equal_frames_that_last_too_long() -> None:
    """A frame of a GIF lasts at most 655.35 seconds, also where equal frames become one."""
    with Image.open(io.BytesIO(image_io.gif(IMAGES[[0] * 65], frames_per_second=0.1))) as gif:
        assert gif.info["duration"] == 650_000
    with pytest.raises(UsageError, match="more than 655 seconds"):
        image_io.gif(IMAGES[[0] * 66], frames_per_second=0.1)
