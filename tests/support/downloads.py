"""A tiny MNIST in the place of the published one, for children of the fork server and for the test's own process."""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

STALL, DEADLINE = 1.0, 5.0
"""Seconds; what a user waits for is 30 and 600."""

FEW = 60
"""Images in each split: so few that a mirror compresses them again well within STALL."""


def archives(digits: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Return the tiny data as the four archives of a mirror."""
    from mnistae.data.sets.registry import DATASETS, ROLES
    from tests.conftest import idx_bytes  # the children of the fork server do not find it, and need it not

    pairs = zip(ROLES, DATASETS["mnist"].files, strict=True)
    return {f"{name}.gz": gzip.compress(idx_bytes(digits[role][:FEW]), mtime=0) for role, name in pairs}


def sums(files: dict[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of the archives' content, as the catalogue has them."""
    return {name.removesuffix(".gz"): hashlib.sha256(gzip.decompress(data)).hexdigest() for name, data in files.items()}


def be_tiny(published: dict[str, Any]) -> None:
    """Let the catalogue have these `sha256`; `mirrors` and `deadline` stand for the published ones if they are given."""
    from mnistae.data.sets import download, registry

    mnist = registry.DATASETS["mnist"]
    mirrors = tuple(published.get("mirrors", mnist.mirrors))
    registry.DATASETS["mnist"] = dataclasses.replace(mnist, sha256=published["sha256"], mirrors=mirrors)
    defaults = download.fetch_archive.__kwdefaults__
    assert defaults is not None
    defaults["limits"] = download.Limits(published.get("stall", 10.0), published.get("deadline", 20.0), pauses=(0.05,))


def collection(digits: dict[str, np.ndarray]) -> bytes:
    """Return the tiny data as the one zip that EMNIST comes as."""
    from mnistae.data.sets.registry import DATASETS, ROLES
    from tests.conftest import idx_bytes

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for role, name in zip(ROLES, DATASETS["emnist-digits"].files, strict=True):
            archive.writestr(f"gzip/{name}.gz", gzip.compress(idx_bytes(digits[role]), mtime=0))
    return packed.getvalue()


def publish(md5: dict[str, str]) -> None:
    """Let these be the published MD5 sums of archives."""
    from mnistae.data.sets import registry

    vars(registry)["archive_sums"] = lambda _entry: md5


def watch_sockets(log: str) -> None:
    """Append the name of every audit event of a socket to `log`."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith("socket."):
            os.write(out, json.dumps([event, repr(args)]).encode() + b"\n")

    sys.addaudithook(note)


def is_right(home: Path, files: dict[str, bytes]) -> bool:
    """Whether the four archives, and no other file but locks, stand in the home's data folder with the published content."""
    folder = home / "home" / "datasets" / "mnist"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"} if folder.is_dir() else {}
    with contextlib.suppress(OSError, EOFError):
        return sums(found) == sums(files)
    return False
