import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mnistae.cli.commands import doctor
from mnistae.core.config import TrainConfig
from mnistae.core.errors import CheckpointError, OutputError, UsageError
from mnistae.store import runs, verification
from tests.conftest import Cli
from tests.support.saved_runs import HISTORY, IMPORTED, METADATA, arrays, refusal, save, tree
from tests.support.weight_files import zipped

DAMAGED = "retrain or import it again, or restore a copy"


LIST = "name a run from 'mnistae checkpoints list', or a .safetensors file"


def test_save_and_load(store: Path) -> None:
    """A saved run comes back to the bit, by its name and as the newest, and is made of the files that are documented."""
    save("one")
    found = runs.load("one")
    assert (found.path, found.name, found.metadata) == (store / "one" / "model.safetensors", "one", METADATA)
    assert all(np.array_equal(found.weights[name], array) for name, array in arrays().items())
    after, metadata = runs.load_state("one")
    assert (after.history, metadata) == (HISTORY, METADATA)
    assert all(np.array_equal(after.second_moments[name], array) for name, array in arrays(2).items())
    assert runs.load(None).path == found.path
    assert verification.verify("one") is None
    files = tree(store)
    assert files.keys() == {".recent", "one/model.safetensors", "one/state.safetensors", "one/history.csv"}
    assert files[".recent"] == b"one\n"
    assert files["one/history.csv"] == b"epoch,loss,learning_rate\n1,0.07,0.001\n2,0.09999999999999998,0.0001\n"
    save("one")
    assert tree(store) == files


def test_newest_first(store: Path) -> None:
    """The newest run is the one saved last, regardless of clocks and names; runs that the pointer omits come last."""
    save("b", "c", "a", "b", "recent")
    os.utime(store / "c", (2**31, 2**31))
    assert runs.run_names() == ["recent", "b", "a", "c"]
    shutil.copytree(store / "b", store / "0-copied")
    assert runs.run_names() == ["recent", "b", "a", "c", "0-copied"]
    runs.mark_newest("a")
    assert (store / ".recent").read_text() == "a\nrecent\nb\nc\n0-copied\n"
    assert runs.newest() == runs.load(None).name == "a"


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        (None, ["a", "b", "c"]),
        (b"c\nc\nb\nc\n", ["c", "b", "a"]),
        (b"b\r\n\r\nc", ["b", "c", "a"]),
        (b"gone\n../../etc\n.locks\nb\n", ["b", "a", "c"]),
        (b"c\n" + bytes(2**20), ["a", "b", "c"]),
    ],
)
def test_damaged_pointer(store: Path, pointer: bytes | None, expected: list[str]) -> None:
    """Without a pointer, or with a damaged one, every run is still listed, once, and the next save repairs it."""
    save("a", "b", "c")
    (store / ".recent").unlink()
    if pointer is not None:
        (store / ".recent").write_bytes(pointer)
    assert runs.run_names() == expected
    save("b")
    assert runs.newest() == "b"


def test_junk_is_not_listed(store: Path) -> None:
    """Nothing else in the store is a run: files, empty folders, bad names, broken links, leftovers."""
    save("one")
    for name in (".hidden", "con", "a b", "x.safetensors", "-rf"):
        shutil.copytree(store / "one", store / name)
    (store / "dangling").symlink_to("nowhere")
    (store / "loop").symlink_to("loop")
    (store / "empty").mkdir()
    (store / "file").write_bytes(b"")
    assert runs.run_names() == ["one"]


