"""One table with invocations of every command, for tests of what must hold for all of them, and the files they need."""

import functools
import glob
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnistae.cli.app import COMMANDS, load


@dataclass(frozen=True)
class Invocation:
    """A command line with placeholders in braces, and its exit code.

    `writes`: it changes the store. `prints_names`: its standard output is machine-readable and contains names unescaped.
    """

    text: str
    code: int = 0
    writes: bool = False
    prints_names: bool = False

    @property
    def command(self) -> str:
        """The command's whole name."""
        return next(name for name in COMMANDS if f"{self.text} ".startswith(f"{name} "))

    @property
    def needs_run(self) -> bool:
        """Whether it uses a run of the store."""
        return "{run}" in self.text

    def words(self, substitutions: Mapping[str, str], *extra: str) -> tuple[str, ...]:
        """Return the arguments with the placeholders filled in."""
        return (*(word.format_map(substitutions) for word in self.text.split()), *extra)


INVOCATIONS = (
    Invocation("train --dataset {data} -e 1 -b 256 --hidden 8 --name new --force", writes=True),
    Invocation("train --resume --name {run} -e 3", writes=True),
    Invocation("history {run}", prints_names=True),
    Invocation("history {run} {model}", prints_names=True),
    Invocation("history {model} -o {out}.svg", prints_names=True),
    Invocation("summary -z 8"),
    Invocation("summary -c {run}"),
    Invocation("summary -c {model}"),
    Invocation("reconstruct 1 {picture} -c {run} --dataset {data} -o {out}.png", prints_names=True),
    Invocation("reconstruct {picture} -c {model} --json"),
    Invocation("denoise {picture} -o {out}.png", prints_names=True),
    Invocation("denoise {folder} -c {run} --noise mask -o {out}.svg", prints_names=True),
    Invocation("interpolate 1 {picture} -c {run} --dataset {data} -o {out}.gif", prints_names=True),
    Invocation("traverse {picture} -c {run} -o {out}.npy", prints_names=True),
    Invocation("traverse 1 -c {model} --dataset {data} --unit 2 -o {out}.svg", prints_names=True),
    Invocation("report {run} --images 1 {picture} --dataset {data} -o {out}.html", prints_names=True),
    Invocation("map {run} --dataset {data} -o {out}.csv", prints_names=True),
    Invocation("map -c {model} --dataset {data} --method pca -f projector -o {out}.projector", prints_names=True),
    Invocation("encode {folder} 1 -c {run} --dataset {data}", prints_names=True),
    Invocation("encode {pattern} -c {model} -o {out}.csv", prints_names=True),
    Invocation("encode --split test -c {run} --dataset {data} -f npy", prints_names=True),
    Invocation("decode {codes} -c {run} -o {out}.png", prints_names=True),
    Invocation("decode {codes} -c {model} -o {out}.d/", prints_names=True),
    Invocation("decode {codes} -c {run} -f npy -o {out}.npy", prints_names=True),
    Invocation("evaluate -c {run} --dataset {data}"),
    Invocation("evaluate -c {model} --dataset {data} --extremes 3 --knn 3 -o {out}.png", prints_names=True),
    Invocation("evaluate {run} {model} --dataset {data} --denoising --extremes 2"),
    Invocation("evaluate {run} {model} --dataset {data} --denoising -f csv", prints_names=True),
    Invocation("doctor"),
    Invocation("checkpoints list"),
    Invocation("checkpoints show {run}"),
    Invocation("checkpoints path {model}", prints_names=True),
    Invocation("checkpoints import {model} --name new --force", writes=True, prints_names=True),
    Invocation("checkpoints export {run} -o {out}.npz", prints_names=True),
    Invocation("checkpoints export {model} --part encoder -f onnx -o {out}.bin", prints_names=True),
    Invocation("checkpoints verify {run}"),
    Invocation("checkpoints remove new", writes=True),
    Invocation("datasets list"),
    Invocation("datasets fetch mnist", code=4),
    Invocation("datasets verify {data}"),
    Invocation("datasets path mnist", code=4),
)
"""At least one invocation of every command. In this order they succeed repeatedly if the store has the run, offline."""

