"""`mnistae train`: the lab's recipe, or a variation of it, from the first epoch to the checkpoint."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistae.cli import inputs, options, signals
from mnistae.cli.console import Reporter
from mnistae.cli.views.training import show_training
from mnistae.core import config as configs
from mnistae.core.config import ModelConfig, Precision, TrainConfig
from mnistae.core.errors import UsageError
from mnistae.core.files import atomic
from mnistae.data.sets import resolve
from mnistae.model import device as devices
from mnistae.store import names, runs

if TYPE_CHECKING:
    from mnistae.training.run import Run, RunSpec


Recipe = Annotated[str | None, typer.Option("--recipe", help="Training recipe: lab (the default), fast, best or denoise.")]
Epochs = Annotated[int | None, typer.Option("--epochs", "-e", help="Epochs in all, those before a resume among them.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", "-b", help="Images in a step.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Adam's learning rate at the start.")]
WeightDecay = Annotated[float | None, typer.Option("--weight-decay", help="Adam's weight decay; its form is the recipe's.")]
Bottleneck = Annotated[int | None, typer.Option("--bottleneck", "-z", help="Numbers in a code.")]
Hidden = Annotated[int | None, typer.Option("--hidden", help="Width of the two hidden layers.")]
Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME|PATH", help="Data set to train on, by default mnist.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of the weights and of the shuffling.")]
Arithmetic = Annotated[
    Precision | None, typer.Option("--precision", help="Arithmetic of the matrix products; tf32 on CUDA only.")
]
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the run in the store; by default it follows from the settings.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run --name, or with the newest one.")]


def train(
    recipe: Recipe = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    bottleneck: Bottleneck = None,
    hidden: Hidden = None,
    dataset: Dataset = None,
    seed: Seed = None,
    device: options.Device = None,
    precision: Arithmetic = None,
    name: Name = None,
    resume: Resume = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Train the autoencoder and keep it in the store; print the checkpoint's path.

    Ctrl-C keeps the last finished epoch; --resume goes on from there, to the same bytes as if nothing had happened.
    """
    reporter = Reporter("train", quiet=quiet, as_json=as_json)
    devices.check_choice(device or "auto")
    training = _drop_none(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dataset=resolve.absolute(dataset) if dataset is not None else None,
        seed=seed,
        recipe=recipe,
        precision=precision,
    )
    sizes = _drop_none(bottleneck=bottleneck, hidden=hidden)
    if resume:
        run_name = names.check(name) if name is not None else runs.newest()
        if force:
            raise UsageError("--resume goes on with a run, --force replaces it", hint="leave one of them out")
        with runs.lock(run_name):
            _train(reporter, _resumed(reporter, run_name, training, sizes, device))
        return
    config = dataclasses.replace(configs.recipe(recipe or "lab"), **training)
    model = ModelConfig(**sizes)
    if name is not None:
        names.check(name)
    _train_new(reporter, name, model, config, device or "auto", force=force)


def _train_new(
    reporter: Reporter, name: str | None, model: ModelConfig, config: TrainConfig, device: str, *, force: bool
) -> None:
    data = inputs.open_dataset(reporter, config.dataset)
    run_name = name or names.default(model, config, dataset=data.name)
    with runs.lock(run_name):
        hint = "go on with --resume, replace it with --force, or choose a --name"
        runs.check_is_new(run_name, force=force, hint=hint)
        from mnistae.training import run as training_run  # brings torch: a name that is taken is told without it

        _train(
            reporter, training_run.RunSpec(run_name, model, config, data, training_run.prepare_device(device, config.precision))
        )


def _resumed(reporter: Reporter, name: str, training: dict[str, Any], sizes: dict[str, Any], device: str | None) -> "RunSpec":
    """Return the plan that goes on with a run. Its settings are its own: only --epochs may be given, and --device."""
    from mnistae.training import run as training_run

    state, metadata, config = training_run.resume(name, epochs=training.pop("epochs", None))
    before = {**dataclasses.asdict(metadata.training or config), **dataclasses.asdict(metadata.model)}
    for setting, value in {**training, **sizes}.items():
        if value != before[setting]:
            raise UsageError(
                f"{setting.replace('_', ' ')} of the run '{name}' is '{before[setting]}', not '{value}'",
                hint="a resumed run keeps its settings; train another one under a new --name",
            )
    data = inputs.open_dataset(reporter, config.dataset)
    training_run.check_is_same_data(metadata, data)
    recorded = metadata.provenance.device if metadata.provenance else "auto"
    resolved = training_run.prepare_device(device or recorded, config.precision)
    for change in training_run.environment_changes(metadata, resolved):
        reporter.warn(f"{change}: the run goes on, but not to the same bytes")
    return training_run.RunSpec(name, metadata.model, config, data, resolved, state, metadata.provenance)


def _train(reporter: Reporter, spec: "RunSpec") -> None:
    from mnistae.training.run import Run

    for path in (runs.folder(spec.name) / runs.STATE, runs.folder(spec.name).parent / runs.RECENT_FILE):
        atomic.check_writable(path, hint="set MNISTAE_HOME to a folder you own")
    run = Run(spec)
    if len(run.history) >= spec.config.epochs:
        reporter.note(f"nothing to do: the run '{spec.name}' has its {len(run.history)} epochs")
    else:
        if spec.config.precision is Precision.BF16 and not devices.has_bfloat16(spec.device):
            reporter.warn("this processor has no instructions for bfloat16: fp32 would be many times faster")
        reporter.note(f"training '{spec.name}' on {devices.describe(spec.device)}")
    with signals.deferred() as request:
        show_training(reporter, run, request.is_set)
    if request.number is not None:
        _print_resume_hint(reporter, run)
        raise signals.Interrupted(request.number)
    _report(reporter, run)


def _print_resume_hint(reporter: Reporter, run: "Run") -> None:
    done, name = len(run.history), run.spec.name
    if done:
        reporter.note(f"stopped after epoch {done}; go on with: mnistae train --resume --name {name}")
    else:
        reporter.note("stopped before the first epoch was finished: nothing to keep")


def _report(reporter: Reporter, run: "Run") -> None:
    name, history = run.spec.name, run.history
    checkpoint = runs.load(name)
    alive, size = checkpoint.metadata.active_units, run.spec.model.bottleneck
    if alive is not None and alive < size:
        reporter.warn(f"{size - alive} of {size} bottleneck units are dead: always zero; try another --seed")
    reporter.note(
        f"loss {history[-1].loss:.5f} after {_count(len(history), 'epoch')}, {alive} of {size} bottleneck units alive"
    )
    document = {
        "checkpoint": inputs.describe_checkpoint(checkpoint),
        "dataset": run.spec.dataset.name,
        "device": str(run.spec.device),
        "epochs": len(history),
        "loss": history[-1].loss,
        "active_units": alive,
        "history": [dataclasses.asdict(epoch) for epoch in history],
    }
    reporter.result([str(checkpoint.path)], document)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _drop_none(**values: Any) -> dict[str, Any]:
    """Return those settings that the user gave."""
    return {key: value for key, value in values.items() if value is not None}
