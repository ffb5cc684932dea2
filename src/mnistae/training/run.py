"""A training run: it combines the trainer, the data and the store, and saves the state."""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

import mnistae
from mnistae.core import cpus
from mnistae.core.config import ModelConfig, Precision, Schedule, TrainConfig
from mnistae.core.errors import DataError, UsageError
from mnistae.core.files import atomic
from mnistae.core.records import EpochRecord, Metadata, Provenance, TrainingState, UnitRange, count_active
from mnistae.core.text import counted
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model import backend
from mnistae.model import device as devices
from mnistae.outputs import figures
from mnistae.store import runs
from mnistae.tasks import drift, inference
from mnistae.training.loop import Trainer

SAMPLE_SIZE = 512
"""Approximate number of images on which the active units of a run in progress are counted."""

SAVE_EVERY = 10.0
"""Seconds between two saves of a run in progress: the work that a kill can cost, in addition to the current epoch."""

FINISHING = 2.0
"""Seconds allowed for the end of a run: the active units over all images, the last save, the figure."""


@dataclass(frozen=True)
class RunSpec:
    """What to train, on which data and device, and the name of the run."""

    name: str
    model: ModelConfig
    config: TrainConfig
    dataset: Dataset
    device: torch.device
    threads: int | None = None  # None is the number that torch uses now
    state: TrainingState | None = None
    provenance: Provenance | None = None  # of that state


