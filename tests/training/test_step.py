"""The manual backward pass, against autograd."""

import pytest
import torch
from torch.nn import functional

from mnistae.core.config import ModelConfig
from mnistae.model.network import Autoencoder, initialise
from mnistae.training.step import ManualBackprop


@pytest.mark.parametrize(("rows", "batch"), [(64, 64), (64, 17), (1, 1)])
@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(hidden=20, bottleneck=3)])
def test_step_equals_autograd(config: ModelConfig, rows: int, batch: int) -> None:
    """Loss and all eight gradients equal autograd's, for full and smaller batches and for targets that are not the inputs."""
    torch.manual_seed(0)
    model, twin = Autoencoder(config), Autoencoder(config)
    initialise(model, seed=0, bottleneck_bias=0.5)
    twin.load_state_dict(model.state_dict())
    step = ManualBackprop(model, rows)
    x, target = torch.rand(batch, 784), torch.rand(batch, 784)

    for _ in range(2):  # the second call reuses the buffers
        loss = step(255 * x, 255 * target)
    expected = functional.mse_loss(twin(x), target)
    torch.autograd.backward(expected)

    assert float(loss) == pytest.approx(expected.item(), abs=1e-6)
    for (name, mine), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-7, rtol=1e-4, msg=name)
        assert theirs.grad.any(), name


def test_bfloat16_step_is_close_to_float32() -> None:
    """In bfloat16 loss and gradients are close to float32; the gradients themselves are float32."""
    model, twin = Autoencoder(), Autoencoder()
    initialise(model, seed=0)
    twin.load_state_dict(model.state_dict())
    x = torch.randint(0, 256, (256, 784), generator=torch.Generator().manual_seed(0)).float()
    loss = ManualBackprop(model, 256, torch.bfloat16)(x.bfloat16(), x)
    expected = ManualBackprop(twin, 256)(x, x)

    assert float(loss) == pytest.approx(float(expected), rel=0.01)
    for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert mine.grad.dtype == torch.float32
        assert functional.cosine_similarity(mine.grad.flatten(), theirs.grad.flatten(), dim=0) > 0.98
        assert float(mine.grad.norm()) == pytest.approx(float(theirs.grad.norm()), rel=0.1)
