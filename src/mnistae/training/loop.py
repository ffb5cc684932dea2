"""The training loop: a generator of epoch records. It shows nothing and writes nothing."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistae import seeds
from mnistae.config import ModelConfig, Optimizer, Precision, TrainConfig
from mnistae.errors import DivergedError
from mnistae.model import Autoencoder, initialise
from mnistae.records import Array, Epoch, TrainingState
from mnistae.training import schedules
from mnistae.training.step import Step


def never() -> bool:
    """Answer that nobody wants the run to stop."""
    return False


class Trainer:
    """One run of a recipe over images that lie on the training device as bytes.

    Iterate over `epochs()`; between two records, and after it has ended for whatever reason, `state()` is the state after
    the last finished epoch. The same arguments give the same numbers, also when a state cuts the run in two.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        *,
        model: ModelConfig,
        config: TrainConfig,
        device: torch.device,
        state: TrainingState | None = None,
    ) -> None:
        """Take training images (N, 784) of bytes, and the state to go on from."""
        self.config = config
        self.history = list(state.history) if state else []
        self.model = Autoencoder(model)
        initialise(self.model, seed=config.seed, bottleneck_bias=config.bottleneck_bias)
        if state:
            self.model.load_state_dict({name: torch.from_numpy(array) for name, array in state.weights.items()})
        self.model.to(device)
        self._images = torch.from_numpy(images).to(device)  # (N, 784) of bytes
        rows = min(config.batch_size, len(images))
        self._batch_bytes = self._images.new_empty(rows, images.shape[1])
        self._targets = torch.empty(rows, images.shape[1], device=device)
        dtype = torch.bfloat16 if config.precision is Precision.BF16 else torch.float32
        self._inputs = torch.empty_like(self._targets, dtype=dtype)
        self._step = Step(self.model, rows, dtype)
        self._optimizer = _adam(self.model, config, state)
        self._kept = [tensor.detach().clone() for tensor in self._live()]

    def epochs(self, should_stop: Callable[[], bool] = never) -> Iterator[Epoch]:
        """Train up to the configured number of epochs and yield a record after each.

        `should_stop` is asked before each step; on its word the unfinished epoch is dropped and the generator ends.
        Raises DivergedError when a loss or a weight is no longer finite; `state()` is then that of the epoch before.
        """
        while len(self.history) < self.config.epochs:
            number = len(self.history) + 1
            losses = [epoch.loss for epoch in self.history]
            rates = schedules.learning_rates(self.config, losses, self.steps_per_epoch)
            loss = self._run_epoch(number, rates, should_stop)
            if loss is None:
                return
            if not math.isfinite(loss) or not self._is_finite():
                raise DivergedError(
                    f"the loss of epoch {number} is '{loss}': the training diverged",
                    hint=f"try a lower rate than --lr {self.config.learning_rate:g}",
                )
            self._keep()
            self.history.append(Epoch(number, loss, rates[-1]))
            yield self.history[-1]

    def state(self) -> TrainingState:
        """Return a copy of the state after the last finished epoch."""
        names = [name for name, _ in self.model.named_parameters()]
        arrays = iter([tensor.cpu().numpy().copy() for tensor in self._kept])
        weights, first, second, steps = ({name: next(arrays) for name in names} for _ in range(4))
        return TrainingState(weights, first, second, steps, tuple(self.history))

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch, the last, smaller one among them."""
        return -(-len(self._images) // self.config.batch_size)

    def _run_epoch(self, number: int, rates: Sequence[float], should_stop: Callable[[], bool]) -> float | None:
        """Take one pass over the data; return the mean of the batch losses, or None if it was stopped."""
        batches = torch.split(self._shuffle(number), self.config.batch_size)
        noise = torch.Generator(self._images.device)
        noise.manual_seed(seeds.derive(self.config.seed, "noise", number))
        losses = torch.empty(len(batches), device=self._images.device)
        (group,) = self._optimizer.param_groups
        for k, (rows, rate) in enumerate(zip(batches, rates, strict=True)):
            if should_stop():
                return None
            group["lr"] = rate
            inputs, targets = self._load(rows, noise)
            losses[k] = self._step(inputs, targets)
            self._optimizer.step()
        return float(losses.double().mean())  # the only wait for the device in an epoch

    def _shuffle(self, number: int) -> Tensor:
        """Return the order (N,) of the images in an epoch. Drawn on the CPU: every device sees the same order."""
        generator = torch.Generator().manual_seed(seeds.derive(self.config.seed, "shuffle", number))
        return torch.randperm(len(self._images), generator=generator).to(self._images.device)

    def _load(self, rows: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return inputs and targets (B, 784) of these rows, scaled to [0, 1], in buffers that the next batch uses again."""
        taken, inputs, targets = (part[: len(rows)] for part in (self._batch_bytes, self._inputs, self._targets))
        torch.index_select(self._images, 0, rows, out=taken)
        torch.div(taken, 255, out=targets)
        level = self.config.noise
        if level:
            noisy = torch.rand(targets.shape, generator=noise, device=targets.device)
            inputs.copy_(noisy.mul_(2 * level).sub_(level).add_(targets).clamp_(0, 1))
            return inputs, targets
        if inputs.dtype == targets.dtype:
            return targets, targets
        return inputs.copy_(targets), targets

    def _live(self) -> list[Tensor]:
        """List weights, first moments, second moments and step counts, each in the parameters' order."""
        parameters = list(self.model.parameters())
        moments = [self._optimizer.state[p][key] for key in ("exp_avg", "exp_avg_sq", "step") for p in parameters]
        return [*parameters, *moments]

    @torch.no_grad()
    def _keep(self) -> None:
        for kept, live in zip(self._kept, self._live(), strict=True):
            kept.copy_(live)

    @torch.no_grad()
    def _is_finite(self) -> bool:
        """Whether the weights, and what they make of a few images, are finite: the losses came before the last update."""
        outputs = self.model.decode(codes := self.model.encode(self._targets[:16]))
        return all(bool(tensor.isfinite().all()) for tensor in (*self.model.parameters(), codes, outputs))


def _adam(model: Autoencoder, config: TrainConfig, state: TrainingState | None) -> torch.optim.Adam:
    """Return the configuration's optimizer, fused, at rest or as `state` left it."""
    kind = torch.optim.AdamW if config.optimizer is Optimizer.ADAMW else torch.optim.Adam
    optimizer = kind(
        model.parameters(),
        lr=config.learning_rate,
        betas=(0.9, config.beta2),
        weight_decay=config.weight_decay,
        fused=True,
    )
    for name, parameter in model.named_parameters():
        optimizer.state[parameter] = {
            "step": _tensor(state.steps[name], parameter) if state else parameter.new_zeros(()),
            "exp_avg": _tensor(state.first_moments[name], parameter) if state else torch.zeros_like(parameter),
            "exp_avg_sq": _tensor(state.second_moments[name], parameter) if state else torch.zeros_like(parameter),
        }
    return optimizer


def _tensor(array: Array, like: Tensor) -> Tensor:
    return torch.from_numpy(array.copy()).to(like.device)
