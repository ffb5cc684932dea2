"""Write the table of modules in docs/architecture.md from their docstrings; with --check, only report whether it is stale."""

import ast
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("architecture.md")
PACKAGE = PAGE.parents[1] / "src" / "mnistae"
HEADING = "## Modules\n"
LAYERS = ("core", "data", "model", "metrics", "tasks", "store", "outputs", "training", "api.py", "cli", "__main__.py")
"""The entries of the package, the lowest layer first, as in tests/test_floors.py."""


def table() -> str:
    """Return the table: one row per package and module, packages before their modules."""
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    return "\n| module | contents |\n|---|---|\n" + "".join(_row(path) for path in sorted(files, key=_position))


def _position(path: Path) -> tuple[int, str]:
    return LAYERS.index(path.parts[0]), path.as_posix().replace("__init__.py", "")


def _row(path: Path) -> str:
    text = ast.get_docstring(ast.parse((PACKAGE / path).read_text("utf-8"))) or ""
    summary = text.partition("\n")[0].partition(". ")[0].removesuffix(".")
    if path.name == "__init__.py":
        return f"| **`{path.parent.as_posix()}/`** | **{summary}** |\n"
    return f"| `{path.as_posix()}` | {summary} |\n"


def main() -> int:
    """Write or check the page; return the exit code."""
    old = PAGE.read_text("utf-8")
    new = old.partition(HEADING)[0] + HEADING + table()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(new, "utf-8")
    elif new != old:
        sys.stderr.write("docs/architecture.md is out of date: run 'make docs'\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
