"""Random affine augmentation: the network sees a different affine variant of each image in each epoch.

This regularises the encoder, which overfits less (measurements: docs/results.md).
"""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from mnistae.core.config import SIDE
from mnistae.training.step import MAX_PIXEL


def random_affine(images: Tensor, std: float | Tensor, generator: torch.Generator) -> Tensor:
    """Return images (B, 784), each under a random linear map about its centre, padded with zeros.

    The map is the identity plus normal entries with the standard deviation `std`: it rotates, shears and scales, and moves the
    edge of an image by about `14 * std` pixels. Interpolation is bicubic, because bilinear interpolation blurs and the network
    would learn to blur. Pixels stay between 0 and 255.
    """
    count = len(images)
    maps = images.new_empty(count, 2, 2).normal_(generator=generator).mul_(std)
    maps += torch.eye(2, device=images.device)
    grid = affine_grid(pad(maps, (0, 1)), [count, 1, SIDE, SIDE], align_corners=False)  # (B, 28, 28, 2); no shift
    warped = grid_sample(images.view(count, 1, SIDE, SIDE), grid, mode="bicubic", align_corners=False)
    return warped.clamp_(0, MAX_PIXEL).view(images.shape)
