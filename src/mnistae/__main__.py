"""The entry point: `mnistae`, and `python -m mnistae`."""

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from mnistae.cli import signals

    signals.install()  # before the imports that take time
    _tame_environment()
    from mnistae.cli import boundary
    from mnistae.cli.app import app

    sys.exit(boundary.run(app))


def _tame_environment() -> None:
    """Take out settings of libraries that would end them at their import, and let no character end a message."""
    for name in ("TERMINAL_WIDTH", "COLUMNS", "LINES"):
        if not os.environ.get(name, "1").isascii() or not os.environ.get(name, "1").isdigit():
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
