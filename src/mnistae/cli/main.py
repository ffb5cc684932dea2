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
from mnistae.core.text import suggestion


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
    except (KeyboardInterrupt, typer.Abort) as error:  # our handlers are not installed
        return _unexpected(error.__cause__) if isinstance(error.__cause__, EOFError) else ExitCode.SIGINT
    except typer.TyperException as error:  # an argument that Typer rejects
        return _usage_error(error)
    except Exception as error:  # noqa: BLE001 - the boundary of the process: what is left is a bug
        return _unexpected(error)


def _usage_error(error: typer.TyperException) -> int:
    """Report an argument that Typer rejects, in the form of our own messages."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    if not message:  # without arguments Typer has shown the help
        return ExitCode.USAGE
    words = list(itertools.takewhile(str.isalpha, sys.argv[1:3]))
    while words and not any(f"{name} ".startswith(f"{' '.join(words)} ") for name in app.COMMANDS):
        words.pop()  # what is left is the longest valid beginning of the command
    command, hint = " ".join(words), f"run '{' '.join(['mnistae', *words])} --help'"
    if found := re.match(r"No such command (['\"])(.*?)\1", message):
        valid = {name.removeprefix(command).split()[0]: None for name in app.COMMANDS if name.startswith(command)}
        message, hint = f"no such command: '{found[2]}'", suggestion(found[2], valid, otherwise=hint)
    elif found := re.match("Missing (argument|option) ('.*?')", message):
        message = f"missing {found[1]}: {found[2]}"
    elif found := re.match("Option '(.*?)' requires (an|[0-9]+) argument", message):
        message = f"missing value for {found[1]}" + (f": it takes {found[2]} values" if found[2] != "an" else "")
    elif found := re.match(r"No such option: (-\S+)", message):
        message, hint = f"no such option: '{found[1]}'", _option_hint(found[1], command, otherwise=hint)
    elif found := re.match(r"Got unexpected extra argument\S* \((.*)\)$", message):
        message = f"unexpected extra argument: '{found[1]}'"
    elif (found := re.match("Invalid value for '(.*?)'", message)) and error.__cause__:
        [details] = error.__cause__.errors()  # type: ignore[attr-defined]  # pydantic's, whose message may lack the value
        choices = details["msg"].partition(" is not one of ")[2].rstrip(".").replace("'", "")
        kind = "an integer" if details["type"].startswith("int") else "a number"
        message = f"invalid value for {found[1]}: '{details['input']}'"
        hint = f"must be one of: {choices}" if choices else f"must be {kind}"
    return _report(message[:1].lower() + message[1:], hint, ExitCode.USAGE)


def _option_hint(option: str, command: str, *, otherwise: str) -> str:
    """Return the hint for an unknown option of a command, of a group or of the program."""
    table = completion.table()
    owners = [name for name, (_, options) in table.items() if name.startswith(command) and name and option in options]
    if command not in app.COMMANDS and owners:
        owner = next((name for name in owners if {*name.split()} <= {*sys.argv}), "COMMAND")
        return f"options follow the command: mnistae {owner} {option}"
    if option[1].isdigit():
        return f"indices count from 0, and a file name that begins with '-' needs './' before it; {otherwise}"
    if any(word.startswith("-") and option[1:] in word and os.path.lexists(word) for word in sys.argv):
        return f"a file name that begins with '-' needs './' before it; {otherwise}"
    return suggestion(option, table[command][1].keys() - {"", "--help"}, otherwise=otherwise)


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
