"""The one place where failures become messages and exit codes."""

import contextlib
import itertools
import os
import re
import sys
import traceback

import typer

from mnistae.cli import app, completion, console, shadows, signals, terminal
from mnistae.core import environment
from mnistae.core.errors import ExitCode, MnistaeError


def run() -> int:
    """Run the command line of sys.argv and return the exit code of the process. No exception leaves this function."""
    try:
        with signals.as_exceptions():
            return _run()
    except signals.Interrupted as interrupt:  # raised only once: nothing interrupts this line
        signals.show_cursor()
        return 128 + interrupt.number


def _run() -> int:  # noqa: PLR0911 - one for each kind of exit
    try:
        _expand_home()
        code = app.build(sys.argv[1:])(standalone_mode=False)
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
        return int(code or ExitCode.DONE)
    except (BrokenPipeError, console.StdoutClosedError):
        return ExitCode.SIGPIPE
    except OSError as error:
        return _stream_error(error)
    except SystemExit as exit_:  # Typer's: the reader of a help page has gone
        if shadows.find():  # or that of a script imported in place of a library
            return _unexpected(exit_)
        return ExitCode.SIGPIPE if exit_.code else ExitCode.DONE
    except MnistaeError as error:
        return _report(error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):  # our handlers are not installed
        return ExitCode.SIGINT
    except typer.TyperException as error:  # an argument that Typer rejects
        return _usage_error(error)
    except Exception as error:  # noqa: BLE001 - the boundary of the process: what is left is a bug
        return _unexpected(error)


def _usage_error(error: typer.TyperException) -> int:
    """Report an argument that Typer rejects, with the value, which pydantic's messages lack."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    if not message:  # without arguments Typer has shown the help
        return ExitCode.USAGE
    words = list(itertools.takewhile(str.isalpha, sys.argv[1:3]))
    while words and not any(f"{name} ".startswith(f"{' '.join(words)} ") for name in app.COMMANDS):
        words.pop()  # what is left is the longest valid beginning of the command
    hint = f"run '{' '.join(['mnistae', *words])} --help'"
    value = str(getattr(error.__cause__, "errors", list)()[0]["input"]) if error.__cause__ else ""
    start, _, reason = message.partition("Input should be a valid ")
    if reason:
        message = f"{start}'{value}' is not {'an integer' if reason.startswith('integer') else 'a number'}"
    message = message.replace("Value error, ", "")
    message = re.sub(r"^Got (unexpected extra argument)(?:\(s\)|s)? \((.*)\)$", r"\1: '\2'", message)
    if found := re.match(r"No such option: (-\S+)", message):
        group, option, table = " ".join(words), found[1], completion.table()
        owners = [name for name, (_, options) in table.items() if name.startswith(group) and name and option in options]
        if group not in app.COMMANDS and owners:
            owner = next((name for name in owners if {*name.split()} <= {*sys.argv}), "COMMAND")
            message, hint = found[0], f"options follow the command: mnistae {owner} {option}"
        if option[1].isdigit():
            hint = f"indices count from 0, and a file name that begins with '-' needs './' before it; {hint}"
        elif any(word.startswith("-") and option[1:] in word and os.path.lexists(word) for word in sys.argv):
            hint = f"a file name that begins with '-' needs './' before it; {hint}"
    return _report(message[:1].lower() + message[1:], hint, ExitCode.USAGE)  # as all other messages


def _expand_home() -> None:
    """Check our variables, and expand the ~ at the start of their values and of arguments, which may not come from a shell."""
    for name in [name for name in environment.VARIABLES if name in os.environ]:
        os.environ[name] = environment.variable(name) or ""
    for at, word in enumerate(sys.argv):
        if found := re.fullmatch(r"(--[^=]+=|(?:-[a-z])?(?=~(?:/|\Z)))(~.*)", word, re.DOTALL):
            sys.argv[at] = found[1] + environment.expand(found[2])


def _stream_error(error: OSError) -> int:
    if terminal.is_hangup(error):
        return ExitCode.SIGHUP
    if isinstance(error, FileNotFoundError) and error.filename is None:  # Python's answer to the first relative path
        return _report("the working directory has been removed", "change to another one", ExitCode.USAGE)
    if error.filename is not None:  # errors of files are handled where the file is known: this is a bug
        return _unexpected(error)
    return _report(f"cannot write to stdout: {error.strerror}", "is the disk full?", ExitCode.OUTPUT)


def _unexpected(error: BaseException) -> int:
    message = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    hint = "this is a bug; please report it with the traceback (MNISTAE_DEBUG=1)"
    if path := shadows.find():
        message = f"{message}; '{path}' is imported instead of the library of that name"
        hint = "rename it, or unset PYTHONPATH"
    return _report(message, hint, ExitCode.UNEXPECTED)


def _report(message: str, hint: str, code: ExitCode) -> int:
    """Report a failure on stderr, and with --json also as the one document on stdout."""
    if os.environ.get("MNISTAE_DEBUG", "").lower() not in environment.OFF:
        traceback.print_exc()
    if variable := environment.blame(message, sys.argv[1:]):
        message = f"{message} ({variable})"
    console.print_error(message, hint)
    if "--json" in sys.argv[1:]:
        failure = {"exit": int(code), "kind": code.name.lower(), "message": message, "hint": hint}
        with contextlib.suppress(MnistaeError, console.StdoutClosedError):
            console.write_json({"schema": console.SCHEMA, "error": failure})
    return code