def prepare_device(choice: str, precision: Precision) -> torch.device:
    """Return the tested device, configured for reproducible results. Raises DeviceError, UsageError."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS at its first use
    device = devices.resolve(choice)
    if precision is Precision.TF32 and device.type != "cuda":
        raise UsageError("TF32 requires CUDA", hint="use --precision fp32 or bf16, or --device cuda")
    torch.backends.cuda.matmul.allow_tf32 = precision is Precision.TF32
    return device


def check_is_same_data(metadata: Metadata, dataset: Dataset) -> None:
    """Raise DataError if a run was trained on other data."""
    if metadata.provenance and metadata.provenance.data_digest != dataset.digest:
        reason = f"data set has changed since this run was trained: '{dataset.location}'"
        raise DataError(reason, hint="restore it, or train a new run")


def choose_threads(recorded: int | None = None) -> int:
    """Return the number of threads of a new run, or of one that was started with `recorded` threads: no more than available.

    Those available are limited by OMP_NUM_THREADS, the CPU affinity and, unless OMP_NUM_THREADS is set, by control groups.
    """
    found = [torch.get_num_threads(), recorded, None if cpus.has_thread_count() else cpus.limit()]
    return min(number for number in found if number is not None)


def environment_changes(metadata: Metadata, device: torch.device, threads: int) -> list[str]:
    """Return the differences from the device, the threads and the versions with which the run was started."""
    before = metadata.provenance
    if before is None:
        return []
    now = {"device": str(device), "number of threads": str(threads), **_versions()}
    then = {"device": before.device, "number of threads": str(before.threads), **before.versions}
    return [f"{what} was '{then.get(what)}' and is '{now[what]}'" for what in now if now[what] != then.get(what)]


class Run:
    """A run in progress. Iterate over `epochs()`; finished epochs are saved however the iteration ends."""

    def __init__(self, spec: RunSpec, *, deadline: float = math.inf) -> None:
        """Prepare the run and set torch's number of threads.

        No epoch is begun that would end after `deadline`, on the clock of `time.monotonic`, except the first.
        """
        self.spec, self._deadline = spec, deadline
        if spec.threads is not None and spec.threads != torch.get_num_threads():
            torch.set_num_threads(spec.threads)
        self._images = spec.dataset.images(Split.TRAIN)  # (N, 784) of bytes
        self.images_per_epoch = len(self._images)
        self.image_stats = drift.measure(self._images)
        with devices.oom_as_device_error(spec.device):
            self._trainer = Trainer(self._images, model=spec.model, config=spec.config, device=spec.device, state=spec.state)
        self.history = self._trainer.history  # the trainer's own list, which grows; with the epochs before a resume

    def count_active(self) -> int:
        """Return how many bottleneck units are above zero for at least one image of a sample.

        This takes a few milliseconds and changes nothing. A unit that few images activate may be missed; the count over all
        images, `active_units`, is made at the end.
        """
        sample = self._images[:: max(len(self._images) // SAMPLE_SIZE, 1)]
        with devices.oom_as_device_error(self.spec.device), torch.no_grad():
            codes = inference.encode_uint8(backend.TorchNetwork(self._trainer.model, self.spec.device), sample)
            return count_active(inference.unit_ranges(codes))

    def epochs(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[EpochRecord]:
        """Train and yield a record after each epoch; save every ten seconds and at the end, including after an error.

        A run that already has all its epochs is saved too: it may have been killed before its last file was written.
        Raises DivergedError, DeviceError, OutputError.
        """
        last_save = started = time.monotonic()
        longest = 0.0
        try:
            with devices.oom_as_device_error(self.spec.device):
                for epoch in self._trainer.epochs(should_stop):
                    if time.monotonic() - last_save >= SAVE_EVERY:
                        self._save(self._trainer.state())
                        last_save = time.monotonic()
                    yield epoch
                    now = time.monotonic()
                    longest, started = max(longest, now - started), now
                    if now + longest + FINISHING > self._deadline:
                        return
        finally:
            self._finish()

    def _finish(self) -> None:
        """Save the last state with the ranges of the bottleneck units, and the loss curve."""
        if not self.history:
            return
        state = self._trainer.state()
        # on torch: it has the run's own thread count, on which the last digits depend; NumPy's is unknown
        codes = inference.encode_uint8(backend.load_network(state.weights, "cpu"), self._images)
        self._save(state, inference.unit_ranges(codes))
        figure = figures.render(figures.loss_curve(self.history), "png")
        atomic.write_bytes(runs.folder(self.spec.name) / runs.LOSS_FIGURE, figure)

    def _save(self, state: TrainingState, unit_ranges: tuple[UnitRange, ...] | None = None) -> None:
        provenance = self.spec.provenance
        if self.spec.state is None or len(state.history) > len(self.spec.state.history):
            threads = torch.get_num_threads()
            provenance = Provenance(self.spec.dataset.digest, str(self.spec.device), threads, _versions())
        metadata = Metadata(
            model=self.spec.model,
            training=self.spec.config,
            provenance=provenance,
            history=tuple(self.history),
            active_units=count_active(unit_ranges) if unit_ranges else None,
            unit_ranges=unit_ranges,
            images=self.image_stats,
        )
        runs.save(self.spec.name, state, metadata)


def resume(name: str, *, epochs: int | None) -> tuple[TrainingState, Metadata, TrainConfig]:
    """Return the state, metadata and configuration to resume a run with `epochs` epochs. Raises CheckpointError, UsageError."""
    state, metadata = runs.load_state(name)
    config = metadata.training or TrainConfig()
    if epochs is None or epochs == config.epochs:
        return state, metadata, config
    longer, done = dataclasses.replace(config, epochs=epochs), len(state.history)
    new_run = f"train a new run: --epochs {epochs} and another --name"
    if epochs < done:
        more = "" if config.schedule is Schedule.LINEAR else f"use --epochs {done + epochs} for {epochs} more"
        rest = f"leave --epochs out to train up to {config.epochs}" if done < config.epochs else ""
        reason = f"run '{name}' already has {done} epochs, more than --epochs {epochs}: --epochs counts all epochs of the run"
        raise UsageError(reason, hint=", or ".join(filter(None, (rest, more))) or new_run)
    if config.schedule is Schedule.LINEAR:
        reason = f"cannot extend run '{name}': its schedule is fixed to {counted(config.epochs, 'epoch')}"
        raise UsageError(reason, hint=new_run)
    return state, metadata, longer


def _versions() -> dict[str, str]:
    """Return the versions that a run's bytes depend on."""
    return {
        "mnistae": mnistae.__version__,
        "torch": str(torch.__version__),
        "cpu": str(torch.backends.cpu.get_cpu_capability()),
    }
