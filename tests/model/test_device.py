"""Device selection."""

import pytest
import torch

from mnistae.core.errors import DeviceError, UsageError
from mnistae.model import device


@pytest.mark.parametrize("choice", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "xpu", "mps"])
def test_known_choices_pass(choice: str) -> None:
    """Every valid name is accepted."""
    assert device.check_choice(choice) == choice


@pytest.mark.parametrize("choice", ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "cpu\n", "cuda:٣", "tpu"])
def test_unknown_choices_are_usage_errors(choice: str) -> None:
    """Any other name is refused."""
    with pytest.raises(UsageError, match="unknown device"):
        device.check_choice(choice)


@pytest.mark.parametrize("choice", ["cuda", "cuda:1", "xpu", "mps"])
def test_missing_device_is_an_error(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A requested device that is not available is never replaced by another."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"device '{choice}' is not available") as caught:
        device.resolve(choice)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(("count", "found"), [(1, "only 'cuda:0'"), (4, "'cuda:0' to 'cuda:3'")])
def test_a_number_past_the_last_gpu_is_an_error(count: int, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the available GPUs, not an ordinal of the driver."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(DeviceError, match=f"device 'cuda:7' is not available: torch finds {found}$"):
        device.resolve("cuda:7")


def test_out_of_memory_is_one_sentence() -> None:
    """The message contains the requested size, not the state of torch's allocator."""
    text = (
        "CUDA out of memory. Tried to allocate 46.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which 78.49 GiB is free."
    )
    with pytest.raises(DeviceError) as caught, device.oom_as_device_error(torch.device("cuda")):
        raise torch.OutOfMemoryError(text)
    reason = "CUDA out of memory. Tried to allocate 46.00 MiB"
    assert caught.value.message == f"out of memory on 'cuda': {reason}"


def test_auto_skips_a_device_that_cannot_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA that is listed but fails its first computation is skipped by auto and an error if requested."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def ones(*_sizes: int, device: torch.device) -> torch.Tensor:
        if device.type == "cuda":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")
        return torch.full((8, 8), 1.0)

    monkeypatch.setattr(torch, "ones", ones)  # like a GPU that this build of torch does not support
    assert device.resolve("auto").type in {"cpu", "xpu", "mps"}
    with pytest.raises(DeviceError, match="device 'cuda' does not work: CUDA error: no kernel image"):
        device.resolve("cuda")


def test_auto_takes_the_best_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA comes first."""
    asked: list[str] = []

    def ones(*_sizes: int, device: torch.device) -> torch.Tensor:
        asked.append(device.type)
        return torch.full((8, 8), 1.0)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", ones)  # like a GPU that works
    assert device.resolve("auto").type == "cuda"
    assert asked == ["cuda"]


def test_a_wrong_result_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that computes a small product wrongly is refused."""
    monkeypatch.setattr(torch, "ones", lambda *_sizes, device: torch.zeros(8, 8, device=device))
    with pytest.raises(DeviceError, match="failed the self-test"):
        device.resolve("cpu")


def test_description_names_the_device() -> None:
    """The description of a CPU contains the number of threads."""
    threads = torch.get_num_threads()
    assert device.describe(torch.device("cpu")) == f"cpu ({threads} {'thread' if threads == 1 else 'threads'})"
