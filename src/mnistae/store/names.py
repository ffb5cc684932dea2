"""Names of runs: valid on every file system, and never a path out of the store."""

import hashlib
import re

from mnistae.core.config import RECIPES, ModelConfig, Schedule, TrainConfig
from mnistae.core.errors import UsageError

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.ASCII | re.IGNORECASE)


def is_valid(name: str) -> bool:
    """Whether `name` is valid for a run: ASCII, no separator, no device name of Windows, no .safetensors suffix."""
    return bool(_VALID.fullmatch(name)) and not name.endswith((".", ".safetensors")) and not _RESERVED.fullmatch(name)


def check(name: str) -> str:
    """Return `name` if it is valid; invalid names are rejected, never altered. Raises UsageError."""
    if not is_valid(name):
        hint = "use up to 64 letters, digits, dots, dashes and underscores; start with a letter or digit"
        if _RESERVED.fullmatch(name):
            hint = "Windows reserves this name: choose another"
        elif _VALID.fullmatch(name):
            hint = "do not end it in a dot or in .safetensors"
        raise UsageError(f"invalid run name: '{name}'", hint=hint)
    return name


def default(model: ModelConfig, config: TrainConfig, *, dataset: str) -> str:
    """Return the name derived from a run's settings: recipe, data set, what differs from the recipe, and the seed.

    The number of epochs is omitted if a longer run is the same run continued.
    """
    sizes, usual = ModelConfig(), RECIPES[config.recipe]
    settings = {
        "h": (model.hidden, sizes.hidden),
        "z": (model.bottleneck, sizes.bottleneck),
        "b": (config.batch_size, usual.batch_size),
        "lr": (config.learning_rate, usual.learning_rate),
        "wd": (config.weight_decay, usual.weight_decay),
        "": (config.precision, usual.precision),
        "e": (config.epochs, usual.epochs if config.schedule is Schedule.LINEAR else config.epochs),
    }
    changed = [f"{mark}{value}" for mark, (value, standard) in settings.items() if value != standard]
    changed = [part.removesuffix(".0").replace("+", "") for part in changed]
    name = "-".join([config.recipe, dataset, *changed, f"seed{config.seed}"])
    if is_valid(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '', name)[:55]}-{digest}"  # the data set may be a folder of any name
