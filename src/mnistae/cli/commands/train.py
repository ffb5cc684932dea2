"""`mnistae train`: the lab's recipe, or a variation of it, from the first epoch to the checkpoint."""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistae.cli import inputs, signals
from mnistae.cli.console import Reporter
from mnistae.cli.groups import Force, SizeOptions, device_option
from mnistae.cli.views.training import show_training
from mnistae.core import config as configs
from mnistae.core import cpus
from mnistae.core.config import ModelConfig, Precision, TrainConfig
from mnistae.core.errors import CheckpointError, UnfinishedError, UsageError
from mnistae.core.files import atomic, permissions
from mnistae.data.sets import resolve
from mnistae.model import device as devices
from mnistae.store import names, runs
from mnistae.tasks import drift

if TYPE_CHECKING:
    from mnistae.training.run import Run, RunSpec


Recipe = StrEnum("Recipe", ["LAB", "FAST", "BEST", "DENOISE"])


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run, by their names in TrainConfig; None is the recipe's."""

    recipe: Annotated[Recipe | None, typer.Option("--recipe", help="Training recipe (default: lab).")] = None
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", "-e", help="Total number of epochs, including those before a resume (default: the recipe's)."),
    ] = None
    batch_size: Annotated[int | None, typer.Option("--batch-size", "-b", help="Batch size (default: the recipe's).")] = None
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Peak learning rate (default: the recipe's).")] = None
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", help="Weight decay, L2 or decoupled depending on the recipe (default: the recipe's)."),
    ] = None
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME|PATH", help="Data set to train on (default: mnist).")
    ] = None
    raw: Annotated[
        bool | None, typer.Option("--raw", help="Do not invert images whose size is not 28x28.", show_default=False)
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", help="Random seed (default: 0).")] = None
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="Precision of matrix multiplications; tf32 on CUDA only (default: fp32)."),
    ] = None


