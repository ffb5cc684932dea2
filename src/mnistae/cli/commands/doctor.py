"""`mnistae doctor`: information for bug reports."""

import importlib
import os
import platform
import sys
from importlib import metadata
from typing import Any

import mnistae
from mnistae.cli import inputs
from mnistae.cli.console import Reporter, format_table
from mnistae.core import environment, paths
from mnistae.core.errors import CheckpointError, DeviceError
from mnistae.data.sets import registry
from mnistae.model import device as devices
from mnistae.store import verification

MODULES = ("torch", "torchvision", "numpy", "scipy", "sklearn", "safetensors", "matplotlib", "PIL", "typer", "rich", "filelock")
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn"}
"""Packages whose names are not those of their modules."""


def doctor(*, reporter: Reporter) -> None:
    """Show versions, devices, paths, and the state of data sets and checkpoints."""
    devices.check_choice("auto")
    system = {"mnistae": mnistae.__version__, "python": platform.python_version(), "system": platform.platform()}
    states = {entry.name: inputs.dataset_state(entry) for entry in registry.DATASETS.values()}
    try:
        checkpoints = {name: reason or "ok" for name, reason in verification.verify_all().items()}
    except CheckpointError as error:  # worth reporting
        checkpoints = {"unreadable": error.message}
    found: dict[str, dict[str, Any]] = {
        "versions": {**system, "executable": sys.executable, **_versions()},
        "devices": {name: _device_state(name) for name in devices.AUTO_ORDER},
        "environment": {name: os.environ.get(name) for name in environment.VARIABLES},
        "paths": {
            "checkpoints": str(paths.checkpoints_dir()),
            "datasets": str(paths.datasets_dir()),
            "cache": str(paths.cache_dir()),
        },
        "datasets": {name: folder or state for name, (folder, state) in states.items()},
        "checkpoints": checkpoints,
    }
    lines: list[str] = []
    for section, rows in found.items():
        fields = [(f"  {key}", "-" if value is None else value) for key, value in rows.items()]
        lines += [section, *format_table(fields, has_headings=False)]
    reporter.result(lines, found)


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for module in MODULES:
        package = PACKAGES.get(module, module)
        try:
            found[package] = metadata.version(package)
            importlib.import_module(module)
        except metadata.PackageNotFoundError:
            found[package] = None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the import of a damaged installation raises
            found[package] = f"{found[package]}, cannot be imported: {type(error).__name__}: {error}"
    return found


def _device_state(name: str) -> str:
    try:
        return f"works: {devices.describe(devices.resolve(name))}"
    except DeviceError as error:
        return error.message.removeprefix(f"device '{name}' ").removeprefix("is ")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the import of a damaged installation raises
        return f"torch cannot be imported: {type(error).__name__}: {error}"
