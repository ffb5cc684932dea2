"""`mnistae history`: plots, CSV and figures."""

import csv
import json
import re
from pathlib import Path

import pytest

from mnistae.store import runs
from tests.conftest import Cli, run_cli, run_in_pty
from tests.support.saved_runs import IMPORTED, arrays, save

COLOURS = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def other(trained: str) -> str:
    """A second run, newer than `tiny`."""
    save("other")
    return "other"


def test_a_pipe_gets_csv(cli: Cli, trained: str, other: str, home: Path) -> None:
    """A header and a row for each epoch, as in history.csv, of all runs in the given order; with --json a document."""
    rows = list(csv.DictReader(cli("history", trained, other).out.splitlines()))
    assert [(row["run"], row["epoch"]) for row in rows] == [("tiny", "1"), ("tiny", "2"), ("other", "1"), ("other", "2")]
    kept = list(csv.DictReader((home / "checkpoints" / "tiny" / "history.csv").read_text().splitlines()))
    assert [{key: row[key] for key in kept[0]} for row in rows[:2]] == kept
    assert cli("history", trained, other, trained).out == cli("history", trained, other).out
    document = json.loads(cli("history", trained, other, "--json").out)
    assert (document["command"], document["output"]) == ("history", None)
    assert [run["name"] for run in document["runs"]] == ["tiny", "other"]
    losses = [epoch["loss"] for run in document["runs"] for epoch in run["history"]]
    assert losses == [float(row["loss"]) for row in rows]


def test_the_newest_run_is_the_default(cli: Cli, trained: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name it is the newest run, or that of the environment; a path works too."""
    assert cli("history").out == cli("history", "other").out
    monkeypatch.setenv("MNISTAE_CHECKPOINT", "tiny")
    assert cli("history").out == cli("history", "tiny").out
    path = cli("checkpoints", "path", "tiny").out.strip()
    assert cli("history", path).out == cli("history", "tiny").out.replace("tiny,", f"{path},")


def test_figures(cli: Cli, trained: str, other: str, home: Path) -> None:
    """With -o or --format the curves are a figure; that of one run is figure 1 of the lab: the bytes of its loss.png."""
    assert cli("history", trained, other, "-f", "svg").out == "history-tiny-other.svg\n"
    assert run_cli("history", trained, other, "-f", "svg", "-o", "-").stdout == Path("history-tiny-other.svg").read_bytes()
    assert json.loads(cli("history", trained, "-o", "one.png", "--json").out)["output"] == "one.png"
    assert Path("one.png").read_bytes() == (home / "checkpoints" / trained / "loss.png").read_bytes()


def test_an_imported_checkpoint_has_no_history(cli: Cli, trained: str) -> None:
    """Imported weights have no losses: exit code 3, also if another run has some."""
    runs.save_model("foreign", arrays(), IMPORTED)
    for words in ((), (trained, "foreign", "-o", "x.png")):
        answer = cli("history", *words)
        assert answer.code == 3
        assert answer.err.splitlines()[-2:] == [
            "error: 'foreign' was imported and has no loss history",
            "hint: name a run that was trained here: see 'mnistae checkpoints list'",
        ]
    assert not Path("x.png").exists()


def test_a_terminal_gets_a_plot(trained: str, other: str) -> None:
    """On a terminal the curves fill its 80 columns, in ASCII without colour, and no CSV is printed."""
    code, text = run_in_pty("history", trained, other, **COLOURS)
    assert code == 0
    assert "\x1b[36m" in text
    assert "learning_rate" not in text
    lines = re.sub(r"\x1b\[\d+m", "", text).replace("\r", "").splitlines()
    assert max(map(len, lines)) == 80
    assert len(lines) <= 24
    plain = run_in_pty("history", trained, other, **COLOURS | {"LC_ALL": "C"}, NO_COLOR="1")[1]
    assert plain.isascii()
    assert ("\x1b" in plain, "** tiny" in plain, "oo other" in plain) == (False, True, True)
