"""`mnistae checkpoints`: manage the runs in the store."""

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistae.cli import inputs, results
from mnistae.cli.console import Reporter, format_table
from mnistae.cli.groups import Force, OutputOptions, output_options
from mnistae.cli.views import metadata as view
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.core.files import permissions
from mnistae.store import export as exports
from mnistae.store import names, onnx_graph, runs, verification
from mnistae.store.onnx_graph import Part
from mnistae.store.variants import Bottleneck, InputRange, Output, Variant

COLUMNS = ("name", "hidden", "bottleneck", "epochs", "loss", "active_units", "dataset", "state")

Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Run names.", show_default=False)]
OptionalNames = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Checkpoint names (default: all runs).")]
OptionalName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|PATH",
        envvar="MNISTAE_CHECKPOINT",
        help="Checkpoint name or .safetensors file (default: the newest run, else the built-in `lab`).",
    ),
]
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A PyTorch checkpoint (.pth, .pt, .ckpt), a .safetensors file or an .npz.")
]
PartOption = Annotated[Part, typer.Option("--part", help="Part of the network to export (ONNX only).")]
ExportOutput = Annotated[
    OutputOptions, output_options(*exports.FORMATS, about="Output file, or - for stdout.", is_required=True)
]


@dataclass(frozen=True)
class ImportOptions:
    """The run's name, and what the network was trained with."""

    name: Annotated[str | None, typer.Option("--name", help="Name of the run (default: the file name).")] = None
    input_range: Annotated[
        InputRange,
        typer.Option(
            "--input-range", help="Range of the inputs; mnist: normalised by mean 0.1307 and standard deviation 0.3081."
        ),
    ] = InputRange.UNIT
    bottleneck_activation: Annotated[
        Bottleneck, typer.Option("--bottleneck-activation", help="Activation of the bottleneck.")
    ] = Bottleneck.RELU
    output_activation: Annotated[
        Output,
        typer.Option("--output-activation", help="Activation of the output: tanh for images from -1 to 1; linear is refused."),
    ] = Output.SIGMOID


def list_(*, reporter: Reporter) -> None:
    """List the runs, newest first, then the built-in checkpoints."""
    found = [entry for name in runs.checkpoint_names() if (entry := _entry(name))]
    rows = [["-" if entry[column] is None else entry[column] for column in COLUMNS] for entry in found]
    for row in rows:
        if isinstance(loss := row[COLUMNS.index("loss")], float):
            row[COLUMNS.index("loss")] = f"{loss:.5f}"
        row[COLUMNS.index("dataset")] = Path(str(row[COLUMNS.index("dataset")])).name  # the end of a path is enough here
    reporter.result(format_table([[column.replace("_", " ") for column in COLUMNS], *rows]), {"checkpoints": found})


def show(name: OptionalName = None, *, reporter: Reporter) -> None:
    """Show how a checkpoint was trained."""
    found = runs.load(name)
    inputs.report_default(reporter, name, found)
    rows = [("checkpoint", found.name or ""), ("path", str(found.path)), *view.rows(found.metadata)]
    document = {
        "checkpoint": inputs.describe_checkpoint(found),
        "model": dataclasses.asdict(found.metadata.model),
        "training": view.document(found.metadata),
    }
    reporter.result(format_table(rows, has_headings=False), document)


def path(name: OptionalName = None, *, reporter: Reporter) -> None:
    """Print the path of a checkpoint's model file."""
    found = runs.load(name)
    inputs.report_default(reporter, name, found)
    reporter.result([str(found.path)], {"path": str(found.path)})


def import_(file: File, *, options: ImportOptions, force: Force = False, reporter: Reporter) -> None:
    """Import weights: any network of four linear layers, 784-h-b-h-784, whatever their names.

    A PyTorch file is read with weights_only=True: it cannot run code.
    """
    if options.name is None and not names.is_valid(file.stem):
        raise UsageError(f"the file name '{file.name}' does not give a valid run name", hint="choose one with --name NAME")
    run_name = names.check(file.stem if options.name is None else options.name)
    with runs.lock(run_name):
        runs.check_is_new(run_name, force=force, hint="replace it with --force, or choose another --name")
        from mnistae.store import importer

        variant = Variant(options.input_range, options.bottleneck_activation, options.output_activation)
        found = importer.read(file, variant)
        inputs.report_hidden(reporter, run_name)
        saved = runs.save_model(run_name, found.weights, found.metadata)
    model, trial = found.metadata.model, found.trial
    for note in found.notes:
        reporter.info(note)
    measured = f": MSE {trial.mse:.4f} on {trial.digits}, assuming {trial.assumed}" if trial and not trial.warning else ""
    reporter.info(f"imported 784-{model.hidden}-{model.bottleneck}-{model.hidden}-784 as '{run_name}'{measured}")
    if trial and trial.warning:
        reporter.warn(trial.warning)
    document = {"checkpoint": {"name": run_name, "path": str(saved)}, "model": dataclasses.asdict(model)}
    reporter.result([str(saved)], document | {"notes": found.notes, "trial": trial.document() if trial else None})


