"""Weights as other programs save them, and what the importer says of them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from mnistae.core.config import ModelConfig
from mnistae.core.errors import CheckpointError
from mnistae.store import importer

SIZES = ModelConfig(hidden=16, bottleneck=2)


def weights(sizes: ModelConfig = SIZES) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in sizes.shapes().items()}


def arrays() -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in weights().items()}


def prefixed(prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in weights().items()}


def unnamed(names: str) -> dict[str, Any]:
    """Return the weights with these names, first those of the matrices."""
    return dict(zip(names.split(), sorted(weights().values(), key=lambda tensor: -tensor.ndim), strict=True))


def refusal(path: Path) -> tuple[str, str]:
    """Return the message and the hint of an import that fails."""
    with pytest.raises(CheckpointError) as failure:
        importer.read(path)
    return failure.value.message.replace(str(path), "FILE").removeprefix("cannot import 'FILE': "), failure.value.hint


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()
