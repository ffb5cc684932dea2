"""The step that is captured once and replayed: on the CPU with a recorder in the graph's place, on CUDA where there is one."""

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
from tests.support.training_states import assert_same

SIZES = ModelConfig(hidden=64, bottleneck=4)
MOVING: dict[str, Any] = {"schedule": Schedule.LINEAR, "warmup": 4, "beta2": 0.95}
VARIANTS: list[dict[str, Any]] = [
    {},
    MOVING,
    {"noise": 0.625, **MOVING},
    {"augment_std": 0.05, "noise": 0.1, **MOVING},
    {"optimizer": Optimizer.ADAMW, "weight_decay": 0.1, **MOVING},
    {"precision": Precision.BF16, **MOVING},
]
variants = pytest.mark.parametrize("changes", VARIANTS, ids=str)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down each kernel with the memory it works on, as a CUDA graph does, and does it all again on `replay`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let a kernel run, and keep it. What reads a number back to the CPU cannot be in a graph."""
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


def recorded(work: Step, chance: torch.Generator) -> Step:
    """Capture work on the CPU. To record is to do it once, which counts as the first replay."""
    recorder = Recorder()
    fresh = True
    with recorder:
        result = work()

    def replay() -> Tensor:
        nonlocal fresh
        if not fresh:
            recorder.replay()
        fresh = False
        return result

    return replay


def anew(work: Step, chance: torch.Generator) -> Step:
    """Capture nothing: the work is done anew each time."""
    return work


def train(images: np.ndarray, capture: Any, device: str = "cpu", **changes: Any) -> Trainer:
    """Return a trainer after six epochs of three steps, the last of them smaller."""
    config = dataclasses.replace(TrainConfig(epochs=6, batch_size=256), **changes)
    trainer = Trainer(images, model=SIZES, config=config, device=torch.device(device))
    if capture:
        trainer._advance = CapturedStep(trainer._train_on, trainer._generator, capture)
    list(trainer.epochs())
    return trainer


@pytest.fixture
def images(digits: dict[str, np.ndarray]) -> np.ndarray:
    """The tiny training images (600, 784): two batches of 256 and a rest of 88."""
    return digits["train_images"].reshape(-1, 784)


@variants
def test_a_replayed_step_does_all_that_a_step_does(images: np.ndarray, changes: dict[str, Any]) -> None:
    """Kernels recorded at the second call and replayed give the bits of steps made one by one: nothing that moves is frozen."""
    assert_same(train(images, recorded, **changes).state(), train(images, anew, **changes).state())


@variants
def test_numbers_as_tensors_change_nothing(images: np.ndarray, changes: dict[str, Any]) -> None:
    """Rates and strengths in float32 on the device give the run that Python's numbers give, up to their rounding."""
    losses, plain = ([epoch.loss for epoch in train(images, capture, **changes).history] for capture in (anew, None))
    assert losses == pytest.approx(plain, rel=1e-2 if changes.get("precision") else 1e-4)


def test_the_recorder_sees_what_is_frozen() -> None:
    """A number that came in as a number stays what it was at the capture; one read back within the step is refused."""
    chance, rows = torch.Generator(), torch.arange(3)
    outside = {"number": 1.0}
    frozen = CapturedStep(lambda rows, rate: rows.sum() * outside["number"] + rate, chance, recorded)
    for number in (1.0, 2.0, 3.0):
        outside["number"] = number
        found = float(frozen(rows, number))
    assert found == 3 * 2 + 3  # the sum, times what was there at the second call, plus the third call's rate

    reads = CapturedStep(lambda rows, rate: rows * float(rate), chance, recorded)
    reads(rows, 1.0)
    with pytest.raises(AssertionError, match="read back"):
        reads(rows, 1.0)


@pytest.mark.gpu
@variants
def test_a_cuda_graph_gives_the_bits_of_single_kernels(images: np.ndarray, changes: dict[str, Any]) -> None:
    """The same on CUDA with real graphs, and close to what the CPU gives where nothing is drawn on the device."""
    whole = train(images, None, "cuda", **changes)
    assert_same(whole.state(), train(images, anew, "cuda", **changes).state())
    assert isinstance(whole._advance, CapturedStep)
    assert whole._advance._replays.keys() == {256, 88}
    if not {"noise", "augment_std"} & set(changes):
        losses, cpu = ([epoch.loss for epoch in run.history] for run in (whole, train(images, None, **changes)))
        assert losses == pytest.approx(cpu, rel=1e-2)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize(("capture", "unwatched"), [(cuda_graph, 2), (anew, 0)])
def test_nothing_waits_for_the_gpu_within_an_epoch(images: np.ndarray, capture: Any, unwatched: int) -> None:
    """Steps, replayed (once both sizes are captured) or made anew, run under torch's word that a wait is an error."""
    config = dataclasses.replace(TrainConfig(epochs=4, batch_size=256, augment_std=0.05, noise=0.1), **MOVING)
    trainer = Trainer(images, model=SIZES, config=config, device=torch.device("cuda"))
    advance = CapturedStep(trainer._train_on, trainer._generator, capture)

    def watched(*arguments: Any) -> Tensor:
        try:
            torch.cuda.set_sync_debug_mode("error" if len(trainer.history) >= unwatched else "default")
            return advance(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    trainer._advance = watched
    assert len(list(trainer.epochs())) == 4


@pytest.mark.gpu
def test_a_run_on_cuda_resumes_exactly(images: np.ndarray) -> None:
    """A resumed run makes its first steps one by one where the whole one replayed them, and ends on the same bits."""
    config = TrainConfig(epochs=6, batch_size=256, augment_std=0.05, noise=0.1)
    whole, begun = (Trainer(images, model=SIZES, config=config, device=torch.device("cuda")) for _ in range(2))
    list(whole.epochs())
    for epoch in begun.epochs():
        if epoch.number == 3:
            break
    resumed = Trainer(images, model=SIZES, config=config, device=torch.device("cuda"), state=begun.state())
    list(resumed.epochs())
    assert_same(resumed.state(), whole.state())