@dataclass(frozen=True)
class TrainOptions(SizeOptions, RunSettings):
    """The options of `train`: the settings and sizes of a run, what it may use, and which run it is."""

    device: Annotated[str | None, device_option("auto")] = None
    threads: Annotated[
        int | None, typer.Option("--threads", help="CPU threads (default: those available; on resume those of the run).")
    ] = None
    time: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Stop before TIME is over, as in 55m or 1h30m; exit with 75.")
    ] = None
    started: float = field(default_factory=monotonic)
    name: Annotated[str | None, typer.Option("--name", help="Name of the run (default: derived from the settings).")] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume the run --name (if it is new and settings are given, start it); without --name, the newest run.",
        ),
    ] = False
    force: Force = False

    def __post_init__(self) -> None:
        if self.threads is not None:
            configs.check_integer("--threads", self.threads, 1, 4096)
        if self.time is not None and not math.isfinite(self.deadline):
            hint = "give whole hours, minutes and seconds above 0, as in 55m, 90s or 1h30m"
            raise UsageError(f"invalid value for --time: '{self.time}'", hint=hint)
        if self.resume and self.force:
            raise UsageError("--resume and --force cannot be combined", hint="leave one of them out")
        if self.name is not None:
            names.check(self.name)

    @property
    def deadline(self) -> float:
        """When the time is over, on the clock of `time.monotonic`: infinity without a limit or with an invalid one."""
        parts = re.fullmatch(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?", self.time or "", re.ASCII)
        seconds = sum(int(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0
        return self.started + seconds if seconds else math.inf

    def of(self, *kinds: type[TrainConfig | ModelConfig]) -> dict[str, Any]:
        """Return the given options that are fields of these configurations."""
        fields = {field.name for kind in kinds for field in dataclasses.fields(kind)}
        return {name: value for name, value in self.given().items() if name in fields}


def train(options: TrainOptions, *, reporter: Reporter) -> None:
    """Train the autoencoder and save it; print the checkpoint's path.

    Ctrl-C saves the last finished epoch; --resume continues from there and ends with the same files as an uninterrupted run.
    """
    devices.check_choice(options.device or "auto")
    if options.dataset is not None:
        options = dataclasses.replace(options, dataset=resolve.absolute(options.dataset))
    if not options.resume or _is_first(reporter, options.name, has_settings=bool(options.of(TrainConfig, ModelConfig))):
        _train_new(reporter, options)
        return
    name = options.name or runs.newest()
    with runs.lock(name):
        _resume(reporter, name, options)


def _is_first(reporter: Reporter, name: str | None, *, has_settings: bool) -> bool:
    """Whether a resume begins the run, because there is none of this name. Raises CheckpointError without settings."""
    if name is None or runs.exists(name) or runs.is_builtin(name):  # a built-in one cannot be resumed
        return False
    if not has_settings:
        hint = "to start a new run of this name, add settings such as --recipe lab"
        raise CheckpointError(f"no such checkpoint: '{name}'", hint=hint)
    reporter.info(f"there is no run '{name}' yet: starting it")
    return True


def _train_new(reporter: Reporter, options: TrainOptions) -> None:
    config = dataclasses.replace(configs.recipe(options.recipe or Recipe.LAB), **options.of(TrainConfig))
    model = ModelConfig(**options.of(ModelConfig))
    data = inputs.open_dataset(reporter, config.dataset, raw=config.raw)
    name = options.name or names.default(model, config, dataset=data.name)
    with runs.lock(name):
        if options.resume and runs.exists(name):  # another process has started it meanwhile
            _resume(reporter, name, options)
            return
        resume = "--resume to continue it, " if (runs.folder(name) / runs.STATE).exists() else ""  # not an imported one
        runs.check_is_new(name, force=options.force, hint=f"use {resume}--force to replace it, or another --name")
        inputs.report_hidden(reporter, name)
        from mnistae.training import run as training_run  # imports torch, which reporting a name that is taken does not need

        device = training_run.prepare_device(options.device or "auto", config.precision)
        threads = options.threads or training_run.choose_threads()
        _train(reporter, training_run.RunSpec(name, model, config, data, device, threads), options)


def _resume(reporter: Reporter, name: str, options: TrainOptions) -> None:
    """Continue a run. It keeps its settings: only --epochs and what it may use may differ."""
    from mnistae.training import run as training_run

    try:
        state, metadata, config = training_run.resume(name, epochs=options.epochs)
    except CheckpointError as error:
        if options.name is None:
            error.hint += "; it is the newest run: choose another one with --name"
        raise
    before = {**dataclasses.asdict(metadata.training or config), **dataclasses.asdict(metadata.model)}
    for setting, value in options.of(TrainConfig, ModelConfig).items():
        if setting != "epochs" and value != before[setting]:
            option = "--lr" if setting == "learning_rate" else f"--{setting.replace('_', '-')}"
            difference = "the run was trained without it" if value is True else f"it is '{before[setting]}', not '{value}'"
            raise UsageError(
                f"cannot change {option} of run '{name}' on resume: {difference}",
                hint=f"leave {option} out, or train a new run with another --name",
            )
    data = inputs.open_dataset(reporter, config.dataset, raw=config.raw)
    training_run.check_is_same_data(metadata, data)
    before_device, before_threads = (found.device, found.threads) if (found := metadata.provenance) else ("auto", None)
    device = training_run.prepare_device(options.device or before_device, config.precision)
    threads = options.threads or training_run.choose_threads(before_threads)
    is_finished = len(state.history) >= config.epochs
    for change in [] if is_finished else training_run.environment_changes(metadata, device, threads):
        reporter.warn(f"{change}: results will no longer be byte-identical")
    spec = training_run.RunSpec(name, metadata.model, config, data, device, threads, state, metadata.provenance)
    _train(reporter, spec, options)


def _train(reporter: Reporter, spec: "RunSpec", options: TrainOptions) -> None:
    from mnistae.training.run import Run

    for path in (runs.folder(spec.name) / runs.STATE, runs.folder(spec.name).parent / runs.RECENT_FILE):
        hint = permissions.hint(path, "set MNISTAE_HOME to a folder you can write to", is_write=True)
        atomic.check_writable(path, hint=hint)
    run = Run(spec, deadline=options.deadline)
    for warning in drift.training_warnings(run.image_stats):
        reporter.warn(warning)
    if len(run.history) >= spec.config.epochs:
        reporter.info(f"nothing to do: run '{spec.name}' already has {_epochs(run)}")
    else:
        if spec.config.precision is Precision.BF16 and not devices.has_bfloat16(spec.device):
            reporter.warn("this CPU has no bfloat16 instructions: bf16 is many times slower than fp32")
        if spec.device.type == "cpu" and (spec.threads or 0) > (usable := cpus.usable()):
            reporter.warn(f"more threads than CPUs: training may be many times slower than with --threads {usable}")
        start = f"resuming '{spec.name}' after {_epochs(run)}" if run.history else f"training '{spec.name}'"
        reporter.info(f"{start} on {devices.describe(spec.device)}")
    with signals.deferred() as request:
        show_training(reporter, run, lambda: request.number is not None)
    if request.number is not None:
        hint = f"interrupted after epoch {len(run.history)}; resume with: mnistae train --resume --name {spec.name}"
        reporter.info(hint if run.history else "interrupted during the first epoch; nothing was saved")
        raise signals.Interrupted(request.number)
    if len(run.history) < spec.config.epochs:
        done = f"{len(run.history)} of {spec.config.epochs} epochs"
        raise UnfinishedError(
            f"time limit '{options.time}' reached: run '{spec.name}' is saved with {done}",
            hint=f"run it again: mnistae train --resume --name {spec.name} --time {options.time}",
        )
    _report(reporter, run)


def _report(reporter: Reporter, run: "Run") -> None:
    checkpoint = runs.load(run.spec.name)
    metadata, loss = checkpoint.metadata, run.history[-1].loss
    active, size = metadata.active_units, run.spec.model.bottleneck
    inputs.warn_dead(reporter, metadata, advice="; try another --seed")
    reporter.info(f"loss {loss:.5f} after {_epochs(run)}, {active} of {size} bottleneck units active")
    document = {
        "checkpoint": inputs.describe_checkpoint(checkpoint),
        "dataset": run.spec.dataset.name,
        "device": str(run.spec.device),
        "epochs": len(run.history),
        "loss": loss,
        "active_units": active,
        "history": [dataclasses.asdict(epoch) for epoch in run.history],
    }
    reporter.result([str(checkpoint.path)], document)


def _epochs(run: "Run") -> str:
    return f"{len(run.history)} epoch{'s' if len(run.history) != 1 else ''}"
