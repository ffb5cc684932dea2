"""Device selection."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from mnistae.core.errors import DeviceError, UsageError
from mnistae.model import backend, device
from mnistae.store import runs


@pytest.fixture(autouse=True)
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch find as many GPUs as the test's `gpus`, none without it, and no other accelerator."""
    count = getattr(request, "param", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    for accelerator in (torch.xpu, torch.mps):
        monkeypatch.setattr(accelerator, "is_available", lambda: False)


def test_check_choice() -> None:
    """Every valid name is accepted, and any other one refused."""
    for choice in ("auto", "cpu", "cuda", "cuda:0", "cuda:12", "xpu", "mps"):
        assert device.check_choice(choice) == choice
    for choice in ("", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:99999", "cpu\n", "cuda:٣"):
        with pytest.raises(UsageError, match="unknown device"):
            device.check_choice(choice)


@pytest.mark.parametrize(
    ("gpus", "choice", "build", "reason"),
    [
        (0, "cuda", None, f"{torch.__version__} is built without CUDA"),
        (0, "cuda:1", "13.0", f"{torch.__version__} for CUDA 13.0 finds no usable GPU or driver"),
        (0, "xpu", None, f"{torch.__version__} finds no XPU device"),
        (1, "cuda:7", "13.0", "finds only 'cuda:0'"),
        (4, "cuda:7", "13.0", "finds 'cuda:0' to 'cuda:3'"),
    ],
    indirect=["gpus"],
)
def test_missing_device_is_an_error(monkeypatch: pytest.MonkeyPatch, choice: str, build: str | None, reason: str) -> None:
    """A requested device that is not available is never replaced by another; the GPUs that are available are named."""
    monkeypatch.setattr(torch.version, "cuda", build)
    with pytest.raises(DeviceError) as caught:
        device.resolve(choice)
    assert caught.value.message == f"device '{choice}' is not available: torch {reason}"


def test_out_of_memory_is_one_sentence() -> None:
    """The message contains the requested size, not the state of torch's allocator."""
    reason = "CUDA out of memory. Tried to allocate 46.00 MiB"
    with pytest.raises(DeviceError) as caught, device.oom_as_device_error(torch.device("cuda")):
        raise torch.OutOfMemoryError(f"{reason}. GPU 0 has a total capacity of 79.18 GiB of which 78.49 GiB is free.")
    assert caught.value.message == f"out of memory on 'cuda': {reason}"


def test_out_of_memory_in_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of the device, not a bug."""
    network = backend.load_network(runs.load("lab").weights, "cpu")
    monkeypatch.setattr(torch, "from_numpy", Mock(side_effect=torch.OutOfMemoryError("out of memory")))
    with pytest.raises(DeviceError, match="out of memory on 'cpu'"):
        network.decode(np.ones((1, 8), np.float32))


@pytest.mark.parametrize("error", [RuntimeError, AssertionError, NotImplementedError])
@pytest.mark.parametrize("gpus", [1], indirect=True)
def test_auto_takes_the_best_that_works(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """CUDA comes first; if it is listed but fails its first computation, auto skips it, and an explicit choice is an error."""
    monkeypatch.setattr(torch, "ones", lambda *sizes, **_place: torch.full(sizes, 1.0))
    assert device.resolve("auto").type == "cuda"

    def ones(*sizes: int, device: torch.device) -> torch.Tensor:
        if device.type == "cuda":
            raise error("CUDA error: no kernel image is available for execution on the device\nmore")
        return torch.full(sizes, 1.0)

    monkeypatch.setattr(torch, "ones", ones)
    assert device.resolve("auto").type == "cpu"
    with pytest.raises(DeviceError, match="device 'cuda' does not work: CUDA error: no kernel image"):
        device.resolve("cuda")


def test_a_wrong_result_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that computes a small product wrongly is refused."""
    monkeypatch.setattr(torch, "ones", lambda *_sizes, device: torch.zeros(8, 8, device=device))
    with pytest.raises(DeviceError, match="failed the self-test"):
        device.resolve("cpu")


def test_description_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The description of a CPU contains the number of threads."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert device.describe(torch.device("cpu")) == "cpu (2 threads)"
