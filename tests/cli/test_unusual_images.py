"""Commands warn of images that are darker, brighter or inverted against the training images."""

import re

import numpy as np
import pytest

from tests.conftest import Cli, Digits


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("reconstruct test:0 test:1", ""),
        ("reconstruct 1 black.npy", "'black.npy' is unlike the training images: darker (mean 0.0000, in training "),
        ("encode inverted.npy", "'inverted.npy[0]' is unlike the training images: brighter"),
        ("encode --split test", ""),
        ("encode --split test --dataset inverted.npz", "the test images of 'inverted.npz' are unlike the training images of"),
        ("evaluate", ""),
        ("evaluate lab --dataset inverted.npz", "the test images of 'inverted.npz' are unlike the training images of 'lab': b"),
        ("map --dataset inverted.npz --method pca", "the test images of 'inverted.npz' are unlike"),
        ("denoise black.npy", "'black.npy' is unlike"),
        ("denoise black.npy --noise none", ""),
        ("train --dataset inverted.npz -e 1 --name x", "the training images may be inverted: background 1.00, mean 0.8"),
        ("train --dataset dark.npy -e 1 --name x", "the training images are nearly black: mean 0.0010, that of MNIST 0.1307"),
    ],
)
def test_warnings(cli: Cli, trained: str, digits: Digits, command: str, warning: str) -> None:
    """Every command that measures images warns of those that are unlike the training images."""
    images = digits["train_images"][:300].reshape(-1, 784)
    np.save("black.npy", np.zeros((28, 28), np.uint8))
    np.save("dark.npy", images // 100)
    np.save("inverted.npy", 255 - images[:5])
    np.savez("inverted.npz", x_train=255 - images, x_test=255 - images[:50])
    answer = cli(*command.split())
    assert answer.code == 0, answer.err
    found = [line for line in answer.err.splitlines() if re.search("unlike|inverted|nearly black", line) and "warning" in line]
    assert bool(found) == bool(warning)
    assert warning in "".join(found)
