"""The layer table against the lab's figures and against torchinfo."""

import pytest
import torchinfo

from mnistae.core.config import ModelConfig
from mnistae.model import layer_table
from mnistae.model.network import Autoencoder


@pytest.mark.parametrize(("hidden", "bottleneck"), [(392, 8), (100, 3), (1, 1)])
def test_table_agrees_with_torchinfo(hidden: int, bottleneck: int) -> None:
    """Parameters, shapes and memory are torchinfo's, which counts biases among the multiply-adds and the lab does not."""
    config = ModelConfig(hidden, bottleneck)
    table = layer_table.tabulate(config)
    theirs = torchinfo.summary(Autoencoder(config), input_size=(1, 784), verbose=0)
    linear = [row for row in theirs.summary_list if row.class_name == "Linear"]

    assert [row.parameters for row in table.rows] == [row.trainable_params for row in linear]
    assert [row.output_shape[-1] for row in table.rows] == [row.output_size[-1] for row in linear]
    assert table.parameters == theirs.total_params == theirs.trainable_params
    assert table.mult_adds == theirs.total_mult_adds - sum(row.output_shape[-1] for row in table.rows)
    assert table.parameter_bytes == theirs.total_param_bytes
    assert table.pass_bytes == theirs.total_output_bytes  # torchinfo, too, counts forward and backward
