"""`mnistae checkpoints`: the runs in the store."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistae.cli import inputs, options, results
from mnistae.cli.commands.summary import training_document, training_rows
from mnistae.cli.console import Reporter, format_table
from mnistae.core.errors import CheckpointError, UsageError
from mnistae.store import export as exports
from mnistae.store import names, onnx_graph, runs, verification
from mnistae.store.onnx_graph import Part

Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of runs.", show_default=False)]
OptionalName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|PATH", envvar="MNISTAE_CHECKPOINT", help="A name in the store or a file; by default the newest run."
    ),
]


def list_(quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """List the runs in the store, the newest first, then the checkpoints that are built in."""
    reporter = Reporter("checkpoints list", quiet=quiet, as_json=as_json)
    found = [entry for name in runs.checkpoint_names() if (entry := _entry(name))]
    headings = ("name", "size", "epochs", "loss", "units alive", "data", "state")
    cells = [["-" if entry[heading] is None else entry[heading] for heading in headings] for entry in found]
    for row in cells:
        row[headings.index("data")] = Path(str(row[headings.index("data")])).name  # of a path the end is enough here
    reporter.result(format_table([headings, *cells]), {"checkpoints": found})


def show(name: OptionalName = None, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Show how a checkpoint was trained."""
    reporter = Reporter("checkpoints show", quiet=quiet, as_json=as_json)
    found = runs.load(name)
    rows = [("checkpoint", found.name or ""), ("path", str(found.path)), *training_rows(found.metadata)]
    document = {
        "checkpoint": inputs.describe_checkpoint(found),
        "model": dataclasses.asdict(found.metadata.model),
        "training": training_document(found.metadata),
    }
    reporter.result(format_table(rows), document)


def path(name: OptionalName = None, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Print where a checkpoint's model file lies."""
    reporter = Reporter("checkpoints path", quiet=quiet, as_json=as_json)
    found = runs.load(name)
    reporter.result([str(found.path)], {"path": str(found.path)})


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PyTorch state dict (.pth, .pt) or a .safetensors file.")],
    name: Annotated[str | None, typer.Option("--name", help="Name in the store; by default the file's.")] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Bring weights from elsewhere into the store: course checkpoints with fc1 to fc4, of any bottleneck and hidden size.

    A PyTorch file is read with weights_only=True: it cannot run code.
    """
    reporter = Reporter("checkpoints import", quiet=quiet, as_json=as_json)
    run_name = names.check(name if name is not None else file.stem)
    with runs.lock(run_name):
        runs.check_is_new(run_name, force=force, hint="replace it with --force, or choose a --name")
        from mnistae.store import importer

        weights, metadata = importer.read(file)
        saved = runs.save_model(run_name, weights, metadata)
    model = metadata.model
    reporter.note(f"imported 784-{model.hidden}-{model.bottleneck}-{model.hidden}-784 as '{run_name}'")
    reporter.result([str(saved)], {"checkpoint": {"name": run_name, "path": str(saved)}, "model": dataclasses.asdict(model)})


def export(
    output: Annotated[str, options.output("Where to write; the suffix tells the format.")],
    name: OptionalName = None,
    format_: Annotated[str | None, options.file_format("onnx, npz or safetensors; by default the suffix.")] = None,
    part: Annotated[Part, typer.Option("--part", help="How much of the network an ONNX file holds.")] = Part.WHOLE,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Write a checkpoint for other programs: ONNX, NumPy's npz, or a PyTorch state dict as plain safetensors.

    What is written has been read back: arrays are equal to the bit, and onnxruntime computes from an ONNX file what the
    checkpoint does. ONNX needs two more packages, which come with the extra `onnx`.
    """
    reporter = Reporter("checkpoints export", quiet=quiet, as_json=as_json)
    target = results.explicit(reporter, output, format_, formats=exports.FORMATS)
    if part is not Part.WHOLE and target.format != "onnx":
        raise UsageError(f"a part of the network cannot be written as {target.format}", hint="leave --part out, or write ONNX")
    exports.check_can_write(target.format)
    found = runs.load(name)
    results.refuse_to_overwrite_inputs(target, str(found.path), str(found.path.with_name(runs.STATE)))
    data = exports.encode(found.weights, target.format, part)
    if target.format == "onnx":
        given, made = (f"{end} (n, {width})" for end, width in onnx_graph.io_specs(part, found.metadata.model))
        reporter.note(f"verified with onnxruntime: {given} to {made}, float32")
    document = {"checkpoint": inputs.describe_checkpoint(found), "format": target.format, "part": part.value}
    results.write_result(reporter, target, lambda _: data, document, key="output")


def verify(
    checkpoint_names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names of runs; by default all of them.")
    ] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read every file of the runs to the last bit; end with 3 if one of them is damaged."""
    reporter = Reporter("checkpoints verify", quiet=quiet, as_json=as_json)
    found = {name: verification.verify(name) for name in checkpoint_names} if checkpoint_names else verification.verify_all()
    rows = [[name, "damaged" if reason else "whole", reason or ""] for name, reason in found.items()]
    damaged = [name for name, reason in found.items() if reason]
    if damaged and as_json:
        raise _damage(damaged, found)
    reporter.result(
        format_table([("name", "state", "reason"), *rows]) if rows else [],
        {"checkpoints": [{"name": name, "whole": not reason} for name, reason in found.items()]},
    )
    if damaged:
        raise _damage(damaged, found)


def remove(checkpoint_names: Names, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Remove runs from the store, with all their files."""
    reporter = Reporter("checkpoints remove", quiet=quiet, as_json=as_json)
    wanted = list(dict.fromkeys(checkpoint_names))
    for name in wanted:
        runs.check_exists(name)
    for name in wanted:
        runs.remove(name)
        reporter.note(f"removed '{name}'")
    reporter.result(wanted, {"removed": wanted})


def _damage(damaged: list[str], found: dict[str, str | None]) -> CheckpointError:
    more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
    return CheckpointError(
        f"the run '{damaged[0]}' is damaged{more}: {found[damaged[0]]}",
        hint=f"remove it with 'mnistae checkpoints remove {damaged[0]}', or train it again",
    )


def _entry(name: str) -> dict[str, Any] | None:
    """Return a run's row; a damaged one is listed as such, one that is removed meanwhile is None."""
    try:
        checkpoint = runs.load(name)
    except CheckpointError:
        return _entry_without_model(name)
    metadata = checkpoint.metadata
    training, history, model = metadata.training, metadata.history, metadata.model
    wanted = training.epochs if training else None
    return {
        "name": name,
        "size": f"{model.hidden}-{model.bottleneck}",
        "epochs": len(history) if training else None,
        "loss": round(history[-1].loss, 5) if history else None,
        "units alive": metadata.active_units,
        "data": training.dataset if training else None,
        "state": "built in" if checkpoint.is_builtin else _state(len(history), wanted),
    }


def _state(done: int, wanted: int | None) -> str:
    if wanted is None:
        return "imported"
    return "finished" if done >= wanted else f"of {wanted} epochs"


def _entry_without_model(name: str) -> dict[str, Any] | None:
    try:
        state = "damaged" if verification.verify(name) else "no model yet"
    except CheckpointError:
        return None
    return {"name": name, **dict.fromkeys(("size", "epochs", "loss", "units alive", "data")), "state": state}
