"""A run from its first epoch to its last file: the trainer, the data and the store brought together."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

import mnistae
from mnistae.core.config import ModelConfig, Precision, Schedule, TrainConfig
from mnistae.core.errors import DataError, UsageError
from mnistae.core.files import atomic
from mnistae.core.records import EpochRecord, Metadata, Provenance, TrainingState, UnitRange, count_active
from mnistae.data.sets.dataset import Dataset, Split
from mnistae.model import backend
from mnistae.model import device as devices
from mnistae.model.backend import TorchNetwork
from mnistae.outputs import figures
from mnistae.store import runs
from mnistae.tasks import inference
from mnistae.training.loop import Trainer, never_stop

SAMPLE_SIZE = 512
"""Images, about so many, on which the living units of a run in progress are counted."""

SAVE_EVERY = 10.0
"""Seconds between two saves of a run in progress: what a kill can cost, besides the epoch it fell into."""


@dataclass(frozen=True)
class RunSpec:
    """What is to be trained, where its data come from, where it computes and under which name it is kept."""

    name: str
    model: ModelConfig
    config: TrainConfig
    dataset: Dataset
    device: torch.device
    state: TrainingState | None = None
    provenance: Provenance | None = None  # of that state


def prepare_device(choice: str, precision: Precision) -> torch.device:
    """Return the proven device, set up so that the same run gives the same bytes on it. Raises DeviceError, UsageError."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS at its first use
    device = devices.resolve(choice)
    if precision is Precision.TF32 and device.type != "cuda":
        raise UsageError(f"the device '{device}' has no TF32", hint="use --precision fp32 or bf16, or --device cuda")
    torch.backends.cuda.matmul.allow_tf32 = precision is Precision.TF32
    return device


def check_is_same_data(metadata: Metadata, dataset: Dataset) -> None:
    """Raise DataError if a run was trained on other data than these."""
    if metadata.provenance and metadata.provenance.data_digest != dataset.digest:
        raise DataError(
            f"'{dataset.location}' is not the data this run was trained on", hint="bring that data back, or train anew"
        )


def environment_changes(metadata: Metadata, device: torch.device) -> list[str]:
    """Return what is no longer as it was when the run was begun, after setting the thread count back to what it was."""
    before = metadata.provenance
    if before is None:
        return []
    if torch.get_num_threads() != before.threads:
        torch.set_num_threads(before.threads)
    now = {"device": str(device), **_versions()}
    then = {"device": before.device, **before.versions}
    return [f"{what} was '{then.get(what)}' and is '{now[what]}'" for what in now if now[what] != then.get(what)]


class Run:
    """One process's work on a run. Iterate over `epochs()`; what has been trained is saved however that ends."""

    def __init__(self, plan: RunSpec) -> None:
        self.plan = plan
        self._unit_ranges: tuple[UnitRange, ...] | None = None
        self._images = plan.dataset.images(Split.TRAIN)  # (N, 784) of bytes
        with devices.oom_as_device_error(plan.device):
            self._trainer = Trainer(self._images, model=plan.model, config=plan.config, device=plan.device, state=plan.state)

    @property
    def history(self) -> list[EpochRecord]:
        """The finished epochs, those before a resume among them."""
        return self._trainer.history

    @property
    def images_per_epoch(self) -> int:
        """Number of training images."""
        return len(self._images)

    def count_active(self) -> int:
        """Return how many bottleneck units are above zero for at least one of some images, as the weights are now.

        It costs a few milliseconds and changes nothing. A unit that few images wake may be missed: the count of all images,
        `active_units`, comes at the end.
        """
        sample = self._images[:: max(len(self._images) // SAMPLE_SIZE, 1)]
        with devices.oom_as_device_error(self.plan.device), torch.no_grad():
            codes = inference.encode_uint8(TorchNetwork(self._trainer.model, self.plan.device), sample)
            return count_active(inference.unit_ranges(codes))

    def epochs(self, should_stop: Callable[[], bool] = never_stop) -> Iterator[EpochRecord]:
        """Train and yield a record after each epoch; save every ten seconds and at the end, whatever ends it.

        A run that has all its epochs is saved too: it may have been killed between its last epoch and its last file.
        Raises DivergedError, DeviceError, OutputError.
        """
        last_save = time.monotonic()
        try:
            with devices.oom_as_device_error(self.plan.device):
                for epoch in self._trainer.epochs(should_stop):
                    if time.monotonic() - last_save >= SAVE_EVERY:
                        self._save()
                        last_save = time.monotonic()
                    yield epoch
        finally:
            self._finish()

    def _finish(self) -> None:
        """Save what is not saved yet, with the ranges of the bottleneck units and the picture of the losses."""
        if not self.history:
            return
        state = self._trainer.state()
        # torch has the run's own number of threads, on which the last digits depend; NumPy has whatever it was given
        codes = inference.encode_uint8(backend.load_network(state.weights, "cpu"), self._images)
        self._unit_ranges = inference.unit_ranges(codes)
        self._save(state)
        picture = figures.render(figures.loss_curve(self.history), "png")
        atomic.write_bytes(runs.folder(self.plan.name) / runs.LOSS_FIGURE, picture)

    def _save(self, state: TrainingState | None = None) -> None:
        state = state or self._trainer.state()
        has_trained = self.plan.state is None or len(state.history) > len(self.plan.state.history)
        metadata = Metadata(
            model=self.plan.model,
            training=self.plan.config,
            provenance=_provenance(self.plan) if has_trained else self.plan.provenance,
            history=tuple(self.history),
            active_units=count_active(self._unit_ranges) if self._unit_ranges else None,
            unit_ranges=self._unit_ranges,
        )
        runs.save(self.plan.name, state, metadata)


def resume(name: str, *, epochs: int | None) -> tuple[TrainingState, Metadata, TrainConfig]:
    """Return what a run in the store goes on from, with its configuration raised to `epochs`. Raises CheckpointError."""
    state, metadata = runs.load_state(name)
    config = metadata.training or TrainConfig()
    if epochs is None or epochs == config.epochs:
        return state, metadata, config
    if config.schedule is Schedule.LINEAR:
        raise UsageError(
            f"the learning rate of the run '{name}' is laid out over its {config.epochs} epochs, not '{epochs}'",
            hint="train anew with that --epochs, under another --name",
        )
    config = dataclasses.replace(config, epochs=epochs)
    return state, metadata, config


def _provenance(plan: RunSpec) -> Provenance:
    return Provenance(
        data_digest=plan.dataset.digest,
        device=str(plan.device),
        threads=torch.get_num_threads(),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    """Return the versions that a run's bytes depend on."""
    return {
        "mnistae": mnistae.__version__,
        "torch": str(torch.__version__),
        "cpu": str(torch.backends.cpu.get_cpu_capability()),
    }
