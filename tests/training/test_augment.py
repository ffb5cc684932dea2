"""Random deformations of training images."""

import numpy as np
import torch

from mnistae.training.augment import random_affine


def draw(seed: int = 0) -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(seed)


def hill(maps: torch.Tensor) -> torch.Tensor:
    """Return an off-centre Gaussian under linear maps (B, 2, 2): exact values (B, 784) at the pixels."""
    line = torch.arange(28) - 13.5
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # (28, 28, 2), x before y
    seen = torch.einsum("bij,yxj->byxi", maps, places) - torch.tensor([3.0, -2.0])
    return 255 * torch.exp(-seen.square().sum(-1) / 2 / 3**2).view(len(maps), -1)


def test_augmentation_is_a_linear_map_about_the_centre() -> None:
    """For an image known in closed form, the result is that image under the map that was drawn."""
    identity = torch.eye(2).expand(64, 2, 2)
    maps = identity + torch.zeros(64, 2, 2).normal_(std=0.1, generator=draw())
    found = random_affine(hill(identity), 0.1, draw())
    assert (found - hill(maps)).abs().max() < 4
    assert (found - hill(maps.mT)).abs().max() > 40  # the test distinguishes the two directions of rotation


def test_each_image_gets_a_map_of_its_own(digits: dict[str, np.ndarray]) -> None:
    """Copies of an image differ; the same draws give the same bits; pixels stay in range; strength 0 changes nothing."""
    images = torch.from_numpy(digits["test_images"]).float().view(-1, 784)
    copies = images[:1].expand(2, -1)
    found = random_affine(copies, 0.05, draw())
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found, random_affine(copies, 0.05, draw()))
    assert found.min() >= 0
    assert found.max() <= 255
    assert torch.allclose(random_affine(images, 0.0, draw()), images, atol=0.05)
