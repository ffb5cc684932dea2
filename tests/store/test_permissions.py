"""A store that several users share, or may not."""

import os
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnistae.core.errors import CheckpointError, OutputError
from mnistae.store import runs, verification
from tests.support.saved_runs import METADATA, arrays, refusal, save, state, tree

root_only = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become another user")

GROUP = 54321


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Sets the umask until the end of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def as_user(user: int, call: Callable[[], object]) -> None:
    """Call a function as a user of the group, in a child process; its failure is the test's."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            call()
        except BaseException:  # noqa: BLE001 - this process must not return to pytest
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def open_path(folder: Path) -> None:
    """Let other users pass through the test's folders, which are private."""
    temporary = Path(tempfile.gettempdir())
    for place in (folder, *folder.parents):
        if temporary in place.parents:
            place.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("bits", [0o002, 0o077])
def test_umask(store: Path, umask: Callable[[int], int], bits: int) -> None:
    """Every file and folder of the store has the permissions that the umask leaves."""
    umask(bits)
    with runs.lock("one"):
        save("one")
    found = {str(path.relative_to(store)): stat.S_IMODE(path.stat().st_mode) for path in (store, *store.rglob("*"))}
    folders, files = {".", "one", ".locks"}, {f"one/{file}" for file in (runs.STATE, runs.MODEL, runs.HISTORY)}
    assert found == {name: (0o777 if name in folders else 0o666) & ~bits for name in found}
    assert found.keys() == {*folders, *files, ".recent", ".locks/one.lock"}


@root_only
def test_group(store: Path, umask: Callable[[int], int]) -> None:
    """Members of a group list, verify, replace and remove each other's runs in a folder with the setgid bit."""
    umask(0o002)
    store.mkdir(parents=True)
    open_path(store)
    os.chown(store, -1, GROUP)
    store.chmod(0o2775)

    def train() -> None:
        with runs.lock("one"):
            runs.save("one", state(seed=os.getuid()), METADATA)

    for user in (2001, 2002, 2001):
        as_user(user, train)
        assert runs.load("one").weights["fc1.bias"][0] == arrays(user)["fc1.bias"][0]
        assert verification.verify("one") is None
        assert {path.stat().st_gid for path in store.rglob("*")} == {GROUP}
    as_user(2002, lambda: runs.remove("one"))
    assert runs.run_names() == []


@root_only
@pytest.mark.parametrize(
    ("denied", "user", "owner"),
    [
        ("lab", 0, "root"),
        ("lab", 54321, "54321"),
        ("lab/model.safetensors", 0, "root"),
        (".recent", 0, "root"),
        ("", 0, "root"),
    ],
)
def test_unreadable(store: Path, denied: str, user: int, owner: str) -> None:
    """What another user may not read is reported with its owner, listed, and never replaced by something else."""
    save("other", "lab")
    open_path(store)
    place = store / denied
    place.chmod(0)
    os.chown(place, user, -1)
    hint = f"'{place}' belongs to user '{owner}': ask for permission, or change its owner with 'sudo chown -R'"
    unread = {".recent": place, "": store}.get(denied, store / "lab" / runs.MODEL)
    expected = (CheckpointError, f"cannot read '{unread}': Permission denied", hint)

    def check() -> None:
        kind, message, hint = refusal(runs.load, None)
        assert (kind, message, hint.removesuffix("; it is the newest run: name another checkpoint")) == expected
        assert (hint == expected[2]) == (not denied.startswith("lab"))
        if denied.startswith("lab"):
            assert runs.run_names() == ["lab", "other"]
            assert refusal(runs.load, "lab") == refusal(runs.load, str(unread)) == expected
            assert verification.verify("lab") == expected[1]
            assert runs.load("other").metadata == METADATA
        else:
            assert refusal(runs.run_names) == expected

    as_user(2001, check)


@root_only
@pytest.mark.parametrize(
    ("denied", "attempt", "message"),
    [
        (".locks/one.lock", lambda: runs.lock("one").__enter__(), "cannot write '{}/.locks/one.lock"),
        (".locks", lambda: runs.lock("two").__enter__(), "cannot write '{}/.locks/two.lock"),
        ("one", lambda: save("one"), "cannot write '{}/one/state.safetensors"),
        ("one", lambda: runs.remove("one"), "cannot remove '{}/one"),
    ],
)
def test_run_left_by_sudo(store: Path, denied: str, attempt: Callable[[], object], message: str) -> None:
    """A store in which root has worked says which file or folder stands in the owner's way."""
    with runs.lock("one"):
        save("one")
    open_path(store)
    for path in (store, *store.rglob("*")):
        os.chown(path, 2001, GROUP)
    os.chown(store / denied, 0, 0)

    before = tree(store)

    def check() -> None:
        kind, found, hint = refusal(attempt)
        assert (kind, found) == (OutputError, message.format(store) + "': Permission denied")
        assert hint.startswith(f"'{store / denied}' belongs to user 'root'") or "state" in message

    as_user(2001, check)
    assert tree(store) == before
