"""The checkpoints that come with the package, trained on MNIST by its own recipes. Nothing writes or removes them.

A run of the same name in the store takes precedence.
"""

from pathlib import Path

LAB = "lab"
DENOISE = "denoise"
NAMES = (LAB, DENOISE)

FOLDER = Path(__file__).with_name("builtin")
"""Laid out as the store: a folder for each name."""
