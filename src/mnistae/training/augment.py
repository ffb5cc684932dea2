"""Small deformations of training images: a network that sees each image fifty times meets it in another hand each time.

What it saves is the encoder from learning its images by heart (docs/results.md has the measurements).
"""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from mnistae.core.config import SIDE
from mnistae.training.step import MAX_PIXEL


def random_affine(images: Tensor, strength: float | Tensor, generator: torch.Generator) -> Tensor:
    """Return images (B, 784), each through a random linear map about its centre, with black where it had nothing.

    The map is the identity plus normal entries of the standard deviation `strength`: it turns, shears and scales, and moves
    the edge of an image by about `14 * strength` pixels. Values between pixels are bicubic: bilinear ones blur, and a network
    gets used to that. Pixels stay between 0 and 255.
    """
    count = len(images)
    maps = images.new_empty(count, 2, 2).normal_(generator=generator).mul_(strength)
    maps += torch.eye(2, device=images.device)
    grid = affine_grid(pad(maps, (0, 1)), [count, 1, SIDE, SIDE], align_corners=False)  # (B, 28, 28, 2); no shift
    warped = grid_sample(images.view(count, 1, SIDE, SIDE), grid, mode="bicubic", align_corners=False)
    return warped.clamp_(0, MAX_PIXEL).view(images.shape)
