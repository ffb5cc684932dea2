"""`report`: names, streams, and what the page says."""

import json
from pathlib import Path

from mnistae.core.files import atomic
from mnistae.core.records import Metadata
from mnistae.store import format as checkpoint_format
from mnistae.store import runs
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
    """Without training settings, history and ranges, the page has what is left; the name of the data set is in it.

    A dead unit is found from the training images.
    """
    found = runs.load(trained)
    weights = {name: array.copy() for name, array in found.weights.items()}
    weights["fc2.weight"][:], weights["fc2.bias"][:] = 0, -1
    metadata = Metadata(found.metadata.model, source="import x.pth")
    atomic.write_bytes(found.path, checkpoint_format.encode_model(weights, metadata))
    answer = cli("report", "--dataset", tiny)
    assert answer.code == 0
    assert "8 of 8 bottleneck units are dead (always zero): units 0, 1, 2, 3, 4, 5, 6, 7" in answer.err
    (path,) = Path().glob("*.html")
    text = path.read_text()
    assert "import x.pth" in text
    assert "Figure 1." not in text
    assert "so no command can reproduce it" in text
