"""`report`: names, streams, and what the page says."""

import json
from pathlib import Path

from mnistae.store import runs
from tests.conftest import Cli
from tests.support.saved_runs import IMPORTED, arrays


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


def test_imported_checkpoint_has_a_report(cli: Cli, tiny: Path) -> None:
    """Without training settings, history and ranges, the page has what is left; the name of the data set is in it.

    A dead unit is found from the training images.
    """
    weights = arrays()
    weights["fc2.weight"][1], weights["fc2.bias"][1] = 0, -1
    runs.save_model("half", weights, IMPORTED)
    answer = cli("report", "--dataset", tiny, "-o", "half.html")
    assert answer.code == 0, answer.err
    assert "1 of 2 bottleneck units is dead (always zero): unit 1" in answer.err
    text = Path("half.html").read_text()
    assert (IMPORTED.source in text, "Figure 1." in text, "so no command can reproduce it" in text) == (True, False, True)
