"""The package's environment variables, as shells, containers and job schedulers pass them."""

import difflib
import os

from mnistae.core.errors import UsageError

PREFIX = "MNISTAE_"

VARIABLES = [f"{PREFIX}{word}" for word in ("HOME", "DATA_DIR", "CHECKPOINT", "DEVICE", "OFFLINE", "MIRROR", "DEBUG")]

SWITCHES = (f"{PREFIX}OFFLINE", f"{PREFIX}DEBUG")
"""Those whose values say yes or no."""

UNRELATED = ("HOSTNAME", "HOMEPAGE", "LINE")
"""Words of other programs that look like ours."""

OFF = {"", "0", "false", "no", "off"}


def variable(name: str) -> str | None:
    """Return a variable's value without spaces around it and with a leading ~ expanded, or None if it is unset or empty.

    Raises UsageError for quotes at its ends and for control characters, which no shell has removed:
    `docker --env-file` keeps quotes, and a file with Windows line ends leaves a carriage return.
    """
    value = os.environ.get(name, "").strip(" ")
    if not value:
        return None
    if value[0] in "\"'" or value[-1] in "\"'" or any(ch < " " or ch == "\x7f" for ch in value):
        raise UsageError(f"invalid {name}: {value!a}", hint="remove the quotes or control characters")
    expanded = expand(value)
    if expanded.startswith("~"):
        user = value[1:].partition("/")[0]
        reason = f"there is no user '{user}'" if user else "the home directory is unknown"
        raise UsageError(f"invalid {name}: '{value}': {reason}", hint="give the full path")
    return expanded


def expand(path: str) -> str:
    """Return a path with a leading ~ expanded, or as it is where the home directory is unknown."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path's raises without a home


def misspelt() -> dict[str, str]:
    """Return the names of variables that look like one of ours misspelt, each with that one."""
    others = {name.removeprefix(PREFIX): name for name in os.environ.keys() - VARIABLES if name.startswith(PREFIX)}
    known = [name.removeprefix(PREFIX) for name in VARIABLES]
    words = [*known, *UNRELATED]
    close = {name: difflib.get_close_matches(word, words, n=1, cutoff=0.66) for word, name in sorted(others.items())}
    return {name: PREFIX + found[0] for name, found in close.items() if found and found[0] in known}


def blame(message: str, arguments: list[str]) -> str:
    """Return the name of the variable whose value a message is about, or '' if it was given as an argument, or is none's."""
    for name in VARIABLES:
        value = os.environ.get(name)
        if name not in SWITCHES and value and f"'{value}'" in message and name not in message:
            return "" if any(value in word for word in arguments) else name
    return ""
