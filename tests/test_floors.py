"""Imports go down the floors, and the shell starts without the heavy modules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mnistae

ROOT = Path(mnistae.__file__).parent
ROOMS = (
    "core",
    "core.files",
    "data.images",
    "data.sets",
    "data",
    "model",
    "metrics",
    "tasks",
    "store",
    "outputs.terminal",
    "outputs",
    "outputs.page",
    "training",
    "api",
    "cli",
    "cli.views",
    "cli.commands",
    "__main__",
)
"""The packages, the lowest first: each imports from itself and from those before it. `cli` holds the registry of commands."""

HEAVY = ("torch", "torchvision", "matplotlib")
FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def module_of(path: Path) -> str:
    """Return a file's module name below the package: `data.sets.idx`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_of(path) for path in FILES}


def room_of(module: str) -> str:
    """Return the package that a module lies in, or the module itself if it lies in the root."""
    return module.rpartition(".")[0] or module


def imported(path: Path) -> set[str]:
    """Return the modules of the package that a file names in its imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not getattr(node, "level", 0), "a relative import"
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "mnistae":
            base = (node.module or "").partition(".")[2]
            names = [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
            found |= {name if name in MODULES else base for name in names}
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("mnistae.")}
    return found - {""}


def test_every_package_is_a_room() -> None:
    """The list above is complete, has no room too many, and stays short: thirteen rooms besides the doors."""
    assert {room_of(module) for module in MODULES} == set(ROOMS)
    doors = {"api", "__main__", "cli", "cli.views", "cli.commands"}
    assert len(set(ROOMS) - doors) <= 13
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "api.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    """A file imports from its own room or from those below: no arrow goes up, so there is no circle between rooms."""
    own = ROOMS.index(room_of(module_of(path)))
    too_high = {name for name in imported(path) if ROOMS.index(room_of(name)) > own}
    assert not too_high


def test_no_circle_within_a_room() -> None:
    """The modules of a room have an order, too."""
    left = {module_of(path): imported(path) for path in FILES}
    while free := [module for module, needs in left.items() if not needs & left.keys() - {module}]:
        for module in free:
            del left[module]
    assert not left


def test_no_command_imports_a_command() -> None:
    """What two commands share has a place of its own."""
    commands = [path for path in FILES if room_of(module_of(path)) == "cli.commands"]
    assert commands
    assert not {
        module_of(path): names for path in commands if (names := {n for n in imported(path) if room_of(n) == "cli.commands"})
    }


BELOW = [path for path in FILES if "cli" not in path.relative_to(ROOT).parts and path.name != "__main__.py"]


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_shell_prints_and_exits(path: Path) -> None:
    """Below the shell nothing prints, exits or knows typer and rich."""
    tree = ast.parse(path.read_text())
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    assert not called & {"print", "exit", "quit"}
    assert not used & {"sys.exit", "os._exit", "sys.stdout", "sys.stderr", "SystemExit"}
    assert not {module.partition(".")[0] for module in modules} & {"typer", "rich", "click"}


LIGHT = {
    "--help": 0,
    "--version": 0,
    "train --help": 0,
    "checkpoints list": 0,
    "datasets list": 0,
    "datasets path": 4,
    "summary": 0,
    "trian": 2,
    "train --epochs x": 2,
    "train --epochs 0": 2,
    "train --device tpu": 2,
    "reconstruct 1e3": 2,
    "reconstruct 1": 4,
    "interpolate 1 2 --steps 0": 2,
}
"""Commands with their exit codes, in an empty home without a network."""

LISTS = {"--help": 0, "--version": 0, "checkpoints --help": 0, "trian": 2}
"""Commands that import no module of a command."""

PROGRAM = """
import sys
from mnistae.__main__ import main
for words in {words!r}:
    sys.argv = ["mnistae", *words.split()]
    try:
        main()
    except SystemExit as ending:
        code = int(ending.code or 0)
    loaded = [name for name in sys.modules if name.startswith({unwanted!r})]
    print("verdict", words, code, loaded, sep="|", file=sys.stderr)
"""


@pytest.mark.parametrize(("commands", "unwanted"), [(LIGHT, HEAVY), (LISTS, ("numpy", "mnistae.cli.commands"))])
def test_shell_answers_without_heavy_modules(commands: dict[str, int], unwanted: tuple[str, ...]) -> None:
    """Help, lists and every usage error come without importing torch, torchvision or matplotlib.

    A command's module is imported when the command is called: before that not even NumPy is.
    """
    command = [sys.executable, "-c", PROGRAM.format(words=[*commands], unwanted=tuple(unwanted))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    verdicts = [line for line in done.stderr.splitlines() if line.startswith("verdict|")]
    assert verdicts == [f"verdict|{words}|{code}|[]" for words, code in commands.items()]
