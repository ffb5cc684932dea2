"""Strips, animations and arrays, as bytes."""

import io

import numpy as np
from PIL import Image

from mnistae.outputs import image_io

IMAGES = np.random.default_rng(0).random((3, 784), np.float32)


def test_strip_is_the_images_side_by_side() -> None:
    """Each pixel of an image becomes 4 by 4 pixels of the strip, which contains nothing else."""
    tiles = np.rint(IMAGES.reshape(3, 28, 28) * 255).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    strip = np.asarray(Image.open(io.BytesIO(image_io.strip(IMAGES))))
    np.testing.assert_array_equal(strip, np.hstack(list(tiles)))
    rows = np.asarray(Image.open(io.BytesIO(image_io.strip(IMAGES, columns=2))))
    np.testing.assert_array_equal(rows, np.vstack([np.hstack([tiles[0], tiles[1]]), np.hstack([tiles[2], 0 * tiles[2]])]))


def test_animation_has_one_frame_per_image() -> None:
    """A GIF shows the images in order, in an endless loop."""
    with Image.open(io.BytesIO(image_io.gif(IMAGES))) as animation:
        assert animation.n_frames == 3  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0
        animation.seek(2)
        frame = np.asarray(animation.convert("L"))
    np.testing.assert_allclose(frame[::4, ::4], IMAGES[2].reshape(28, 28) * 255, atol=1)


def test_animation_of_several_images_side_by_side() -> None:
    """A frame of several images is as wide as all of them."""
    with Image.open(io.BytesIO(image_io.gif(IMAGES[None].repeat(2, axis=0)))) as animation:
        assert animation.size == (3 * 112, 112)
        frame = np.asarray(animation.convert("L"))
    np.testing.assert_allclose(frame[::4, ::4], np.hstack(list(IMAGES.reshape(3, 28, 28))) * 255, atol=1)


def test_array_is_an_npy_of_images() -> None:
    """NumPy reads the same bits."""
    read = np.load(io.BytesIO(image_io.npy_bytes(IMAGES)), allow_pickle=False)
    np.testing.assert_array_equal(read, IMAGES.reshape(-1, 28, 28))
