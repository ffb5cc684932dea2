"""`report`: names, streams, errors, and what the page says."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli, run_cli


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ((), "report.html"),
        (("tiny", "--images", 3, "test:4"), "report-3-test_4-tiny.html"),
        (("-c", "tiny", "-o", "lab.html"), "lab.html"),
    ],
    ids=str,
)
def test_same_command_same_page(cli: Cli, trained: str, words: tuple[object, ...], output: str) -> None:
    """The default name follows from the arguments, and the same command writes the same bytes."""
    answer = cli("report", *words)
    assert (answer.code, answer.out) == (0, f"{output}\n"), answer.err
    assert "report on tiny: 3." in answer.err
    page = Path(output).read_bytes()
    assert cli("report", *words, "-q").err == ""
    assert Path(output).read_bytes() == page
    text = page.decode()
    assert "<title>tiny: report</title>" in text
    assert ("Reconstruction of image 3 (class" in text) == (3 in words)
    assert "mnistae train --recipe lab --dataset" in text


def test_streams(cli: Cli, trained: str) -> None:
    """`-o -` writes the page alone; with --json there is a document, and no page without -o."""
    piped = run_cli("report", "-o", "-")
    assert piped.stdout.startswith(b"<!doctype html>")
    document = json.loads(cli("report", "--json").out)
    assert (document["command"], document["output"], document["dataset"]) == ("report", None, "tiny")
    assert document["bytes"] == len(piped.stdout)
    assert not list(Path().iterdir())


def test_imported_checkpoint_has_a_report(cli: Cli, trained: str, tiny: Path, home: Path) -> None:
    """Without training settings, history and ranges, the page has what is left; the name of the data set is in it."""
    from mnistae.store import runs
    from tests.cli.test_traverse import rewritten

    rewritten(trained, training=None, history=(), unit_ranges=None, active_units=None, provenance=None, source="import x.pth")
    assert runs.load(trained).metadata.training is None
    assert cli("report", "--dataset", tiny).code == 0
    (path,) = Path().glob("*.html")
    text = path.read_text()
    assert "import x.pth" in text
    assert "Figure 1." not in text
    assert "there is no command that makes it again" in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nobody",), 3, "no such checkpoint: 'nobody'"),
        (("--images", "1", "99999"), 2, "index out of range: '99999'"),
        (("--images", "1", "x y"), 2, "invalid image reference: 'x y'"),
        (("tiny", "-c", "lab"), 2, "-c cannot be combined with RUN"),
        (("-o", "page.pdf"), 2, "unsupported output format: 'pdf'"),
        (("lab",), 4, "mnist"),
    ],
    ids=str,
)
def test_errors(cli: Cli, trained: str, words: tuple[str, ...], code: int, message: str) -> None:
    """What does not fit is a clear error before any work, and nothing is written."""
    answer = cli("report", *words)
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert not list(Path().iterdir())
