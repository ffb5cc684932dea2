"""`mnistae train`: the lab's recipe, or a variation of it, from the first epoch to the checkpoint."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistae import atomic
from mnistae import config as configs
from mnistae import device as devices
from mnistae.cli import options, signals, work
from mnistae.cli.console import Screen
from mnistae.cli.training_view import view
from mnistae.config import ModelConfig, Precision, TrainConfig
from mnistae.datasets import sources
from mnistae.errors import UsageError
from mnistae.store import names, runs

if TYPE_CHECKING:
    from mnistae.training.session import Plan, Session


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
    screen = Screen("train", quiet=quiet, as_json=as_json)
    devices.check_choice(device or "auto")
    training = _given(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dataset=sources.absolute(dataset) if dataset is not None else None,
        seed=seed,
        recipe=recipe,
        precision=precision,
    )
    sizes = _given(bottleneck=bottleneck, hidden=hidden)
    if resume:
        run_name = names.check(name) if name is not None else runs.newest()
        if force:
            raise UsageError("--resume goes on with a run, --force replaces it", hint="leave one of them out")
        with runs.lock(run_name):
            _train(screen, _resumed(screen, run_name, training, sizes, device))
        return
    config = dataclasses.replace(configs.recipe(recipe or "lab"), **training)
    model = ModelConfig(**sizes)
    if name is not None:
        names.check(name)
    _train_new(screen, name, model, config, device or "auto", force=force)


def _train_new(screen: Screen, name: str | None, model: ModelConfig, config: TrainConfig, device: str, *, force: bool) -> None:
    data = work.open_dataset(screen, config.dataset)
    run_name = name or names.default(model, config, dataset=data.name)
    with runs.lock(run_name):
        hint = "go on with --resume, replace it with --force, or choose a --name"
        runs.check_is_new(run_name, force=force, hint=hint)
        from mnistae.training import session  # brings torch: a name that is taken is told without it

        _train(screen, session.Plan(run_name, model, config, data, session.use_device(device, config.precision)))


def _resumed(screen: Screen, name: str, training: dict[str, Any], sizes: dict[str, Any], device: str | None) -> "Plan":
    """Return the plan that goes on with a run. Its settings are its own: only --epochs may be given, and --device."""
    from mnistae.training import session

    state, description, config = session.resume(name, epochs=training.pop("epochs", None))
    before = {**dataclasses.asdict(description.training or config), **dataclasses.asdict(description.model)}
    for setting, value in {**training, **sizes}.items():
        if value != before[setting]:
            raise UsageError(
                f"{setting.replace('_', ' ')} of the run '{name}' is '{before[setting]}', not '{value}'",
                hint="a resumed run keeps its settings; train another one under a new --name",
            )
    data = work.open_dataset(screen, config.dataset)
    session.check_is_same_data(description, data)
    recorded = description.provenance.device if description.provenance else "auto"
    resolved = session.use_device(device or recorded, config.precision)
    for change in session.changes(description, resolved):
        screen.warn(f"{change}: the run goes on, but not to the same bytes")
    return session.Plan(name, description.model, config, data, resolved, state, description.provenance)


def _train(screen: Screen, plan: "Plan") -> None:
    from mnistae.training.session import Session

    for path in (runs.folder(plan.name) / runs.STATE, runs.folder(plan.name).parent / runs.RECENT):
        atomic.check_target(path, hint="set MNISTAE_HOME to a folder you own")
    session = Session(plan)
    if len(session.history) >= plan.config.epochs:
        screen.note(f"nothing to do: the run '{plan.name}' has its {len(session.history)} epochs")
    else:
        if plan.config.precision is Precision.BF16 and not devices.has_bfloat16(plan.device):
            screen.warn("this processor has no instructions for bfloat16: fp32 would be many times faster")
        screen.note(f"training '{plan.name}' on {devices.describe(plan.device)}")
    with signals.deferred() as request:
        view(screen, session, request.is_made)
    if request.number is not None:
        _say_how_to_go_on(screen, session)
        raise signals.Interrupted(request.number)
    _report(screen, session)


def _say_how_to_go_on(screen: Screen, session: "Session") -> None:
    done, name = len(session.history), session.plan.name
    if done:
        screen.note(f"stopped after epoch {done}; go on with: mnistae train --resume --name {name}")
    else:
        screen.note("stopped before the first epoch was finished: nothing to keep")


def _report(screen: Screen, session: "Session") -> None:
    name, history = session.plan.name, session.history
    checkpoint = runs.load(name)
    alive, size = checkpoint.description.living_units, session.plan.model.bottleneck
    if alive is not None and alive < size:
        screen.warn(f"{size - alive} of {size} bottleneck units are dead: always zero; try another --seed")
    screen.note(f"loss {history[-1].loss:.5f} after {_count(len(history), 'epoch')}, {alive} of {size} bottleneck units alive")
    document = {
        "checkpoint": work.describe_checkpoint(checkpoint),
        "dataset": session.plan.dataset.name,
        "device": str(session.plan.device),
        "epochs": len(history),
        "loss": history[-1].loss,
        "living_units": alive,
        "history": [dataclasses.asdict(epoch) for epoch in history],
    }
    screen.result([str(checkpoint.path)], document)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _given(**values: Any) -> dict[str, Any]:
    """Return those settings that the user gave."""
    return {key: value for key, value in values.items() if value is not None}
