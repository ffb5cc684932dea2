"""Random deformations of training images."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mnistae.datasets import glyphs
from mnistae.training.warp import warp


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Some digits (64, 784), from 0 to 255."""
    return torch.from_numpy(glyphs.draw(64, seed=0)[0].reshape(64, -1)).float()


def draw(seed: int = 0) -> torch.Generator:
    """A source of draws."""
    return torch.Generator().manual_seed(seed)


def test_a_warp_is_a_linear_map_about_the_centre(images: torch.Tensor) -> None:
    """Each image is what SciPy makes of it by the map that the generator drew, bilinear, black outside."""
    maps = torch.eye(2) + torch.zeros(64, 2, 2).normal_(std=0.1, generator=draw())
    found = warp(images, 0.1, draw()).view(-1, 28, 28).numpy()
    for image, linear, other in zip(images.view(-1, 28, 28).numpy(), maps.numpy(), found, strict=True):
        matrix = linear[::-1, ::-1]  # rows before columns
        centre = np.array([13.5, 13.5])
        wanted = ndimage.affine_transform(image, matrix, centre - matrix @ centre, order=1, mode="grid-constant")
        assert other == pytest.approx(wanted, abs=0.02)


def test_each_image_gets_a_map_of_its_own(images: torch.Tensor) -> None:
    """Twins of one image differ; the same draws give the same bits; a warp of nothing changes nothing."""
    twins = images[:1].expand(2, -1)
    found = warp(twins, 0.05, draw())
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found, warp(twins, 0.05, draw()))
    assert torch.allclose(warp(images, 0.0, draw()), images, atol=0.01)
