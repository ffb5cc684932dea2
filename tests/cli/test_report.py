"""`report`: names, streams, and what the page says."""

import json
from pathlib import Path

from tests.conftest import Cli


def test_page_and_document(cli: Cli, trained: str) -> None:
    """The default name follows from the arguments; with --json there is a document, and no page without -o."""
    words = ("report", "tiny", "--images", 3, "test:4")
    answer = cli(*words)
    assert (answer.code, answer.out) == (0, "report-3-test_4-tiny.html\n"), answer.err
    assert "report: 3." in answer.err
    page = Path(answer.out.strip()).read_bytes()
    text = page.decode()
    assert "<title>tiny: report</title>" in text
    assert "Reconstruction of image 3 (class" in text
    assert "mnistae train --recipe lab --dataset" in text
    document = json.loads(cli(*words, "--json").out)
    assert (document["command"], document["output"], document["dataset"]) == ("report", None, "tiny")
    assert document["bytes"] == len(page)
    assert len(list(Path().iterdir())) == 1


def test_imported_checkpoint_has_a_report(cli: Cli, trained: str, tiny: Path, home: Path) -> None:
    """Without training settings, history and ranges, the page has what is left; the name of the data set is in it."""
    from tests.cli.test_traverse import rewritten

    rewritten(trained, training=None, history=(), unit_ranges=None, active_units=None, provenance=None, source="import x.pth")
    assert cli("report", "--dataset", tiny).code == 0
    (path,) = Path().glob("*.html")
    text = path.read_text()
    assert "import x.pth" in text
    assert "Figure 1." not in text
    assert "there is no command to reproduce it" in text
