"""A process that has imported everything and forks a child for each command: a fraction of a second instead of three.

It reads a request a line from standard input and answers a line on standard output:

    {"start": {"argv": [...], "env": {...}, "cwd": FOLDER, "out": FILE, "err": FILE, ...}}  →  {"pid": PID}
    {"wait": PID, "timeout": SECONDS}  →  {"code": CODE}, minus the signal's number if it was killed, null after the time

and "number": N in both, so that each answer is known by its request.

The child is the product: the same `main()` with the same signals, only that its modules are in memory already.
"""

import codecs
import gc
import importlib
import json
import os
import signal
import sys
import time
from typing import Any

children: set[int] = set()
"""Children that nothing has waited for yet."""


def main() -> None:
    """Serve until standard input ends; then kill the children that a failed test has left."""
    prepare()
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"pid": start(request["start"])} if "start" in request else {"code": wait(request["wait"], request["timeout"])}
        sys.stdout.write(json.dumps({**answer, "number": request["number"]}) + "\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


LATE = (
    *("filelock", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure"),
    *("PIL.GifImagePlugin", "PIL.PngImagePlugin", "safetensors.numpy", "sklearn.manifold", "scipy.ndimage", "scipy.spatial"),
    *("torch", "typer._adapters", "typer.rich_utils"),
    *("mnistae.cli.main", "mnistae.store.importer", "mnistae.training.run"),
)
"""Modules that commands import late."""


def prepare() -> None:
    """Import what commands import late. No tensor is touched: a thread pool would not survive a fork."""
    from mnistae.__main__ import _sanitize_environment

    _sanitize_environment()  # as a command does before these imports
    for module in LATE:
        importlib.import_module(module)

    import matplotlib as mpl
    import torch

    from mnistae.cli.app import COMMANDS, load

    for command in COMMANDS:
        load(command)
    mpl.get_configdir()  # it checks its own folders once a process: here, and not in the children
    mpl.get_cachedir()
    for encoding in ("cp437", "unicode_escape", "raw_unicode_escape", "utf-8-sig"):
        codecs.lookup(encoding)  # read when first needed, which another user may not be allowed to
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # a collection in a child would copy the memory it shares with the server


def start(request: dict[str, Any]) -> int:
    """Fork a child that runs one command; return its number."""
    pid = os.fork()
    if pid == 0:
        run(request)
    children.add(pid)
    return pid


def run(request: dict[str, Any]) -> None:
    """Run the command in this child, from the standard streams to the exit code."""
    from mnistae import __main__

    code: object = 70
    try:
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        for number, name in enumerate((os.devnull, request["out"], request["err"])):
            fd = os.open(name, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY, 0o600)
            os.dup2(fd, number)
            os.close(fd)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, argument in request["before"]:
            module, _, function = name.rpartition(".")
            getattr(importlib.import_module(f"tests.support.{module or 'child_hooks'}"), function)(argument)
        # the arguments as the interpreter decodes them in its locale
        sys.argv = ["mnistae", *(os.fsdecode(word.encode("utf-8", "surrogateescape")) for word in request["argv"])]
        __main__.main()
    except SystemExit as ending:
        code = ending.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = 120  # as an interpreter whose last flush fails
            except ValueError:
                pass
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def wait(pid: int, timeout: float) -> int | None:
    """Return the child's exit code once it has ended; kill it after `timeout` seconds."""
    children.discard(pid)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    main()
