"""`mnistae summary`: the layer table with the lab's figures, and how a checkpoint was trained."""

import dataclasses
from typing import Annotated, Any

import typer

from mnistae.cli import inputs, options
from mnistae.cli.console import Reporter, format_table
from mnistae.core.config import ModelConfig
from mnistae.core.errors import UsageError
from mnistae.core.records import Metadata
from mnistae.model import layer_table
from mnistae.model.layer_table import MEBIBYTE, LayerTable
from mnistae.store import runs

RULE = "-" * 64


def summary(
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint", "-c", metavar="NAME|PATH", help="A name in the store or a .safetensors file; by default none."
        ),
    ] = None,
    bottleneck: Annotated[int | None, typer.Option("--bottleneck", "-z", help="Numbers in a code.")] = None,
    hidden: Annotated[int | None, typer.Option("--hidden", help="Width of the two hidden layers.")] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Print the layers, their output shapes, parameters, multiply-adds and memory; of a checkpoint also its training.

    Without -c, --bottleneck and --hidden this is the lab's network. 1 MB is 2**20 bytes.
    """
    reporter = Reporter("summary", quiet=quiet, as_json=as_json)
    if checkpoint is not None and (bottleneck is not None or hidden is not None):
        raise UsageError("a checkpoint has sizes of its own", hint="leave out -c, or --bottleneck and --hidden")
    found = runs.load(checkpoint) if checkpoint is not None else None
    sizes = {key: value for key, value in (("hidden", hidden), ("bottleneck", bottleneck)) if value is not None}
    model = found.metadata.model if found else ModelConfig(**sizes)
    table = layer_table.tabulate(model)
    lines = _lines(table)
    document = _document(table)
    if found:
        lines += ["", *format_table([("checkpoint", found.name or str(found.path)), *training_rows(found.metadata)])]
        document |= {"checkpoint": inputs.describe_checkpoint(found), "training": training_document(found.metadata)}
    reporter.result(lines, document)


def training_rows(metadata: Metadata) -> list[tuple[str, str]]:
    """Return how a checkpoint came to be, for people."""
    rows = [("made by", metadata.source)]
    if metadata.training:
        fields = metadata.training.to_json()
        rows += [(key.replace("_", " "), str(value)) for key, value in fields.items()]
    if metadata.history:
        rows += [("epochs done", str(len(metadata.history))), ("last loss", f"{metadata.history[-1].loss:.5f}")]
    if metadata.active_units is not None:
        rows.append(("living units", f"{metadata.active_units} of {metadata.model.bottleneck}"))
    if metadata.provenance:
        provenance = metadata.provenance
        rows += [("device", provenance.device), ("threads", str(provenance.threads))]
        rows += [(f"{what} version" if what != "cpu" else what, value) for what, value in provenance.versions.items()]
        rows.append(("data digest", provenance.data_digest))
    return rows


def training_document(metadata: Metadata) -> dict[str, Any]:
    """Return how a checkpoint came to be, for programs."""
    training, provenance = metadata.training, metadata.provenance
    return {
        "source": metadata.source,
        "settings": training.to_json() if training else None,
        "provenance": dataclasses.asdict(provenance) if provenance else None,
        "active_units": metadata.active_units,
        "unit_ranges": [[unit.low, unit.high] for unit in metadata.unit_ranges] if metadata.unit_ranges else None,
        "history": [dataclasses.asdict(epoch) for epoch in metadata.history],
    }


def _lines(table: LayerTable) -> list[str]:
    rows = [
        (f"{layer.name} (Linear, {layer.activation})", str(layer.output_shape), f"{layer.parameters:,}") for layer in table.rows
    ]
    head, *body = format_table([("Layer (type)", "Output Shape", "Param #"), *rows])
    return [
        RULE,
        head,
        RULE,
        *body,
        RULE,
        f"Total params: {table.parameters:,}",
        f"Trainable params: {table.parameters:,}",
        "Non-trainable params: 0",
        f"Total mult-adds (M): {table.mult_adds / 1e6:.2f}",
        RULE,
        f"Input size (MB): {table.input_bytes / MEBIBYTE:.2f}",
        f"Forward/backward pass size (MB): {table.pass_bytes / MEBIBYTE:.2f}",
        f"Params size (MB): {table.parameter_bytes / MEBIBYTE:.2f}",
        f"Estimated Total Size (MB): {table.total_bytes / MEBIBYTE:.2f}",
        RULE,
    ]


def _document(table: LayerTable) -> dict[str, Any]:
    return {
        "layers": [
            {"name": layer.name, "output_shape": layer.output_shape, "parameters": layer.parameters} for layer in table.rows
        ],
        "parameters": table.parameters,
        "trainable_parameters": table.parameters,
        "mult_adds": table.mult_adds,
        "bytes": {
            "input": table.input_bytes,
            "passes": table.pass_bytes,
            "parameters": table.parameter_bytes,
            "total": table.total_bytes,
        },
    }
