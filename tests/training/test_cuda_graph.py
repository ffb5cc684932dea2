"""The captured step: on the CPU with a recorder in place of the graph, on CUDA where it is available."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mnistae.core.config import ModelConfig, Optimizer, Precision, Schedule, TrainConfig
from mnistae.training.cuda_graph import CapturedStep, Step, cuda_graph
from mnistae.training.loop import Trainer
from tests.support.saved_runs import assert_same

SIZES = ModelConfig(hidden=64, bottleneck=4)
MOVING: dict[str, Any] = {"schedule": Schedule.LINEAR, "warmup": 4, "beta2": 0.95}
VARIANTS: list[dict[str, Any]] = [
    {},
    MOVING,
    {"augment_std": 0.05, "noise": 0.1, **MOVING},
    {"optimizer": Optimizer.ADAMW, "weight_decay": 0.1, **MOVING},
    {"precision": Precision.BF16, **MOVING},
]
variants = pytest.mark.parametrize("changes", VARIANTS, ids=str)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records each kernel with the memory it works on, as a CUDA graph does, and repeats them on `replay`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run and record a kernel. A kernel that reads a number back to the CPU cannot be in a graph."""
        assert func is not torch.ops.aten._local_scalar_dense.default, "a number was read back within the step"
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        """Run the kernels again, on the same memory."""
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def capture_on_cpu(step: Step, generator: torch.Generator) -> Step:
    """Capture a step on the CPU. Recording runs it once, which counts as the first replay."""
    recorder = Recorder()
    fresh = True
    with recorder:
        result = step()

    def replay() -> Tensor:
        nonlocal fresh
        if not fresh:
            recorder.replay()
        fresh = False
        return result

    return replay


def no_capture(step: Step, generator: torch.Generator) -> Step:
    """Capture nothing: each call runs the step itself."""
    return step


def train(images: np.ndarray, capture: Any, device: str = "cpu", **changes: Any) -> Trainer:
    """Return a trainer after four epochs of three steps, the last of them smaller."""
    config = dataclasses.replace(TrainConfig(epochs=4, batch_size=256), **changes)
    trainer = Trainer(images, model=SIZES, config=config, device=torch.device(device))
    if capture:
        trainer._train_step = CapturedStep(trainer._step_once, trainer._generator, capture)
    list(trainer.epochs())
    return trainer


@pytest.fixture
def images(digits: dict[str, np.ndarray]) -> np.ndarray:
    """The tiny training images (600, 784): two batches of 256 and a rest of 88."""
    return digits["train_images"].reshape(-1, 784)


@variants
def test_a_replayed_step_does_all_that_a_step_does(images: np.ndarray, changes: dict[str, Any]) -> None:
    """Kernels recorded at the second call and replayed give the same bits as single steps: no changing value is frozen.

    Rates and strengths as float32 tensors give the same run as Python numbers, up to rounding.
    """
    replayed, single, plain = (train(images, capture, **changes) for capture in (capture_on_cpu, no_capture, None))
    assert_same(replayed.state(), single.state())
    losses, expected = ([epoch.loss for epoch in run.history] for run in (single, plain))
    assert losses == pytest.approx(expected, rel=1e-2 if changes.get("precision") else 1e-4)


def test_the_recorder_sees_what_is_frozen() -> None:
    """A Python number is frozen at the capture; reading a number back within the step is refused."""
    generator, rows = torch.Generator(), torch.arange(3)
    outside = {"number": 1.0}
    frozen = CapturedStep(lambda rows, rate: rows.sum() * outside["number"] + rate, generator, capture_on_cpu)
    for number in (1.0, 2.0, 3.0):
        outside["number"] = number
        found = float(frozen(rows, number))
    assert found == 3 * 2 + 3  # the sum times the number of the second call, plus the rate of the third

    reads = CapturedStep(lambda rows, rate: rows * float(rate), generator, capture_on_cpu)
    reads(rows, 1.0)
    with pytest.raises(AssertionError, match="read back"):
        reads(rows, 1.0)


@pytest.mark.gpu
@variants
def test_a_cuda_graph_gives_the_bits_of_single_kernels(images: np.ndarray, changes: dict[str, Any]) -> None:
    """The same on CUDA with real graphs, and close to the CPU's results if nothing is drawn on the device."""
    whole = train(images, None, "cuda", **changes)
    assert_same(whole.state(), train(images, no_capture, "cuda", **changes).state())
    assert isinstance(whole._train_step, CapturedStep)
    assert whole._train_step._replays.keys() == {256, 88}
    if not {"noise", "augment_std"} & set(changes):
        losses, cpu = ([epoch.loss for epoch in run.history] for run in (whole, train(images, None, **changes)))
        assert losses == pytest.approx(cpu, rel=1e-2)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize(("capture", "unwatched"), [(cuda_graph, 2), (no_capture, 0)])
def test_nothing_waits_for_the_gpu_within_an_epoch(images: np.ndarray, capture: Any, unwatched: int) -> None:
    """Steps, replayed (once both sizes are captured) or not, run in torch's mode in which a synchronisation is an error."""
    config = dataclasses.replace(TrainConfig(epochs=4, batch_size=256, augment_std=0.05, noise=0.1), **MOVING)
    trainer = Trainer(images, model=SIZES, config=config, device=torch.device("cuda"))
    advance = CapturedStep(trainer._step_once, trainer._generator, capture)

    def watched(*arguments: Any) -> Tensor:
        try:
            torch.cuda.set_sync_debug_mode("error" if len(trainer.history) >= unwatched else "default")
            return advance(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    trainer._train_step = watched
    assert len(list(trainer.epochs())) == 4
