"""Time of each phase of a training command: `python phases.py [DEVICE] [RECIPE] [SEED]` prints JSON.

The real MNIST and the parts of `mnistae train` in their order, in this process: importing torch, proving the device, reading
the data, setting up, the first epoch (on CUDA it captures the step), the others, and the end with its files. `loop` is the
seconds of all epochs. The device is waited for after each part.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable


def main() -> None:
    """Train, and measure each phase."""
    device, recipe, seed = [*sys.argv[1:], *("auto", "lab", "0")[len(sys.argv) - 1 :]]
    seconds: dict[str, float] = {}
    last = time.perf_counter()

    def passed(part: str) -> None:
        nonlocal last
        seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - last
        last = time.perf_counter()

    import torch

    passed("import torch")
    from mnistae.core import config as configs
    from mnistae.core.config import ModelConfig
    from mnistae.data.sets import resolve
    from mnistae.model import device as devices
    from mnistae.training.run import Run, RunSpec, prepare_device

    passed("import mnistae")
    config = dataclasses.replace(configs.recipe(recipe), seed=int(seed))
    used = prepare_device(device, config.precision)
    wait: Callable[[], object] = torch.cuda.synchronize if used.type == "cuda" else lambda: None
    passed("device")
    with tempfile.TemporaryDirectory() as home:
        data = resolve.open_dataset("mnist")
        data.digest  # noqa: B018  (read and hashed here)
        passed("data")
        os.environ["MNISTAE_HOME"] = home
        session = Run(RunSpec("phases", ModelConfig(), config, data, used))
        wait()
        passed("setup")
        for epoch in session.epochs():
            wait()
            passed("first epoch" if epoch.number == 1 else "other epochs")
        passed("end")
    loop = seconds["first epoch"] + seconds.get("other epochs", 0.0)
    found = {"device": devices.describe(used), "recipe": recipe, "seed": int(seed), "loss": epoch.loss}
    print(json.dumps({**found, "loop": loop, "whole": sum(seconds.values()), "seconds": seconds}))


if __name__ == "__main__":
    main()
