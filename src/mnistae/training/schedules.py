"""Learning rate and augmentation strength as functions of the epoch and the losses so far: no scheduler state to save."""

from collections.abc import Sequence

from mnistae.core.config import Schedule, TrainConfig


def learning_rates(config: TrainConfig, losses: Sequence[float], steps: int) -> list[float]:
    """Return the learning rate of each of the `steps` steps of the epoch that follows epochs with these losses.

    The linear schedule rises to the peak rate during the warm-up and decays to almost 0 at the last step of the run.
    """
    if config.schedule is Schedule.PLATEAU:
        return [plateau(config.learning_rate, losses)] * steps
    first, total = len(losses) * steps, config.epochs * steps
    multipliers = [
        (step + 1) / (config.warmup + 1) if step < config.warmup else (total - step) / max(1, total - config.warmup)
        for step in range(first, first + steps)
    ]
    return [config.learning_rate * multiplier for multiplier in multipliers]


def augment_strengths(config: TrainConfig, finished: int, steps: int) -> list[float]:
    """Return the augmentation strength in each of the `steps` steps of the epoch that follows `finished` epochs.

    It is constant for the first half of the run and then decays linearly to almost 0 at the last step, so that training ends
    on unchanged images.
    """
    first, total = finished * steps, config.epochs * steps
    return [config.augment_std * min(1, 2 * (total - step) / total) for step in range(first, first + steps)]


def plateau(initial: float, losses: Sequence[float]) -> float:
    """Return the rate of PyTorch's `ReduceLROnPlateau('min')` with its defaults, stepped once with each loss.

    After more than 10 epochs without a loss below 0.9999 times the best, the rate is divided by ten, unless it would change
    by less than 1e-8.
    """
    rate, best, bad_epochs = initial, float("inf"), 0
    for loss in losses:
        if loss < best * (1 - 1e-4):
            best, bad_epochs = loss, 0
        else:
            bad_epochs += 1
        if bad_epochs > 10:
            bad_epochs = 0
            lower = rate * 0.1
            rate = lower if rate - lower > 1e-8 else rate
    return rate
