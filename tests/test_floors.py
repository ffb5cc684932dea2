"""Imports go down the floors, and the shell starts without the heavy modules."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import mnistae
from mnistae.store.export import FORMATS

ROOT = Path(mnistae.__file__).parent
ROOMS = (
    *("core", "core.files", "data.images", "data.sets", "data", "model", "metrics", "tasks", "store"),
    *("outputs.terminal", "outputs", "outputs.page", "training", "api", "cli", "cli.views", "cli.commands", "__main__"),
)
"""The packages, the lowest first: each imports from itself and from those before it. `cli` holds the registry of commands."""

HEAVY = ("torch", "torchvision", "matplotlib")


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """The syntax trees of the modules, by their names below the package: `data.sets.idx`."""
    files = [path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py"]
    return {".".join(file.with_suffix("").parts): ast.parse((ROOT / file).read_text()) for file in files}


@pytest.fixture(scope="module")
def imports(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """The modules of the package that each module names in its imports, anywhere in it."""
    found: dict[str, set[str]] = {module: set() for module in trees}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            assert not getattr(node, "level", 0), f"a relative import in {module}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "mnistae":
                base = (node.module or "").partition(".")[2]
                names = [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
                found[module] |= {name if name in trees else base for name in names} - {""}
            if isinstance(node, ast.Import):
                found[module] |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("mnistae.")}
    return found


def room_of(module: str) -> str:
    """Return the package that a module lies in, or the module itself if it lies in the root."""
    return module.rpartition(".")[0] or module


def test_every_package_is_a_room(trees: dict[str, ast.Module]) -> None:
    """The list above is complete, has no room too many, and stays short: thirteen rooms besides the doors."""
    assert {room_of(module) for module in trees} == set(ROOMS)
    assert len(set(ROOMS) - {"api", "__main__", "cli", "cli.views", "cli.commands"}) <= 13
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "api.py"}


def test_imports_go_down(imports: dict[str, set[str]]) -> None:
    """A file imports from its own room or from those below, so there is no circle between rooms; no command from another."""
    for module, names in imports.items():
        own = ROOMS.index(room_of(module))
        allowed = ROOMS[: own if room_of(module) == "cli.commands" else own + 1]
        assert not {name for name in names if room_of(name) not in allowed}, module


def test_no_circle_within_a_room(imports: dict[str, set[str]]) -> None:
    """The modules of a room have an order, too."""
    left = dict(imports)
    while free := [module for module, needs in left.items() if not needs & left.keys() - {module}]:
        for module in free:
            del left[module]
    assert not left


def test_only_the_shell_prints_and_exits(trees: dict[str, ast.Module]) -> None:
    """Below the shell nothing prints, exits or knows typer and rich."""
    for module, tree in trees.items():
        nodes = [] if module.partition(".")[0] in {"cli", "__main__"} else list(ast.walk(tree))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {
            f"{node.value.id}.{node.attr}"
            for node in nodes
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        known = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        known |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        forbidden = {"print", "exit", "quit", "SystemExit", "sys.exit", "os._exit", "sys.stdout", "sys.stderr"}
        assert not names & forbidden, module
        assert not {name.partition(".")[0] for name in known} & {"typer", "rich", "click"}, module


HAS_ONNX = bool(find_spec("onnx") and find_spec("onnxruntime"))
EXPORTS = [f"checkpoints export -o x.{kind}" for kind in FORMATS if kind != "onnx" or HAS_ONNX]
USAGE = ("train --epochs x", "train --epochs 0", "train --device tpu", "reconstruct 1e3", "interpolate 1 2 --steps 0")
LIGHT = {
    **dict.fromkeys(("train --help", "checkpoints list", "datasets list", "summary", *EXPORTS), 0),
    **dict.fromkeys(USAGE, 2),
    **dict.fromkeys(("datasets path", "reconstruct 1"), 4),
}
"""Commands with their exit codes, in an empty home without a network."""

LISTS = {"--help": 0, "--version": 0, "checkpoints --help": 0, "trian": 2}
"""Commands that import no module of a command, nor NumPy."""

PROGRAM = """
import sys
from mnistae.__main__ import main
for words, unwanted in {questions!r}:
    sys.argv = ["mnistae", *words.split()]
    try:
        main()
    except SystemExit as ending:
        code = int(ending.code or 0)
    loaded = [name for name in sys.modules if name.startswith(unwanted)]
    print("verdict", words, code, loaded, sep="|", file=sys.stderr)
"""


def test_shell_answers_without_heavy_modules() -> None:
    """Help, lists, exports and every usage error come without importing torch, torchvision or matplotlib.

    A command's module is imported when the command is called: before that not even NumPy is.
    """
    questions = [(words, (*HEAVY, "numpy", "mnistae.cli.commands")) for words in LISTS] + [(words, HEAVY) for words in LIGHT]
    command = [sys.executable, "-c", PROGRAM.format(questions=questions)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    verdicts = [line for line in done.stderr.splitlines() if line.startswith("verdict|")]
    assert verdicts == [f"verdict|{words}|{code}|[]" for words, code in (*LISTS.items(), *LIGHT.items())]