UNPRIVILEGED = tuple(invocation for invocation in INVOCATIONS if "onnx" not in invocation.text)
"""What another user can run too, who may not be able to read the interpreter's own files: onnx reads some of them late."""

OPTIONS = {
    "checkpoints export": ("--output", "other.npz"),
    "checkpoints import": ("--name", "other"),
    "traverse": ("--output", "other.png"),
}
ARGUMENTS = {
    "checkpoints import": ("other.pth",),
    "decode": ("other.jsonl",),
    "interpolate": ("1", "2"),
    "report": (),
    "report --images": ("1",),
}
"""What a command needs in addition to the value under test: options before it, and arguments after an option."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a command that takes a value: an option by its long name, or an argument, which has none."""

    command: str
    name: str
    option: str
    kind: type

    def words(self, value: str, *extra: str) -> tuple[str, ...]:
        """Return a command line with this value, and with extra options, in which everything else is valid."""
        others = OPTIONS.get(self.command, ())
        before = (*self.command.split(), *extra, *(() if self.option in others else others))
        if not self.option:
            return (*before, "--", value)
        takes_image = {"image", "images"} & inspect.signature(load(self.command)).parameters.keys()
        own = ARGUMENTS.get(self.command, ("1",) if takes_image else ())
        behind = ARGUMENTS.get(f"{self.command} {self.option}", own)
        return (*before, f"{self.option}={value}", *(behind if self.name != "every" else ()))

    @property
    def is_text(self) -> bool:
        """Whether it takes any text."""
        return self.kind in {str, Path}


@functools.cache
def parameters() -> list[Parameter]:
    """Return every parameter of every command that is not a switch."""
    found = []
    for command in COMMANDS:
        hints = typing.get_type_hints(load(command), include_extras=True)
        for name, hint in ((name, typing.get_args(hint)) for name, hint in hints.items() if name != "return"):
            if (kind := _kind(hint[0])) is not bool:
                found.append(Parameter(command, name, _option(name, hint[1]), kind))
    return found


def _kind(declared: Any) -> type:
    """Return the type of a value: the declared one, or the element type of a list or an optional."""
    inner = [one for one in typing.get_args(declared) if one is not type(None)]
    return _kind(inner[0]) if inner else declared


def _option(name: str, about: Any) -> str:
    """Return an option's long name; nothing for an argument."""
    if type(about).__name__ == "ArgumentInfo":
        return ""
    declared = [one for one in (about.default, *about.param_decls) if isinstance(one, str) and one.startswith("--")]
    return declared[0] if declared else f"--{name.replace('_', '-')}"


def create_fixtures(work: Path, name: str, digits: dict[str, np.ndarray], model: Path, here: str = "./") -> dict[str, str]:
    """Create data, images, a checkpoint and codes of this name in a folder; return the values of the table's placeholders.

    Their paths begin with `here`: the folder is the current one, or is named there.
    """
    from PIL import Image

    from tests.conftest import write_idx

    write_idx(work / name, {role: array[:60] for role, array in digits.items()})  # few: some commands read all of them
    (work / name / "album").mkdir(exist_ok=True)
    for path in (work / f"{name}.png", work / name / "album" / f"{name}.png", work / name / "album" / "plain.png"):
        Image.fromarray(digits["train_images"][3]).save(path)
    short = name[:240]  # a longer suffix has to fit as well
    (work / f"{short}.safetensors").write_bytes(model.read_bytes())
    (work / f"{short}.jsonl").write_text('{"code": [1, 0, 2, 0, 1, 0.5, 3, 0]}\n' * 2)
    return {
        "run": "tiny",
        "data": f"{here}{name}",
        "picture": f"{here}{name}.png",
        "folder": f"{here}{name}/album",
        "pattern": f"{glob.escape(f'{here}{name}/album')}/*.png",
        "model": f"{here}{short}.safetensors",
        "codes": f"{here}{short}.jsonl",
        "out": f"{here}made/{short}",
    }
