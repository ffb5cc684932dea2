"""Device selection. A device is tested with a small computation before it is used."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from mnistae.core.errors import DeviceError, UsageError
from mnistae.core.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

AUTO_ORDER = ("cuda", "xpu", "mps", "cpu")
"""The devices that `auto` tries, in this order."""


def check_choice(choice: str) -> str:
    """Return `choice` if it is a valid device name, and torch can be imported here. Does not import it. Raises UsageError."""
    if not re.fullmatch(r"auto|cpu|xpu|mps|cuda(:[0-9]{1,4})?", choice, re.ASCII):
        raise UsageError(f"unknown device: '{choice}'", hint="choose auto, cpu, cuda, cuda:N, xpu or mps")
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:  # Intel MKL, which torch loads, would end the process
        raise UsageError("the working directory has been removed", hint="change to another one") from None
    return choice


def resolve(choice: str) -> torch.device:
    """Return the torch device for `choice`, tested with a computation.

    `auto` is the first of CUDA, XPU, MPS and the CPU that works. Any other choice that does not work raises DeviceError with
    the reason; there is no silent fallback.
    """
    check_choice(choice)
    if choice != "auto":
        return _probe(choice)
    for name in AUTO_ORDER:
        with contextlib.suppress(DeviceError):
            return _probe(name)
    raise DeviceError("no working device found", hint="run 'mnistae doctor'")


@contextlib.contextmanager
def oom_as_device_error(device: torch.device) -> Iterator[None]:
    """Turn an out-of-memory error of the device into a DeviceError."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = ". ".join(str(error).strip().split(". ")[:2])  # the rest describes the allocator
        hint = "close other programs using it, or try --device cpu or a smaller --batch-size"
        raise DeviceError(f"out of memory on '{device}': {reason}", hint=hint) from error


def describe(device: torch.device) -> str:
    """Return the device's name and model, human-readable."""
    import torch

    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({counted(torch.get_num_threads(), 'thread')})"
    return str(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16, as far as torch knows. Without them products are far slower."""
    import torch

    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _probe(name: str) -> torch.device:
    import torch

    kind, _, number = name.partition(":")
    if not torch.get_device_module(kind).is_available():
        reason = f"torch {torch.__version__} finds no {kind.upper()} device"
        if kind == "cuda":
            cuda = torch.version.cuda
            build = "is built without CUDA" if cuda is None else f"for CUDA {cuda} finds no usable GPU or driver"
            reason = f"torch {torch.__version__} {build}"
        raise DeviceError(f"device '{name}' is not available: {reason}", hint="use --device auto or --device cpu")
    if number and int(number) >= (count := torch.cuda.device_count()):
        found = "only 'cuda:0'" if count == 1 else f"'cuda:0' to 'cuda:{count - 1}'"
        raise DeviceError(f"device '{name}' is not available: torch finds {found}", hint="use one of those, or --device auto")
    try:
        device = torch.device(name)
        ones = torch.ones(8, 8, device=device)
        is_right = float((ones @ ones).sum()) == 512.0
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # raised by torch for an unusable device
        reason = str(error).strip().partition("\n")[0]
        raise DeviceError(f"device '{name}' does not work: {reason}", hint="run 'mnistae doctor'") from error
    if not is_right:
        raise DeviceError(f"device '{name}' failed the self-test (matrix product)", hint="use --device cpu")
    return device
