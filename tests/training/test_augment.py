"""Random deformations of training images."""

import pytest
import torch

from mnistae.data.sets import glyphs
from mnistae.training.augment import random_affine


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Some digits (64, 784), from 0 to 255."""
    return torch.from_numpy(glyphs.draw(64, seed=0)[0].reshape(64, -1)).float()


def draw(seed: int = 0) -> torch.Generator:
    """A source of draws."""
    return torch.Generator().manual_seed(seed)


def hill(maps: torch.Tensor) -> torch.Tensor:
    """A hill beside the centre, seen through linear maps (B, 2, 2): exact values (B, 784) at the pixels."""
    line = torch.arange(28) - 13.5
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # (28, 28, 2), x before y
    seen = torch.einsum("bij,yxj->byxi", maps, places) - torch.tensor([3.0, -2.0])
    return 255 * torch.exp(-seen.square().sum(-1) / 2 / 3**2).view(len(maps), -1)


def test_a_warp_is_a_linear_map_about_the_centre() -> None:
    """Where the exact image is known, a warped one is the image seen through the map that was drawn for it."""
    identity = torch.eye(2).expand(64, 2, 2)
    maps = identity + torch.zeros(64, 2, 2).normal_(std=0.1, generator=draw())
    found = random_affine(hill(identity), 0.1, draw())
    assert (found - hill(maps)).abs().max() < 4
    assert (found - hill(maps.mT)).abs().max() > 40  # the test can tell a turn to the left from one to the right


def test_each_image_gets_a_map_of_its_own(images: torch.Tensor) -> None:
    """Twins of one image differ; the same draws give the same bits; pixels stay pixels; a warp of nothing changes nothing."""
    twins = images[:1].expand(2, -1)
    found = random_affine(twins, 0.05, draw())
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found, random_affine(twins, 0.05, draw()))
    assert found.min() >= 0
    assert found.max() <= 255
    assert torch.allclose(random_affine(images, 0.0, draw()), images, atol=0.05)