@pytest.mark.parametrize("where", ["", "/dev/null/x"])
def test_no_store(store: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Without a store, or a place for one, there are no runs, and listing them creates nothing."""
    if where:
        monkeypatch.setenv("MNISTAE_HOME", where)
        store = Path(where, "checkpoints")
    assert runs.run_names() == []
    assert not runs.exists("one")
    hint = "start one with 'mnistae train'"
    assert refusal(runs.newest) == (CheckpointError, f"no checkpoints in '{store}' yet", hint)
    assert runs.load(None).is_builtin
    assert refusal(runs.load, "one") == (CheckpointError, "no such checkpoint: 'one'", "available: lab, denoise")
    assert not os.path.lexists(store)


def test_store_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home that is a file is an expected error of the lock, which comes before any save."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MNISTAE_HOME", str(tmp_path / "file"))
    hint = "set MNISTAE_HOME to a folder you own"
    store = tmp_path / "file" / "checkpoints"
    lock = refusal(runs.lock("one").__enter__)
    assert lock == (OutputError, f"cannot write '{store}/.locks/one.lock': Not a directory", hint)


def test_load_by_path(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path to a model file, in whatever form, is read in place and has no name in the store."""
    save("one")
    elsewhere = tmp_path / "work" / "mine.safetensors"
    shutil.copy(store / "one" / "model.safetensors", elsewhere)
    for reference in (str(elsewhere), "mine.safetensors", "./mine.safetensors", "../work/mine.safetensors"):
        found = runs.load(reference)
        assert (found.path, found.name, found.metadata) == (Path(reference), None, METADATA)
    shutil.copy(elsewhere, "mine")
    assert runs.load("mine").name is None
    save("mine")  # a run goes before a file of its name
    assert runs.load("mine").name == "mine"


FILES = {
    "one.pth": zipped({"x/data.pkl": b""}),
    "my one.npz": zipped({"a.npy": b""}),
    "cut.pth": zipped({"x/data.pkl": b""})[:30],
    "empty.pth": b"",
    "one.gif": b"GIF89a",
    "one.gz": b"\x1f\x8b",
    "text.safetensors": b"text",
}
IMPORT, AGAIN = (
    "import it first: mnistae checkpoints import {}",
    "download or copy it again, then import it: mnistae checkpoints import {}",
)
ZIP, SHORT = "a truncated or damaged zip archive, as PyTorch and NumPy write them", "truncated or not a safetensors file"
LARGE = "if it contains weights from another program, import it first: mnistae checkpoints import big.pth"


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("three", "no such checkpoint: 'three'", "available: two, one, large, lab, denoise"),
        ("OnE-2", "no such checkpoint: 'OnE-2'", "did you mean 'one'?"),
        ("x/y", "no such checkpoint file: 'x/y'", "run 'mnistae checkpoints list' for the names of runs"),
        ("big.pth", "cannot use checkpoint 'big.pth': it is larger than 64 MiB", LARGE),
        ("huge.pth", "cannot use checkpoint 'huge.pth': it is larger than 64 MiB", LIST),
        ("large", "cannot use checkpoint '{store}/large/model.safetensors': it is larger than 64 MiB", LIST),
        ("here/", "cannot use checkpoint 'here': it is a folder", LIST),
        ("text.safetensors", f"cannot use checkpoint 'text.safetensors': {SHORT}", DAMAGED),
        ("two", f"cannot use checkpoint '{{store}}/two/model.safetensors': {SHORT}", DAMAGED),
        ("one.pth", "'one.pth' is not a checkpoint of mnistae: it is a PyTorch file", IMPORT.format("one.pth")),
        ("./my one.npz", "'my one.npz' is not a checkpoint of mnistae: it is an .npz of arrays", IMPORT.format("'my one.npz'")),
        ("cut.pth", f"'cut.pth' is not a checkpoint of mnistae: it is {ZIP}", AGAIN.format("cut.pth")),
        ("empty.pth", "'empty.pth' is not a checkpoint of mnistae: it is empty", AGAIN.format("empty.pth")),
        ("one.gif", "'one.gif' is not a checkpoint of mnistae: it is a GIF image", LIST),
        ("one.gz", "'one.gz' is not a checkpoint of mnistae: it is a gzip archive", "unpack it, and give the file in it"),
    ],
)
def test_refusals(store: Path, reference: str, message: str, hint: str) -> None:
    """What is missing, damaged or another kind of file is reported in one line that names it, with a hint."""
    save("one", "two")
    Path("here").mkdir()
    (store / "large").mkdir()
    for path, size in (("big.pth", 64), ("huge.pth", 256), (store / "large" / "model.safetensors", 64)):
        Path(path).touch()
        os.truncate(path, size * 2**20 + 1)
    for name, data in FILES.items():
        Path(name).write_bytes(data)
    (store / "two" / "model.safetensors").write_bytes(b"")
    assert refusal(runs.load, reference) == (CheckpointError, message.format(store=store), hint)
    unset = "leave out -c and MNISTAE_CHECKPOINT to use the newest run"
    assert refusal(runs.load, "") == (UsageError, "empty checkpoint name", unset)


def test_damage(store: Path) -> None:
    """A damaged state is reported, though the model is whole; so is a model in place of a state, and a broken link."""
    save("one")
    path = store / "one" / "state.safetensors"
    data = path.read_bytes()
    assert verification.verify("one") is None
    for change, reason in {
        data[:-1] + bytes([data[-1] ^ 1]): "checksum mismatch",
        (store / "one" / "model.safetensors").read_bytes(): "missing or unexpected tensor 'fc1.bias.exp_avg'",
    }.items():
        path.write_bytes(change)
        assert verification.verify("one") == f"cannot use checkpoint '{path}': {reason}"
    path.write_bytes(data)
    message = f"cannot use checkpoint '{path}': it is a training state, not a model"
    assert refusal(runs.load, str(path)) == (CheckpointError, message, "give model.safetensors in the same folder")
    path.unlink()
    path.symlink_to("nowhere")
    assert verification.verify("one") == f"cannot use checkpoint '{path}': there is no such file"
    assert refusal(verification.verify, "two") == (CheckpointError, "no such checkpoint: 'two'", "available: one")


