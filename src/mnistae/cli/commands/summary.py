"""`mnistae summary`: the layer table with the lab's figures, and how a checkpoint was trained."""

from typing import Annotated, Any

from mnistae.cli import inputs
from mnistae.cli.console import Reporter, format_table
from mnistae.cli.groups import SizeOptions, checkpoint_option
from mnistae.cli.views import metadata as view
from mnistae.core.config import ModelConfig
from mnistae.core.errors import UsageError
from mnistae.model import layer_table
from mnistae.model.layer_table import MEBIBYTE, LayerTable
from mnistae.store import runs

RULE = "-" * 64

Checkpoint = Annotated[
    str | None, checkpoint_option("Checkpoint name or .safetensors file (default: none, for the lab's sizes).", envvar=None)
]


def summary(checkpoint: Checkpoint = None, *, sizes: SizeOptions, reporter: Reporter) -> None:
    """Print the layer table with parameters, multiply-adds and memory; with -c also how the network was trained.

    1 MB is 2**20 bytes.
    """
    if checkpoint is not None and sizes.given():
        raise UsageError("-c cannot be combined with --bottleneck or --hidden", hint="leave one of them out")
    found = runs.load(checkpoint) if checkpoint is not None else None
    table = layer_table.tabulate(found.metadata.model if found else ModelConfig(**sizes.given()))
    lines = _lines(table)
    document: dict[str, Any] = {
        "layers": [{"name": one.name, "output_shape": one.output_shape, "parameters": one.parameters} for one in table.rows],
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
    if found:
        rows = [("checkpoint", found.name or str(found.path)), *view.rows(found.metadata)]
        lines += ["", *format_table(rows, has_headings=False)]
        document |= {"checkpoint": inputs.describe_checkpoint(found), "training": view.document(found.metadata)}
    reporter.result(lines, document)


def _lines(table: LayerTable) -> list[str]:
    rows = [
        (f"{layer.name} (Linear, {layer.activation})", str(layer.output_shape), f"{layer.parameters:,}") for layer in table.rows
    ]
    headings, *body = format_table([("Layer (type)", "Output Shape", "Param #"), *rows])
    return [
        RULE,
        headings,
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
