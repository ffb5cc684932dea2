"""Completion in bash, zsh and fish, answered from a table of the commands: Tab imports neither NumPy nor Typer.

The scripts and the variables by which they ask are Typer's.
"""

import contextlib
import json
import os
import pkgutil
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnistae.core.errors import MnistaeError, OutputError

TABLE = Path(__file__).with_name("completion.json")
"""By command, "" for the program: its summary, and the help and the values of each parameter, "" for its arguments.

The values are null for a flag, and CHECKPOINTS for the names in the store. docs/generate.py writes the file.
"""

CHECKPOINTS = "checkpoints"

FORMATS: dict[str, Callable[[str, str], str]] = {
    "bash": lambda value, _about: value,
    "fish": lambda value, about: f"{value}\t{about}",
    "zsh": lambda value, about: shlex.quote(value.replace(":", "\\:") + f":{about}" * bool(about)),
}

ZSH_FIRST_TAB = '[[ $zsh_eval_context[-1] == loadautofunc ]] && _mnistae_completion "$@"\n'
"""What Typer's script lacks: zsh reads it when Tab is pressed for the first time, and expects an answer."""


def answer(shell: str) -> int:
    """Print the candidates for the word at the cursor, as the shell's script wants them; return the exit code."""
    words, cut = _words_in_bash() if shell == "bash" else (_words(), 0)
    found = candidates(words[1:-1], words[-1])
    if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    lines = [FORMATS[shell](value[cut:], about) for value, about in found.items()]
    if shell == "zsh":  # evaluated by zsh
        lines = ["local -a found; found=(", *lines, "); _describe mnistae found"] if lines else ["_files"]
    with contextlib.suppress(OSError):
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def table() -> dict[str, Any]:
    """Return the contents of TABLE."""
    found: dict[str, Any] = json.loads(pkgutil.get_data("mnistae.cli", TABLE.name) or b"")  # from a zip archive too
    return found


def candidates(words: list[str], word: str) -> dict[str, str]:
    """Return what can continue `word` after these words, with its help; nothing where a file or free text is expected."""
    commands = table()
    depth = max(count for count in range(3) if " ".join(words[:count]) in commands)
    parameters = commands[" ".join(words[:depth])][1]
    option, equals, value = word.partition("=")
    before, start = (option, f"{option}=") if equals and option in parameters else (["", *words[depth:]][-1], "")
    word = (value if start else word).lstrip("\"'")
    asked = before if parameters.get(before, ["", None])[1] is not None else ""
    if word.startswith("-") and not asked and "--" not in words:  # after which there are only arguments
        found = {option: about for option, (about, _) in parameters.items() if option and option not in words}
    elif asked in parameters:
        values = parameters[asked][1]
        found = dict.fromkeys(_checkpoints() if values == CHECKPOINTS else values, "")
    else:
        below = {tuple(name.split()): about for name, (about, _) in commands.items()}
        found = {name[-1]: about for name, about in below.items() if name and [*name[:-1]] == words}
    return {start + value: about for value, about in found.items() if value.startswith(word)}


def _checkpoints() -> list[str]:
    """Return the names in the store, of runs that may be unreadable, too, and of the built-in checkpoints."""
    from mnistae.core import paths
    from mnistae.store import builtin, names

    found = set(builtin.NAMES)
    with contextlib.suppress(OSError, MnistaeError), os.scandir(paths.checkpoints_dir()) as entries:
        found |= {entry.name for entry in entries if names.is_valid(entry.name) and entry.is_dir()}
    return sorted(found)


def _words() -> list[str]:
    """Return the words up to the cursor, in zsh and fish."""
    text = os.environ["_TYPER_COMPLETE_ARGS"]
    return _split(text) + [""] * text.endswith(" ")


def _words_in_bash() -> tuple[list[str], int]:
    """Return the words up to the cursor, and how many characters of the last one bash takes for other words."""
    at = int(os.environ["COMP_CWORD"])
    given = [*_split(os.environ["COMP_WORDS"]), *[""] * at][: at + 1]
    words = re.sub(r"\n([:=]+)(?:\n|$)", r"\1", "\n".join(given)).split("\n")  # bash splits --format=png and 0:1
    cut = len(words[-1].removesuffix(given[-1].strip(":="))) if words[-1] != given[-1] else 0
    return words, cut


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark that is still open
        return text.split()


def detect() -> str:
    """Return the name of the shell that has started the program. Raises OutputError for one without completion."""
    import shellingham

    shell = "unknown"
    with contextlib.suppress(shellingham.ShellDetectionFailure):
        shell = shellingham.detect_shell()[0]
    if shell not in FORMATS:
        raise OutputError(f"no completion for the shell '{shell}'", hint="start bash, zsh or fish, and run it there")
    return shell


def script(shell: str) -> str:
    """Return what defines completion in a shell."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # its own import is no export

    text = get_completion_script(prog_name="mnistae", complete_var="_MNISTAE_COMPLETE", shell=shell)
    return f"{text}\n{ZSH_FIRST_TAB if shell == 'zsh' else ''}"


def install(shell: str) -> Path:
    """Write the script, and add a line to the user's start-up file, which is never rewritten. Raises OutputError."""
    from mnistae.core.files import atomic

    config, home = (os.environ.get(name) or default for name, default in (("XDG_CONFIG_HOME", "~/.config"), ("ZDOTDIR", "~")))
    target, startup, line = {
        "bash": ("~/.bash_completions/mnistae.sh", "~/.bashrc", "source ~/.bash_completions/mnistae.sh"),
        "zsh": ("~/.zfunc/_mnistae", f"{home}/.zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
        "fish": (f"{config}/fish/completions/mnistae.fish", os.devnull, ""),
    }[shell]
    path = Path(target).expanduser()
    hint = f'add this line to a file that {shell} reads when it starts: eval "$(mnistae --show-completion)"'
    try:
        atomic.write_text(path, script(shell))
        with Path(startup).expanduser().open("a+", encoding="utf-8", errors="replace") as file:
            file.seek(0)
            if line not in file.read():
                file.write(f"\n{line}\n")
    except OutputError as error:
        raise OutputError(error.message, hint=hint) from error
    except OSError as error:
        raise OutputError(f"cannot write '{error.filename}': {error.strerror}", hint=hint) from error
    return path
