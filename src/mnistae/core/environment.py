"""The package's environment variables, as shells, containers and job schedulers pass them."""

import os

from mnistae.core.errors import UsageError

PREFIX = "MNISTAE_"


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
    return os.path.expanduser(value) if value.startswith("~") else value  # noqa: PTH111 - Path's raises without a home


def blame(message: str, arguments: list[str]) -> str:
    """Return the name of the variable whose value a message is about, or '' if it was given as an argument, or is none's."""
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and value and f"'{value}'" in message and name not in message:
            return "" if any(value in word for word in arguments) else name
    return ""