def test_run_replaced_during_verification(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was replaced or removed after it could not be read is read again; otherwise it is damaged."""
    save("one")
    path = store / "one" / "model.safetensors"
    data = path.read_bytes()
    refused: list[str] = []

    def load(name: str) -> None:
        if len(refused) < 2:  # stands for another process, which removes the run and makes it again
            path.unlink()
            path.write_bytes(data)
            refused.append(name)
            raise CheckpointError("run 'one' has no model yet", hint="")

    monkeypatch.setattr(runs, "load", load)
    assert verification.verify("one") is None
    assert refused == ["one"] * 2

    def remove(name: str) -> None:
        shutil.rmtree(store / name)
        raise CheckpointError("there is no such file", hint="")

    monkeypatch.setattr(runs, "load", remove)
    assert refusal(verification.verify, "one")[1] == "no such checkpoint: 'one'"


def test_run_without_a_model(cli: Cli, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed before its first model can be resumed only; a missing model of a finished run is reported."""
    save("one")
    runs.save("two", runs.load_state("one")[0], dataclasses.replace(METADATA, training=TrainConfig(epochs=3)))
    for name in ("one", "two"):
        (store / name / "model.safetensors").unlink()
        hint = f"resume it with 'mnistae train --resume --name {name}'"
        assert refusal(runs.load, name) == (CheckpointError, f"run '{name}' has no model yet", hint)
    assert runs.load_state("one")[1] == METADATA
    with runs.lock("one"):  # as while its model is written
        assert verification.verify("one") is None
    answer = cli("checkpoints", "verify")
    assert [line.split()[:2] for line in answer.out.splitlines()[1:3]] == [["two", "ok"], ["one", "incomplete"]]
    assert answer.code == 3
    assert answer.err == (
        "error: 1 incomplete run: 'one' (no model)\nhint: save its model again with 'mnistae train --resume --name one'\n"
    )
    rows = json.loads(cli("checkpoints", "list", "--json").out)["checkpoints"]
    assert [row["state"] for row in rows[:2]] == ["no model yet", "incomplete"]
    monkeypatch.setattr(doctor, "MODULES", ())  # their import takes long
    states = json.loads(cli("doctor", "--json").out)["checkpoints"]
    assert (states["two"], states["one"]) == ("ok", "no model")


def test_model_that_is_being_written(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that appears while a finished run is verified is not missing; a run in training is never locked for that."""
    save("one")
    runs.save("two", runs.load_state("one")[0], dataclasses.replace(METADATA, training=TrainConfig(epochs=3)))
    model = store / "one" / "model.safetensors"
    data = model.read_bytes()
    for name in ("one", "two"):
        (store / name / "model.safetensors").unlink()
    locked = []

    @contextlib.contextmanager
    def lock(name: str) -> Iterator[None]:
        locked.append(name)
        model.write_bytes(data)  # by the process that held it before
        yield

    monkeypatch.setattr(runs, "lock", lock)
    assert [verification.verify(name) for name in ("one", "two")] == [None, None]
    assert locked == ["one"]


def test_imported_run(store: Path) -> None:
    """An import replaces the whole run, and cannot be resumed, because it has no training state."""
    save("one")
    (store / "one" / "loss.png").write_bytes(b"")
    assert runs.save_model("one", arrays(), IMPORTED) == store / "one" / "model.safetensors"
    assert tree(store).keys() == {".recent", "one/model.safetensors"}
    assert runs.load("one").metadata == IMPORTED
    message = "cannot resume 'one': it was imported and has no training state"
    assert refusal(runs.load_state, "one") == (CheckpointError, message, "train a new run")
    assert refusal(runs.load_state, "two") == (CheckpointError, "no such checkpoint: 'two'", "available: one, lab, denoise")


def test_import_over_what_cannot_be_removed(store: Path) -> None:
    """A leftover that cannot be removed is an expected error."""
    (store / "one" / "loss.png").mkdir(parents=True)
    kind, message, hint = refusal(runs.save_model, "one", arrays(), IMPORTED)
    assert (kind, hint) == (OutputError, "check the folder's permissions")
    assert message.startswith(f"cannot remove '{store}/one': ")
