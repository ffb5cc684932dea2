"""The entry point: `mnistae`, and `python -m mnistae`."""

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from mnistae.cli import signals

    signals.install()  # before the imports that take time: during those a signal ends the process on the spot
    _tame_environment()
    from mnistae.cli import main

    sys.exit(main.run())


def _tame_environment() -> None:
    """Take out settings of libraries that would end them at their import, and let no character end a message."""
    for name in ("TERMINAL_WIDTH", "COLUMNS", "LINES"):
        width = os.environ.get(name, "1")
        if not (width.isascii() and width.isdigit() and len(width) < 10):  # int() refuses 4,301 digits
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
