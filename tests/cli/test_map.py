"""`map`: options, formats and errors."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Cli, run_in_pty


@pytest.mark.parametrize(
    ("words", "output", "start"),
    [
        ((), "map.png", b"\x89PNG"),
        (("tiny",), "map-tiny.png", b"\x89PNG"),
        (("-c", "tiny", "--method", "pca", "--split", "train", "-n", 50), "map-tiny-train-pca-n50.png", b"\x89PNG"),
        (("-f", "svg", "--seed", 2), "map-seed2.svg", b"<?xml"),
        (("-f", "csv"), "map.csv", b"image,label,x,y\ntest:0,"),
        (("-f", "projector"), "map-projector", b""),
    ],
    ids=str,
)
def test_default_names_and_formats(cli: Cli, trained: str, words: tuple[object, ...], output: str, start: bytes) -> None:
    """The default name follows from the arguments, and the same command writes the same bytes."""
    answer = cli("map", *words)
    assert (answer.code, answer.out) == (0, f"{output}\n"), answer.err
    assert "of 100 test images" in answer.err or "of 600 training images" in answer.err
    assert "10 nearest neighbours" in answer.err
    if not start:
        assert {path.name for path in Path(output).iterdir()} >= {"vectors.tsv", "metadata.tsv", "sprite.png"}
        return
    data = Path(output).read_bytes()
    assert data.startswith(start)
    assert cli("map", *words).code == 0
    assert Path(output).read_bytes() == data


def test_document_has_the_points_of_the_table(cli: Cli, trained: str) -> None:
    """With --json the points are those of the CSV."""
    document = json.loads(cli("map", "--json", "-n", 20).out)
    assert cli("map", "-n", 20, "-o", "points.csv").code == 0
    rows = list(csv.DictReader(Path("points.csv").read_text().splitlines()))
    assert [point["image"] for point in document["points"]] == [row["image"] for row in rows]
    assert document["points"][3]["x"] == pytest.approx(float(rows[3]["x"]))
    assert (document["count"], document["total"], document["method"]) == (20, 100, "tsne")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--method", "codes"), 2, "invalid value for --method: 'codes' (the bottleneck is 8)"),
        (("--count", 3), 2, "invalid value for --count: 3"),
        (("tiny", "-c", "lab"), 2, "-c cannot be combined with RUN"),
        (("nobody",), 3, "no such checkpoint: 'nobody'"),
        (("-f", "projector", "-o", "-"), 2, "-f projector writes a folder"),
        (("-o", "map.gif"), 2, "unsupported output format: 'gif'"),
        (("lab",), 4, "mnist"),
    ],
    ids=str,
)
def test_errors(cli: Cli, trained: str, words: tuple[object, ...], code: int, message: str) -> None:
    """What does not fit is a clear error, and nothing is written."""
    answer = cli("map", *words)
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert not list(Path().iterdir())


def test_two_units_are_their_own_map(cli: Cli, tiny: Path) -> None:
    """For a bottleneck of 2 the codes are the positions."""
    assert cli("train", "--dataset", tiny, "-e", 1, "-z", 2, "--hidden", 8, "--name", "flat", "-q").code == 0
    (point,) = [p for p in json.loads(cli("map", "--json").out)["points"] if p["image"] == "test:5"]
    (line,) = cli("encode", "test:5").out.splitlines()
    assert [point["x"], point["y"]] == pytest.approx(json.loads(line)["code"])
    assert cli("map").out == "map.png\n"


def test_terminal_shows_a_map(trained: str) -> None:
    """On a terminal the map is shown in digits."""
    code, text = run_in_pty("map", "-n", 40, "--method", "pca")
    assert code == 0
    assert {"0", "1", "7"} <= set("".join(text.splitlines()[1:-1]))
