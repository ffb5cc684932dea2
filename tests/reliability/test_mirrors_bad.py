"""Rows D1, D2, D6 and T9: whatever a mirror does, `datasets fetch` ends in time with verified files or with one plain error."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.client import LONG, ForkServer, Result, is_clean_error, log_result, trials
from tests.support.downloads import DEADLINE, STALL, archives, is_right, sums
from tests.support.http_mirror import BEHAVIOURS, Mirror, closed_url
from tests.support.resumable import leftovers
from tests.support.tls import make_certificate

GOOD = {"good", "proxy", "slow", "chunked", "unsized", "kept open", "moved", "recompressed"}
# `check` takes an eighth of the kinds first and another alone; each of them has its own test in test_download.py as well.
BAD = sorted(BEHAVIOURS.keys() - GOOD)
NOWHERE = {"refused": closed_url(), "unknown host": "https://mirror.invalid/", "plain http": "http://mirror.invalid/"}
SILENT = {"silent", "stall after headers", "stall mid body"}
FIRST = "train-images-idx3-ubyte.gz"
SLACK = trials(10, 2)
"""Seconds that a command may take besides the waiting for mirrors."""


@dataclass(frozen=True)
class Fetching:
    """Runs `datasets fetch mnist` against mirrors, in a home where all of the tiny MNIST but one archive is already."""

    forks: ForkServer
    files: dict[str, bytes]
    home: Path

    def __call__(self, *mirrors: str, before: tuple[tuple[str, object], ...] = (), **env: str) -> Result:
        folder = self.home / "home" / "datasets" / "mnist"
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            if name != FIRST:
                (folder / name).write_bytes(data)
        published = {"sha256": sums(self.files), "mirrors": mirrors, "stall": STALL, "deadline": DEADLINE}
        watch = ("downloads.watch_sockets", str(self.home / "sockets"))
        steps = (("downloads.be_tiny", published), watch, *before)
        offline = {"MNISTAE_OFFLINE": "0", "http_proxy": None, "https_proxy": None, "all_proxy": None}
        return self.forks.run("datasets", "fetch", "mnist", home=self.home, before=steps, env={**offline, **env})

    def went_beyond_loopback(self) -> bool:
        """Whether a connection was opened to another machine than this one."""
        lines = (self.home / "sockets").read_text().splitlines()
        return any("socket.connect" in line and "'127.0.0.1'" not in line for line in lines)


@pytest.fixture
def fetching(forks: ForkServer, digits: dict[str, np.ndarray], tmp_path: Path) -> Callable[[], Fetching]:
    """Return what makes a new home to fetch into."""
    files = archives(digits)
    homes = iter(range(1000))
    return lambda: Fetching(forks, files, tmp_path / f"fetch{next(homes)}")


def check_success(fetching: Fetching, ended: Result) -> None:
    assert ended.code == 0, ended.err
    assert is_right(fetching.home, fetching.files)
    assert leftovers(fetching.home) == []
    assert not fetching.went_beyond_loopback()
    assert ended.seconds < DEADLINE + SLACK


def check_failure(fetching: Fetching, ended: Result, reasons: int) -> None:
    assert ended.code == 4, ended.err
    assert is_clean_error(ended), ended.err
    line = next(line for line in ended.err.splitlines() if line.startswith("error:"))
    assert f"cannot download '{FIRST}': " in line
    assert line.count("; ") == reasons - 1
    assert line.isprintable()
    folder = fetching.home / "home" / "datasets" / "mnist"
    assert not (folder / FIRST).exists()
    assert leftovers(fetching.home) == []
    assert not fetching.went_beyond_loopback()
    assert ended.seconds < DEADLINE + SLACK


def test_bad_mirror_then_a_good_one(fetching: Callable[[], Fetching]) -> None:
    """D1: whatever the first mirror does, the second one delivers, verified and in time."""
    kinds = BAD if LONG else BAD[2::8]
    for behaviour in kinds:
        with Mirror((run := fetching()).files, behaviour) as bad, Mirror(run.files) as good:
            check_success(run, run(bad.url, good.url))
            assert good.requests == [f"/{FIRST}"], behaviour
    for address in NOWHERE.values():
        with Mirror((run := fetching()).files) as good:
            check_success(run, run(address, good.url))
    check_control(fetching())
    log_result("D1", trials=len(kinds) + len(NOWHERE), control="the comparison of sums left out: seen 1 time of 1")


def test_bad_mirrors_alone(fetching: Callable[[], Fetching]) -> None:
    """D2: where every mirror fails the command ends in time with 4, a reason for each, and no file."""
    kinds = BAD if LONG else BAD[4::8]
    for behaviour in kinds:
        with Mirror((run := fetching()).files, behaviour) as first, Mirror(run.files, behaviour) as second:
            check_failure(run, ended := run(first.url, second.url), 2)
            assert ended.err.count("no data for") == 2 * (behaviour in SILENT), behaviour
    for address in NOWHERE.values():
        run = fetching()
        check_failure(run, run(address, address), 2)
    note = f"{len(kinds)} kinds of answer, and {', '.join(NOWHERE)}; one error line with a reason a mirror"
    log_result("D2", trials=len(kinds) + len(NOWHERE), note=note)
    log_result("T9", trials=2 * (len(kinds) + len(NOWHERE)), note="the trials of D1 and D2")


def check_control(run: Fetching) -> None:
    """Take other content from the first mirror with the comparison of sums left out: the row's assertions must see it."""
    with Mirror(run.files, "other content") as bad, Mirror(run.files) as good:
        ended = run(bad.url, good.url, before=(("without", ["data.sets.download._compare"]),))
    with pytest.raises(AssertionError, match="is damaged"):  # the reader's own check, the second line of defence
        check_success(run, ended)


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The context of a server, and the certificate to trust."""
    if made := make_certificate(tmp_path):
        return made
    log_result("D6", trials=0, note="not run: no openssl to make a certificate with")
    pytest.skip("no openssl to make a certificate with")


def test_downgrade(fetching: Callable[[], Fetching], tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a redirect from https to http is not followed, whatever its status; no plain request is made."""
    statuses = (301, 302, 303, 307, 308)[: trials(2, 5)]
    with Mirror((run := fetching()).files) as plain:
        for status in statuses:

            def lure(handler: Any, _body: bytes, status: int = status) -> None:
                handler.answer(b"", status=status, Location=plain.url + FIRST)

            monkeypatch.setitem(BEHAVIOURS, "lure", lure)
            with Mirror(run.files, "lure", tls=tls[0]) as mirror:
                ended = run(mirror.url, SSL_CERT_FILE=tls[1])
                check_failure(run, ended, 1)
                assert "redirect from https to http" in ended.err
                assert len(mirror.requests) == 1
        assert plain.requests == []
        ended = run(plain.url)
        check_success(run, ended)  # the same address, asked for by the user, is no downgrade
    log_result("D6", trials=len(statuses))
