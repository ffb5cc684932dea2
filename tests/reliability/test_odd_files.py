"""Rows T1, T4 and T5: files that are something else than a checkpoint, that change meanwhile, or that are no files."""

import gzip
import json
import os
import pickle
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from mnistae.core.config import ModelConfig
from mnistae.core.errors import CheckpointError
from mnistae.store import format as checkpoint_format
from mnistae.store import runs
from tests.conftest import Cli
from tests.support.checkpoint_bytes import MODEL_FILE, arrays, described, metadata
from tests.support.child_workers import read_bad_files
from tests.support.client import LONG, ForkServer, is_clean_error, log_result, trials
from tests.support.hostile import Canary


def polyglots(folder: Path) -> dict[str, bytes]:
    """Return files that run code in other readers, or are of other formats, by what they are."""
    canary, path = Canary(folder / "mark"), folder / "torch"
    found: dict[str, bytes] = {}
    for name, is_zip in (("torch zip", True), ("torch legacy", False)):
        torch.save(canary, path, _use_new_zipfile_serialization=is_zip)
        found[name] = path.read_bytes()
    found |= {f"pickle {protocol}": pickle.dumps(canary, protocol) for protocol in range(6)}
    found["pickle behind our length"] = struct.pack("<Q", 64) + found["pickle 4"]
    found["our file behind a zip"] = found["torch zip"] + MODEL_FILE
    found["a zip behind our file"] = MODEL_FILE + found["torch zip"]
    found["pickle in the metadata"] = described(found["pickle 0"].decode())
    found |= {"gzip": gzip.compress(MODEL_FILE), "GGUF": b"GGUF\3\0\0\0" + bytes(64)}
    found |= {"HDF5": b"\x89HDF\r\n\x1a\n" + bytes(64), "NumPy": b"\x93NUMPY\1\0" + bytes(64)}
    found |= {"HTML": b"<!DOCTYPE html><html></html>", "shell": b"#!/bin/sh\ntouch mark\n", "code": b"import os; os.abort()\n"}
    return found


def test_nothing_in_a_file_is_run(forks: ForkServer, tmp_path: Path) -> None:
    """T1: files that run code elsewhere are refused by reader and importer, and no class is looked up, nothing executed."""
    found = polyglots(tmp_path)
    torch.save({name: torch.from_numpy(array) for name, array in arrays().items()}, tmp_path / "sound.pth")
    (tmp_path / "sound.safetensors").write_bytes(MODEL_FILE)
    for number, data in enumerate(found.values()):
        for kind in ("safetensors", "pth"):
            (tmp_path / f"{number}.bad.{kind}").write_bytes(data)
    ended = forks.run(home=tmp_path / "home", before=[partial(read_bad_files, tmp_path)])
    answer = json.loads(ended.out)
    assert (answer["refused"], answer["events"], answer["has_run"]) == (2 * len(found), [], False)
    assert "pickle.find_class" in answer["unpickled"]
    assert (tmp_path / "mark").exists()
    log_result("T1", trials=2 * len(found), control="a canary unpickled: its mark and its class detected in 1 of 1")


def test_a_file_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T4: a model that is overwritten and truncated while it is read is the old one, the new one or refused."""
    reads = trials(150, 2000)
    taken, refused, mixtures = read_while_written(tmp_path / "a.safetensors", reads)
    assert mixtures == 0
    assert taken + refused == reads
    assert refused > 0
    monkeypatch.setattr(checkpoint_format, "_digest", lambda _tensors, _fields: "0" * 64)
    seen = read_while_written(tmp_path / "b.safetensors", 200)[2]
    assert seen > 0
    control = f"digest not compared: {seen} of 200 mixtures accepted"
    log_result("T4", trials=reads, control=control, note=f"{taken:,} whole, {refused:,} refused")


def read_while_written(path: Path, reads: int) -> tuple[int, int, int]:
    """Read a model of the lab's size while another thread rewrites it in place; count the whole, the refused and the mixed."""
    model = ModelConfig()
    versions = [checkpoint_format.encode_model(arrays(model, seed), metadata(model)) for seed in (1, 2)]
    whole = [{name: array.tobytes() for name, array in arrays(model, seed).items()} for seed in (1, 2)]
    path.write_bytes(versions[0])
    is_done = threading.Event()
    writer = threading.Thread(target=rewrite, args=(path, versions, is_done))
    writer.start()
    taken = refused = mixtures = 0
    try:
        for _ in range(reads):
            try:
                weights = runs.load(str(path)).weights
            except CheckpointError:
                refused += 1
                continue
            taken += 1
            mixtures += {name: array.tobytes() for name, array in weights.items()} not in whole
    finally:
        is_done.set()
        writer.join()
    return taken, refused, mixtures


def rewrite(path: Path, versions: list[bytes], is_done: threading.Event) -> None:
    """Write the versions over each other, piece by piece, with a pause while one is whole; now and then cut the file."""
    turn = 0
    with path.open("r+b", buffering=0) as file:
        while not is_done.is_set():
            turn += 1
            file.seek(0)
            for at in range(0, len(versions[0]), 1 << 18):
                file.write(versions[turn % 2][at : at + (1 << 18)])
                time.sleep(0.0005)
            if turn % 3 == 0:
                file.truncate(len(versions[0]) // 2)
            time.sleep(0.005)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)  # a socket's whole path has to be short


def a_terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD_KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a socket": a_socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "the memory": lambda path: path.symlink_to("/proc/self/mem"),
    "a file of a terabyte": a_terabyte,
}
READERS = (
    ("summary", "-c", "odd.safetensors"),
    ("checkpoints", "show", "odd.safetensors"),
    ("checkpoints", "import", "odd.safetensors", "--name", "new"),
    ("evaluate", "-c", "odd.safetensors"),
    ("reconstruct", "1", "-c", "odd.safetensors"),
    ("reconstruct", "./odd.safetensors.png"),
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ODD_KINDS)
def test_what_is_no_file(cli: Cli, trained: str, kind: str) -> None:
    """T5: what is no ordinary file is one error, at once, in every command that reads one."""
    for name in ("odd.safetensors", "odd.safetensors.png"):
        ODD_KINDS[kind](Path(name))
    for words in READERS if LONG else READERS[::2]:
        start = time.monotonic()
        answer = cli(*words)
        assert (answer.code, answer.out) == (4 if words[-1].endswith("png") else 3, ""), answer.err
        assert is_clean_error(answer)
        assert time.monotonic() - start < trials(10, 1)
    log_result("T5", trials=len(READERS), note="8 kinds of file, 6 commands")
