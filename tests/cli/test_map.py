"""`map`: options, formats and errors."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Cli, run_in_pty
from tests.support.saved_runs import save


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ("tiny -f csv", "map-tiny.csv"),
        ("-c tiny --method pca --split train -n 50 -f csv", "map-tiny-train-pca-n50.csv"),
        ("-f svg --seed 2 -n 20", "map-n20-seed2.svg"),
        ("-f projector -n 20", "map-n20-projector"),
    ],
)
def test_default_names(cli: Cli, trained: str, words: str, output: str) -> None:
    """The default name follows from the arguments."""
    answer = cli("map", *words.split())
    assert (answer.code, answer.out) == (0, f"{output}\n"), answer.err
    assert "of 100 test images" in answer.err or "of 600 training images" in answer.err
    assert "10 nearest neighbours" in answer.err
    assert Path(output).is_file() or {"vectors.tsv", "metadata.tsv", "sprite.png"} <= {p.name for p in Path(output).iterdir()}


def test_document_has_the_points_of_the_table(cli: Cli, trained: str) -> None:
    """With --json the points are those of the CSV."""
    document = json.loads(cli("map", "--json", "-n", 20).out)
    assert cli("map", "-n", 20, "-o", "points.csv").code == 0
    rows = list(csv.DictReader(Path("points.csv").read_text().splitlines()))
    assert [point["image"] for point in document["points"]] == [row["image"] for row in rows]
    assert document["points"][3]["x"] == pytest.approx(float(rows[3]["x"]))
    assert (document["count"], document["total"], document["method"]) == (20, 100, "tsne")


def test_two_units_are_their_own_map(cli: Cli, tiny: Path) -> None:
    """For a bottleneck of 2 the codes are the positions."""
    save("flat")
    (point,) = [p for p in json.loads(cli("map", "--json", "--dataset", tiny).out)["points"] if p["image"] == "test:5"]
    (line,) = cli("encode", "test:5", "--dataset", tiny).out.splitlines()
    assert [point["x"], point["y"]] == pytest.approx(json.loads(line)["code"])


def test_terminal_shows_a_map(trained: str) -> None:
    """On a terminal the map is shown in digits."""
    code, text = run_in_pty("map", "-n", 40, "--method", "pca")
    assert code == 0
    assert {"0", "1", "7"} <= set("".join(text.splitlines()[1:-1]))
