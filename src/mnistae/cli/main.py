"""The one place where failures become text and an exit code."""

import contextlib
import itertools
import os
import sys
import traceback

import typer

from mnistae.cli import app, console, signals
from mnistae.core.errors import ExitCode, MnistaeError


def run() -> int:
    """Run the command line of sys.argv and return the process's exit code. Nothing but that gets out of here."""
    try:
        signals.raise_on_signal()
        code = _run()
        signals.restore_handlers()
    except signals.Interrupted as ending:  # only one is ever raised: nothing interrupts this row
        signals.show_cursor()
        return 128 + ending.number
    return code


def _run() -> int:  # noqa: PLR0911 - a row a kind of ending
    try:
        code = app.build(_words())(standalone_mode=False)
        return _flush_stdout(int(code or ExitCode.DONE))
    except OSError as error:
        if error.filename is not None:  # a file's trouble is told where the file is known: this one is a bug of ours
            return _unexpected(error)
        return _report(f"cannot write to standard output: {error.strerror}", "is the disk full?", ExitCode.OUTPUT)
    except SystemExit as ending:  # typer's: 0 after the shell's completion, else the reader of a help page is gone
        return ExitCode.SIGPIPE if ending.code else ExitCode.DONE
    except console.StdoutClosedError:
        _silence_stdout()
        return ExitCode.SIGPIPE
    except KeyboardInterrupt:  # where nobody installed our handlers
        return ExitCode.SIGINT
    except MnistaeError as error:
        return _report(error.message, error.hint, error.exit_code)
    except typer.Abort:
        return ExitCode.SIGINT
    except typer.TyperException as error:  # an argument that typer itself refuses
        message = _one_line(error.format_message())
        # without a word to go on typer shows its help, and has nothing more to say
        return _report(message, _usage_hint(), ExitCode.USAGE) if message else ExitCode.USAGE
    except Exception as error:  # noqa: BLE001 - the border of the process: what is left is a bug of ours
        return _unexpected(error)


def _words() -> list[str]:
    """Return the words of the command line, or of the one that the shell wants to complete."""
    asked = (os.environ.get(name, "") for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"))
    return [*sys.argv[1:], *" ".join(asked).split()]


def _unexpected(error: Exception) -> int:
    message = f"unexpected {type(error).__name__}: {_one_line(str(error))}"
    return _report(message, "set MNISTAE_DEBUG=1 for the traceback, and report it", ExitCode.UNEXPECTED)


def _report(message: str, hint: str, code: ExitCode) -> int:
    """Say what happened on standard error, and with --json also in the one document on standard output."""
    if os.environ.get("MNISTAE_DEBUG") == "1":
        traceback.print_exc()
    console.print_error(message, hint)
    if "--json" in sys.argv[1:]:
        failure = {"exit": int(code), "kind": code.name.lower(), "message": message, "hint": hint}
        with contextlib.suppress(MnistaeError, console.StdoutClosedError):
            console.write_json({"schema": console.SCHEMA, "error": failure})
    return code


def _flush_stdout(code: int) -> int:
    """Return `code` after standard output has taken everything."""
    if sys.stdout is None or sys.stdout.closed:
        return code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return ExitCode.SIGPIPE
    return code


def _silence_stdout() -> None:
    """Point standard output to nowhere, so that the interpreter's last flush does not complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _usage_hint() -> str:
    """Name the help of as much of the command as is one."""
    words = list(itertools.takewhile(str.isalpha, sys.argv[1:3]))
    while words and not any(f"{name} ".startswith(f"{' '.join(words)} ") for name in app.COMMANDS):
        words.pop()
    return f"run '{' '.join(['mnistae', *words])} --help'"


def _one_line(text: str) -> str:
    return " ".join(text.split())
