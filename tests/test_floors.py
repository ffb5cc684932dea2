"""Imports go down the floors, and the shell starts without the heavy modules."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mnistae

ROOT = Path(mnistae.__file__).parent
FLOORS = {
    0: {"errors", "text", "seeds", "paths", "config", "atomic", "bounded", "npy", "records"},
    1: {"model", "coder", "device", "noise", "metrics", "neighbours", "layers", "pictures", "terminal"},
    2: {"api", "codes", "datasets", "store", "training", "figures", "inference", "gains", "evaluation"},
    3: {"cli", "__main__"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
HEAVY = ("torch", "torchvision", "matplotlib")
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imported(path: Path) -> set[str]:
    """Return the modules of the package that a file names in its imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not getattr(node, "level", 0), "a relative import"
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "mnistae":
            module = (node.module or "").partition(".")[2]
            found |= {module} if module else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("mnistae.")}
    return {name.partition(".")[0] for name in found if name} - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    """A file imports from its own floor or from those below."""
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    too_high = {name for name in imported(path) if FLOOR_OF[name] > FLOOR_OF[room]}
    assert not too_high


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
    ("--help",): 0,
    ("--version",): 0,
    ("train", "--help"): 0,
    ("checkpoints", "list"): 0,
    ("datasets", "list"): 0,
    ("datasets", "path"): 4,
    ("summary",): 0,
    ("trian",): 2,
    ("train", "--epochs", "x"): 2,
    ("train", "--epochs", "0"): 2,
    ("train", "--device", "tpu"): 2,
    ("reconstruct", "1e3"): 2,
    ("reconstruct", "1"): 4,
    ("interpolate", "1", "2", "--steps", "0"): 2,
}
"""Commands with their exit codes, in an empty home without a network."""

PROGRAM = """
import sys
sys.argv = ["mnistae", *{words!r}]
from mnistae.__main__ import main
try:
    main()
except SystemExit as ending:
    code = int(ending.code or 0)
loaded = [name for name in sys.modules if name in {unwanted!r} or name.startswith({prefix!r})]
print(code, loaded, file=sys.stderr)
"""


def outcome(words: tuple[str, ...], unwanted: tuple[str, ...], prefix: str = "none", **variables: str) -> tuple[str, str]:
    """Return what a command in a process of its own prints, and its exit code with the unwanted modules it has loaded."""
    command = [sys.executable, "-c", PROGRAM.format(words=words, unwanted=unwanted, prefix=prefix)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60, env={**os.environ, **variables})
    return done.stdout.decode(), done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_shell_answers_without_heavy_modules(words: tuple[str, ...]) -> None:
    """Help, lists and every usage error come without importing torch, torchvision or matplotlib."""
    assert outcome(words, HEAVY)[1] == f"{LIGHT[words]} []"


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("checkpoints", "--help"), ("trian",)], ids=" ".join)
def test_lists_of_commands_come_without_numpy(words: tuple[str, ...]) -> None:
    """A command's module is imported when the command is called: before that not even NumPy is."""
    assert outcome(words, ("numpy",), "mnistae.cli.commands")[1] == f"{2 if words == ('trian',) else 0} []"


@pytest.mark.parametrize("line", ["mnistae en", "mnistae encode --fo"])
def test_completion_answers_without_heavy_modules(line: str) -> None:
    """A press of Tab costs no import of torch."""
    asked = {"_MNISTAE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    out, verdict = outcome((), HEAVY, **asked)
    assert out.split()[0] in {"encode", "--format"}
    assert verdict == "0 []"
