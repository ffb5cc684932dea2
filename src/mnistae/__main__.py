"""The entry point: `mnistae`, and `python -m mnistae`."""

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from mnistae.cli import signals

        signals.install()  # before the slow imports, during which a signal ends the process at once
        _sanitize_environment()
        _, is_completion, shell = os.environ.get("_MNISTAE_COMPLETE", "").partition("complete_")
        if is_completion:
            from mnistae.cli import completion

            signals.exit_with(completion.answer(shell))
        _limit_threads()
        from mnistae.cli import main
    except KeyboardInterrupt:  # before our handlers are installed
        sys.excepthook = lambda *_: None  # the interpreter ends by the signal: without its traceback
        raise
    except Exception as error:
        from mnistae.cli import shadows

        if path := shadows.find():
            reason = f"{error}; '{path}' is imported instead of the library of that name"
            sys.exit(f"error: {reason}\nhint: rename it, or unset PYTHONPATH")
        raise
    signals.exit_with(main.run())


def _sanitize_environment() -> None:
    """Remove settings that make libraries fail on import, and let no character make a message fail."""
    import contextlib  # late: from here on a user's file in its place is reported

    for name in ("TERMINAL_WIDTH", "COLUMNS", "LINES"):
        width = os.environ.get(name, "1")
        if not (width.isascii() and width.isdigit() and len(width) < 10 and int(width)):  # int() refuses 4,301 digits
            del os.environ[name]
    with contextlib.suppress(OSError):
        if os.get_terminal_size(2).columns:  # exported sizes are those of another terminal, or of this one before
            os.environ.pop("COLUMNS", None)
            os.environ.pop("LINES", None)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _limit_threads() -> None:
    """Let idle threads sleep, and start no more of them than the control groups allow. A number that the user has set stays.

    This has to precede the import of NumPy and torch. By default OpenMP's idle threads spin, and then two runs at once, or a
    run beside any other work, slow each other down: see docs/results.md.
    """
    from mnistae.core import cpus

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not cpus.has_thread_count() and (usable := cpus.usable()) < cpus.available():
        os.environ["OMP_NUM_THREADS"] = str(usable)


if __name__ == "__main__":
    main()
