"""The choice of a device."""

import pytest
import torch

from mnistae.core.errors import DeviceError, UsageError
from mnistae.model import device


@pytest.mark.parametrize("choice", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "xpu", "mps"])
def test_known_choices_pass(choice: str) -> None:
    """The names of the help are accepted."""
    assert device.check_choice(choice) == choice


@pytest.mark.parametrize("choice", ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "cpu\n", "cuda:٣", "tpu"])
def test_unknown_choices_are_usage_errors(choice: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(UsageError, match="unknown device"):
        device.check_choice(choice)


@pytest.mark.parametrize("choice", ["cuda", "cuda:1", "xpu", "mps"])
def test_missing_device_is_an_error(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that was asked for and is not there is never replaced by another."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"device '{choice}' is not there") as caught:
        device.resolve(choice)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(("count", "found"), [(1, "only 'cuda:0'"), (4, "'cuda:0' to 'cuda:3'")])
def test_a_number_past_the_last_gpu_is_an_error(count: int, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the GPUs that there are, not an ordinal of the driver."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(DeviceError, match=f"device 'cuda:7' is not there: torch finds {found}$"):
        device.resolve("cuda:7")


def test_memory_that_runs_out_is_told_in_a_sentence() -> None:
    """What was asked for is in the message; torch's account of its allocator is not."""
    text = (
        "CUDA out of memory. Tried to allocate 46.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which 78.49 GiB is free."
    )
    with pytest.raises(DeviceError) as caught, device.oom_as_device_error(torch.device("cuda")):
        raise torch.OutOfMemoryError(text)
    reason = "CUDA out of memory. Tried to allocate 46.00 MiB"
    assert caught.value.message == f"device 'cuda' has not enough memory: {reason}"


def test_auto_passes_over_a_device_that_cannot_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA that is listed but fails its first computation is passed over by auto, and named when asked for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def ones(*_sizes: int, device: torch.device) -> torch.Tensor:
        if device.type == "cuda":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")
        return torch.full((8, 8), 1.0)

    monkeypatch.setattr(torch, "ones", ones)  # stands for a card that this build of torch has no code for
    assert device.resolve("auto").type in {"cpu", "xpu", "mps"}
    with pytest.raises(DeviceError, match="device 'cuda' does not work: CUDA error: no kernel image"):
        device.resolve("cuda")


def test_auto_takes_the_best_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA goes before all others."""
    asked: list[str] = []

    def ones(*_sizes: int, device: torch.device) -> torch.Tensor:
        asked.append(device.type)
        return torch.full((8, 8), 1.0)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", ones)  # stands for a card that works
    assert device.resolve("auto").type == "cuda"
    assert asked == ["cuda"]


def test_wrong_result_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose small product is wrong is refused."""
    monkeypatch.setattr(torch, "ones", lambda *_sizes, device: torch.zeros(8, 8, device=device))
    with pytest.raises(DeviceError, match="computes a small matrix product wrong"):
        device.resolve("cpu")


def test_description_names_the_device() -> None:
    """People read which device it is, and how many threads a CPU gives."""
    threads = torch.get_num_threads()
    assert device.describe(torch.device("cpu")) == f"cpu ({threads} {'thread' if threads == 1 else 'threads'})"
