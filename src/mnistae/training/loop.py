"""The training loop: a generator of epoch records. It prints nothing and writes nothing."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistae.core import seeds
from mnistae.core.config import ModelConfig, Precision, TrainConfig
from mnistae.core.errors import DivergedError
from mnistae.core.records import EpochRecord, TrainingState
from mnistae.model.network import Autoencoder, initialise
from mnistae.training import schedules
from mnistae.training.adam import Adam
from mnistae.training.augment import random_affine
from mnistae.training.cuda_graph import CapturedStep
from mnistae.training.step import MAX_PIXEL, ManualBackprop, cast_into, views


class Trainer:
    """One run of a recipe over images that are kept on the training device as bytes.

    Iterate over `epochs()`. Between two records, and after the iteration has ended for any reason, `state()` is the state after
    the last finished epoch. The same arguments give the same numbers, whether or not the run was resumed in between.
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
        """Take training images (N, 784) of bytes, and the state to resume from."""
        self.config = config
        self.history = list(state.history) if state else []
        self.model = Autoencoder(model)
        initialise(self.model, seed=config.seed, bottleneck_bias=config.bottleneck_bias, output_bias=config.output_bias)
        self.model.to(device)
        self._images = torch.from_numpy(images).to(device)  # (N, 784) of bytes
        self.steps_per_epoch = -(-len(images) // config.batch_size)  # the last batch may be smaller
        rows = min(config.batch_size, len(images))
        self._bytes = self._images.new_empty(rows, images.shape[1])
        self._targets, self._noisy = (torch.empty_like(self._bytes, dtype=torch.float32) for _ in range(2))
        self._step = ManualBackprop(self.model, rows, torch.bfloat16 if config.precision is Precision.BF16 else torch.float32)
        self._inputs = torch.empty_like(self._bytes, dtype=self._step.dtype)
        self._adam = Adam(self._step.weights, self._step.gradient, config)
        self._generator = torch.Generator(device)
        self._train_step: Callable[[Tensor, float, float], Tensor] = self._step_once
        if device.type == "cuda":
            self._train_step = CapturedStep(self._step_once, self._generator)
        self._state_tensors = (self._step.weights, self._adam.first, self._adam.second, self._adam.steps)
        if state:
            self._restore(state)
        self._snapshot = [tensor.clone() for tensor in self._state_tensors]

    def epochs(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[EpochRecord]:
        """Train up to the configured number of epochs and yield a record after each.

        `should_stop` is called before each step; when it returns True the current epoch is discarded and the generator ends.
        Raises DivergedError when a loss or a weight is not finite; `state()` is then that of the previous epoch.
        """
        while len(self.history) < self.config.epochs:
            number = len(self.history) + 1
            losses = [epoch.loss for epoch in self.history]
            rates = schedules.learning_rates(self.config, losses, self.steps_per_epoch)
            loss = self._run_epoch(number, rates, should_stop)
            if loss is None:
                return
            if not math.isfinite(loss) or not self._is_finite():
                hint = f"lower --lr (now {self.config.learning_rate:g})"
                raise DivergedError(f"training diverged in epoch {number} (loss {loss})", hint=hint)
            for kept, live in zip(self._snapshot, self._state_tensors, strict=True):
                kept.copy_(live)
            self.history.append(EpochRecord(number, loss, rates[-1]))
            yield self.history[-1]

    def state(self) -> TrainingState:
        """Return a copy of the state after the last finished epoch."""
        *vectors, steps = (tensor.cpu().clone() for tensor in self._snapshot)
        weights, first, second = (
            {name: part.numpy() for name, part in views(vector, self.model).items()} for vector in vectors
        )
        return TrainingState(weights, first, second, dict.fromkeys(weights, steps.numpy()), tuple(self.history))

    def _restore(self, state: TrainingState) -> None:
        saved = (state.weights, state.first_moments, state.second_moments)
        for vector, arrays in zip(self._state_tensors[:3], saved, strict=True):
            for name, part in views(vector, self.model).items():
                part.copy_(torch.from_numpy(arrays[name]))
        self._adam.steps.copy_(torch.from_numpy(state.steps["fc1.weight"]))  # the same for all

    def _run_epoch(self, number: int, rates: Sequence[float], should_stop: Callable[[], bool]) -> float | None:
        """Run one pass over the data; return the mean of the batch losses, or None if it was stopped."""
        # drawn on the CPU, so that every device sees the same order
        generator = torch.Generator().manual_seed(seeds.derive(self.config.seed, "shuffle", number))
        order = torch.randperm(len(self._images), generator=generator).to(self._images.device)  # (N,)
        batches = torch.split(order, self.config.batch_size)
        strengths = schedules.augment_strengths(self.config, number - 1, len(batches))
        self._generator.manual_seed(seeds.derive(self.config.seed, "noise", number))
        losses = torch.empty(len(batches), dtype=torch.float32, device=self._images.device)
        for k, (rows, rate, strength) in enumerate(zip(batches, rates, strengths, strict=True)):
            if should_stop():
                return None
            losses[k] = self._train_step(rows, rate, strength)
        return float(losses.cpu().double().mean())  # the only synchronisation in an epoch; not all devices have float64

    def _step_once(self, rows: Tensor, rate: float | Tensor, strength: float | Tensor) -> Tensor:
        """Train on these rows with this learning rate and augmentation strength; return the batch's loss ()."""
        loss = self._step(*self._prepare_batch(rows, strength))
        self._adam.step(rate)
        return loss

    def _prepare_batch(self, rows: Tensor, strength: float | Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets (B, 784) of these rows, from 0 to 255, in buffers that the next batch reuses."""
        taken, targets, noisy, inputs = (b[: len(rows)] for b in (self._bytes, self._targets, self._noisy, self._inputs))
        torch.index_select(self._images, 0, rows, out=taken)
        targets.copy_(taken)
        if self.config.augment_std:
            targets.copy_(random_affine(targets, strength, self._generator))
        if self.config.noise:
            level = MAX_PIXEL * self.config.noise
            noisy.uniform_(-level, level, generator=self._generator).add_(targets).clamp_(0, MAX_PIXEL)
            return cast_into(inputs, noisy), targets
        return cast_into(inputs, targets), targets

    @torch.no_grad()
    def _is_finite(self) -> bool:
        """Whether the state and its outputs for a few images are finite; the losses precede the last update."""
        outputs = self.model.decode(codes := self.model.encode(self._targets[:16] / MAX_PIXEL))
        return bool(torch.stack([tensor.isfinite().all() for tensor in (*self._state_tensors, codes, outputs)]).all())
