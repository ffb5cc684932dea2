"""The entry point: `mnistae`, and `python -m mnistae`."""

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from mnistae.cli import signals

    signals.install()  # before the slow imports, during which a signal ends the process at once
    _sanitize_environment()
    from mnistae.cli import main

    sys.exit(main.run())


def _sanitize_environment() -> None:
    """Remove settings that make libraries fail on import, and let no character make a message fail."""
    for name in ("TERMINAL_WIDTH", "COLUMNS", "LINES"):
        width = os.environ.get(name, "1")
        if not (width.isascii() and width.isdigit() and len(width) < 10):  # int() refuses 4,301 digits
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
