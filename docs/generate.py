"""Write docs/cli.md, the table of modules in docs/architecture.md and the table of completion; --check only tests them.

docs/cli.md is generated from the commands, not from their help pages, whose layout changes with Typer's releases.
"""

import ast
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from mnistae.cli import app, completion
from mnistae.cli.app import COMMANDS, load
from mnistae.data.sets import registry
from mnistae.model import device

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "src" / "mnistae"
LAYERS = ("core", "data", "model", "metrics", "tasks", "store", "outputs", "training", "api.py", "cli", "__main__.py")
"""The entries of the package, the lowest layer first, as in tests/test_floors.py."""

GROUP_NAMES: dict[str, list[str] | str] = {"checkpoints": completion.CHECKPOINTS, "datasets": list(registry.NAMES)}
"""What the argument NAME of the commands of a group is."""

HEAD = """# The command line

Every command has `-h`/`--help`, `-q`/`--quiet` and `--json`; `mnistae --version` prints the version. This page is generated
by `docs/generate.py`.
"""


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command."""

    info: ArgumentInfo | OptionInfo
    kind: type
    default: Any
    is_list: bool

    @property
    def word(self) -> str:
        """The argument in the usage line."""
        text = f"{self.info.metavar}..." if self.is_list else str(self.info.metavar)
        return text if self.default is inspect.Parameter.empty else f"[{text}]"

    @property
    def names(self) -> str:
        """The argument, or the option with its value, in the table."""
        if isinstance(self.info, ArgumentInfo):
            return f"`{_in_table(self.word)}`"
        value = "" if self.kind is bool else f" `{_in_table(self.info.metavar or self._kind_name())}`"
        return ", ".join(f"`{flag}`" for flag in self.flags) + value

    @property
    def flags(self) -> list[str]:
        """The option's long and short name; Typer keeps the first one in `default`."""
        return [str(flag) for flag in (self.info.default, *(self.info.param_decls or ())) if str(flag).startswith("-")]

    @property
    def about(self) -> str:
        """The help with default and environment variable."""
        has_default = self.default not in {None, False, inspect.Parameter.empty}
        default = " ".join(self.default) if isinstance(self.default, tuple) else getattr(self.default, "value", self.default)
        facts = [f"default `{default}`"] if has_default else []
        facts += [f"environment `{self.info.envvar}`"] if self.info.envvar else []
        return f"{self.info.help} ({', '.join(facts)})" if facts else str(self.info.help)

    def _kind_name(self) -> str:
        if issubclass(self.kind, Enum):
            return "|".join(str(member.value) for member in self.kind)
        return {int: "INTEGER", float: "NUMBER"}.get(self.kind, "TEXT")


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


def document() -> str:
    """Return the page: a section for each command, in the order of the help."""
    return HEAD + "".join(_section(name) for name in COMMANDS)


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Return a command's arguments, then its options, in the order of its signature."""
    defaults = inspect.signature(function).parameters
    found = []
    for name, hint in get_type_hints(function, include_extras=True).items():
        if name != "return":
            kind, info = get_args(hint)[:2]
            plain = next((part for part in get_args(kind) if part is not type(None)), kind)
            is_list = "list[" in str(kind)
            found.append(Parameter(info, plain if isinstance(plain, type) else str, defaults[name].default, is_list))
    return sorted(found, key=lambda parameter: isinstance(parameter.info, OptionInfo))


def _section(name: str) -> str:
    function = load(name)
    own = [parameter for parameter in parameters(function) if not {"--quiet", "--json"} & set(parameter.flags)]
    arguments = [parameter.word for parameter in own if isinstance(parameter.info, ArgumentInfo)]
    usage = " ".join(("mnistae", name, "[OPTIONS]", *arguments))
    rows = "\n".join(f"| {parameter.names} | {parameter.about} |" for parameter in own)
    table = f"| | |\n|---|---|\n{rows}\n\n" if own else ""
    examples = "\n".join(COMMANDS[name][1:])
    text = inspect.cleandoc(function.__doc__ or "")
    return f"\n## `mnistae {name}`\n\n`{usage}`\n\n{text}\n\n{table}```sh\n{examples}\n```\n"


def table() -> str:
    """Return the table of completion: a line for each command."""
    entries = {"": (str(app._root.__doc__), app._root)} | {name: (about, None) for name, about in app.GROUPS.items()}
    entries |= {name: (str(load(name).__doc__), load(name)) for name in COMMANDS}
    lines = []
    for name, (about, function) in entries.items():
        rows: dict[str, list[Any]] = {"--help": ["Show this message and exit.", None]}
        for parameter in parameters(function) if function else []:
            keys = parameter.flags if isinstance(parameter.info, OptionInfo) else [""]
            rows |= {key: [str(parameter.info.help), values(name, parameter)] for key in keys}
        lines.append(f"{json.dumps(name)}: {json.dumps([about.partition(chr(10))[0], rows])}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def values(command: str, parameter: Parameter) -> list[str] | str | None:
    """Return what completion offers for a parameter: None for a flag, an empty list for free text and files."""
    if parameter.kind is bool:
        return None
    if issubclass(parameter.kind, Enum):
        return [str(member.value) for member in parameter.kind]
    name = parameter.flags[0] if isinstance(parameter.info, OptionInfo) else str(parameter.info.metavar)
    group = command.partition(" ")[0]
    if name in {"--checkpoint", "RUN", "CHECKPOINT"} or (group, name) == ("train", "--name"):
        return completion.CHECKPOINTS
    if "NAME" in name and group in GROUP_NAMES:
        return GROUP_NAMES[group]
    return {"--dataset": list(registry.NAMES), "--device": ["auto", *device.AUTO_ORDER]}.get(name, [])


def modules() -> str:
    """Return the table of modules: one row per package and module, packages before their modules."""
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    files.sort(key=lambda path: (LAYERS.index(path.parts[0]), path.as_posix().replace("__init__.py", "")))
    lines = ["| module | contents |", "|---|---|"]
    for path in files:
        text = ast.get_docstring(ast.parse((PACKAGE / path).read_text("utf-8"))) or ""
        summary = text.partition("\n")[0].partition(". ")[0].removesuffix(".")
        is_package = path.name == "__init__.py"
        lines.append(
            f"| **`{path.parent.as_posix()}/`** | **{summary}** |" if is_package else f"| `{path.as_posix()}` | {summary} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check the files; return the exit code."""
    architecture = DOCS / "architecture.md"
    above, heading, _ = architecture.read_text("utf-8").partition("## Modules\n\n")
    pages = {DOCS / "cli.md": document(), completion.TABLE: table(), architecture: above + heading + modules()}
    if "--check" not in sys.argv[1:]:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    sys.stderr.write("".join(f"{name} is out of date: run 'make docs'\n" for name in stale))
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
