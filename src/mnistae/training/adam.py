"""Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) on one vector of weights, by PyTorch's fused kernel.

`torch.optim.Adam` keeps a state for each of eight parameters and visits them all in each step, which takes longer than the
arithmetic of a small batch. The function that it calls is public and works on one vector as well.
"""

import torch
from torch import Tensor
from torch.optim.adam import adam

from mnistae.core.config import Optimizer, TrainConfig


class Adam:
    """The weights (n,), the first and second moments (n,) and the step count ()."""

    def __init__(self, weights: Tensor, gradient: Tensor, config: TrainConfig) -> None:
        """Initialise moments and step count to zero."""
        self._weights, self._gradient, self._config = weights, gradient, config
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)
        self.steps = weights.new_zeros(())

    @torch.no_grad()
    def step(self, learning_rate: float | Tensor) -> None:
        """Update the weights. A learning rate that is a tensor () is read on its device."""
        adam(
            [self._weights],
            [self._gradient],
            [self.first],
            [self.second],
            [],
            [self.steps],
            lr=learning_rate,
            beta1=self._config.beta1,
            beta2=self._config.beta2,
            eps=1e-8,  # as by default in PyTorch
            weight_decay=self._config.weight_decay,
            decoupled_weight_decay=self._config.optimizer is Optimizer.ADAMW,
            amsgrad=False,
            maximize=False,
            foreach=False,
            fused=True,
        )