def export(name: OptionalName = None, *, part: PartOption = Part.WHOLE, out: ExportOutput, reporter: Reporter) -> None:
    """Export a checkpoint: ONNX, NumPy's npz, or a PyTorch state dict as safetensors.

    Every export is verified before it is written. ONNX export requires the extra `onnx`.
    """
    target = results.resolve(reporter, out)
    if part is not Part.WHOLE and target.format != "onnx":
        raise UsageError(f"--part applies to ONNX only, not to {target.format}", hint="leave --part out, or write ONNX")
    exports.check_can_write(target.format)
    found = runs.load(name)
    inputs.report_default(reporter, name, found)
    results.refuse_to_overwrite_inputs(target, str(found.path), str(found.path.with_name(runs.STATE)))
    data = exports.encode(found.weights, target.format, part)
    if target.format == "onnx":
        given, made = (f"{end} (n, {width})" for end, width in onnx_graph.io_specs(part, found.metadata.model))
        reporter.info(f"verified with onnxruntime: {given} to {made}, float32")
    document = {"checkpoint": inputs.describe_checkpoint(found), "format": target.format, "part": part.value}
    results.write_result(reporter, target, lambda _: data, document)


def verify(checkpoint_names: OptionalNames = None, *, reporter: Reporter) -> None:
    """Verify every file of the given runs; exit with 3 if any is damaged."""
    found = {name: verification.verify(name) for name in checkpoint_names} if checkpoint_names else verification.verify_all()
    damaged = [name for name, reason in found.items() if reason]
    if not (damaged and reporter.as_json):
        rows = [[name, _health(name, reason), reason or ""] for name, reason in found.items()]
        reporter.result(
            format_table([("name", "state", "reason"), *rows]) if rows else [],
            {"checkpoints": [{"name": name, "state": "ok"} for name in found]},
        )
    if damaged:
        others = "".join(f", '{name}'" for name in damaged[1:])
        first = {_health(name, found[name]): name for name in reversed(damaged)}
        hint = runs.CHECK
        if name := first.get("damaged"):
            hint = f"remove it with 'mnistae checkpoints remove {name}', then train or import it again"
        elif name := first.get("incomplete"):
            hint = f"save its model again with 'mnistae train --resume --name {name}'"
        raise CheckpointError(
            f"{len(damaged)} {' or '.join(sorted(first))} run{'s' if others else ''}: "
            f"'{damaged[0]}' ({found[damaged[0]]}){others}",
            hint=hint,
        )


def remove(checkpoint_names: Names, *, reporter: Reporter) -> None:
    """Remove runs with all their files."""
    wanted = list(dict.fromkeys(checkpoint_names))
    for name in wanted:
        runs.check_exists(name)
    for name in wanted:
        runs.remove(name)
        reporter.info(f"removed '{name}'")
    reporter.result(wanted, {"removed": wanted})


def _entry(name: str) -> dict[str, Any] | None:
    """Return a run's row; None if it has been removed meanwhile."""
    try:
        checkpoint = runs.load(name)
    except CheckpointError:
        with contextlib.suppress(CheckpointError):
            reason = verification.verify(name)
            return {**dict.fromkeys(COLUMNS), "name": name, "state": _health(name, reason) if reason else "no model yet"}
        return None
    training, history, model = checkpoint.metadata.training, checkpoint.metadata.history, checkpoint.metadata.model
    if checkpoint.is_builtin:
        state = "built-in"
    elif training is None:
        state = "imported"
    else:
        state = "finished" if len(history) >= training.epochs else f"unfinished, of {training.epochs} epochs"
    return {
        "name": name,
        "hidden": model.hidden,
        "bottleneck": model.bottleneck,
        "epochs": len(history) if training else None,
        "loss": round(history[-1].loss, 5) if history else None,
        "active_units": checkpoint.metadata.active_units,
        "dataset": training.dataset if training else None,
        "state": state,
    }


def _health(name: str, reason: str | None) -> str:
    if reason is None:
        return "ok"
    if reason == verification.NO_MODEL:
        return "incomplete"
    model = runs.model_path(name)
    return "unreadable" if any(map(permissions.is_denied, (model, model.with_name(runs.STATE)))) else "damaged"
