"""`evaluate` in depth: several checkpoints, extremes, gains, neighbours; tables, CSV, documents and figures."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli, Result, run_cli

SHARED = {"schema", "command", "dataset", "split", "figure"}
"""What a document has once, however many checkpoints it is about."""


@pytest.fixture
def second(cli: Cli, trained: str, tiny: Path) -> str:
    """The name of another run, of another size, trained on the same images in another folder."""
    assert cli("train", "--dataset", tiny, "-e", 1, "-b", 256, "-z", 3, "--name", "small", "-q").code == 0
    return "small"


def document(answer: Result) -> Any:
    """Return the JSON document of an answer that has to be a success."""
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def cells(one: dict[str, float]) -> list[str]:
    """Return the measures as tables have them."""
    return [f"{one['mse']:.6f}", f"{one['psnr']:.2f}", f"{one['ssim']:.4f}"]


def facts(text: str) -> dict[tuple[str, str, str, str], str]:
    """Return the values of CSV by all that stands before them; nothing stands twice."""
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["checkpoint", "measure", "label", "item", "value"]
    found = {(row[0], row[1], row[2], row[3]): row[4] for row in rows[1:]}
    assert len(found) == len(rows) - 1
    return found


def test_what_is_not_asked_for_is_null(cli: Cli, trained: str) -> None:
    """The usual document has the usual parts and the units' activations, and says that nothing more was asked for."""
    told = document(cli("evaluate", "--json"))
    assert {name for name, value in told.items() if value is None} == {"denoising", "worst", "best", "knn", "figure"}
    assert len(told["mean_activations"]) == told["bottleneck"] == 8
    assert told["active_units"] == sum(mean > 0 for mean in told["mean_activations"])
    assert [told[name] for name in ("dataset", "split")] == ["tiny", "test"]


def test_all_parts_stand_in_document_and_table(cli: Cli, trained: str) -> None:
    """The same numbers come as a document and as text of at most 80 columns."""
    words = ("evaluate", "--extremes", 3, "--denoising", "--knn", 5)
    told, shown = document(cli(*words, "--json")), cli(*words)
    assert told["knn"]["k"] == 5
    assert f"labels told by the 5 nearest codes: {told['knn']['accuracy']:.2%}" in shown.out.splitlines()
    lines = [line.split() for line in shown.out.splitlines()]
    at = lines.index(["digit", "images", "MSE", "PSNR", "SSIM"])
    for row, one in zip(lines[at + 1 : at + 12], [*told["digits"], told["total"]], strict=True):
        assert row == ["all" if one["digit"] is None else str(one["digit"]), str(one["count"]), *cells(one)]
    lab = next(one for one in told["denoising"] if (one["noise"], one["level"]) == ("uniform", 0.625))
    for kind in ("noisy", "denoised"):
        assert -10 * np.log10(told[f"{kind}_mse"]) == pytest.approx(lab[f"{kind}_psnr"])
    for name in ("worst", "best"):
        at = lines.index([name, "image", "label", "MSE", "PSNR", "SSIM"])
        for row, image in zip(lines[at + 1 : at + 4], told[name], strict=True):
            assert row == [image["image"], str(image["label"]), *cells(image)]
    assert told["worst"][0]["mse"] > told["worst"][-1]["mse"] > told["best"][-1]["mse"] > told["best"][0]["mse"]
    assert len(told["denoising"]) == 20
    for row, gain in zip(lines[-20:], told["denoising"], strict=True):
        assert row == [
            gain["noise"],
            f"{gain['level']:g}",
            *(f"{gain[key]:.2f}" for key in ("noisy_psnr", "denoised_psnr", "gain")),
        ]
        assert gain["gain"] == pytest.approx(gain["denoised_psnr"] - gain["noisy_psnr"])
    assert max(map(len, shown.out.splitlines())) <= 80


def test_an_extreme_is_a_word_for_other_commands(cli: Cli, trained: str) -> None:
    """What `evaluate` calls the worst image, `reconstruct` takes and measures alike."""
    worst = document(cli("evaluate", "--extremes", 1, "--json"))["worst"][0]
    (same,) = document(cli("reconstruct", worst["image"], "--json"))["images"]
    assert (same["image"], same["label"]) == (worst["image"], worst["label"])
    assert same["mse"] == pytest.approx(worst["mse"], rel=1e-5)


def test_checkpoints_side_by_side(cli: Cli, trained: str, second: str, tiny: Path) -> None:
    """A column each, in the order of the arguments, with the numbers that each has by itself."""
    words = ("--dataset", tiny, "--knn", 3, "--denoising", "--extremes", 2)
    told = document(cli("evaluate", trained, second, *words, "--json"))
    for name, found in zip((trained, second), told["evaluations"], strict=True):
        alone = document(cli("evaluate", name, *words, "--json"))
        assert found == {key: value for key, value in alone.items() if key not in SHARED}
    shown = cli("evaluate", trained, second, *words).out.splitlines()
    assert shown[0] == "2 checkpoints on the 100 test images of tiny"
    assert shown[2].split() == [trained, second]
    row = {" ".join(line.split()[:-2]): line.split()[-2:] for line in shown[3:]}
    first, last = told["evaluations"]
    assert row["MSE"] == [f"{one['total']['mse']:.6f}" for one in (first, last)]
    assert row["bottleneck units"] == ["8", "3"]
    assert row["gain, mask 0.5"] == [f"{one['denoising'][17]['gain']:.2f}" for one in (first, last)]
    assert f"{first['worst'][0]['image']} {first['worst'][0]['mse']:.5f}" in "\n".join(shown)
    assert max(map(len, shown)) <= 80


def test_broad_names_become_numbers(cli: Cli, trained: str, home: Path) -> None:
    """Names that 80 columns cannot hold, and equal ones, stand in a legend; so does a file's path."""
    path = home / "checkpoints" / trained / "model.safetensors"
    shown = cli("evaluate", trained, path, path).out.splitlines()
    assert shown[2:6] == [f"1  {trained}", f"2  {path}", f"3  {path}", ""]
    assert shown[6].split() == ["1", "2", "3"]


def test_csv_is_every_number_once(cli: Cli, trained: str, second: str, tiny: Path) -> None:
    """Five columns, no quoting, no thousands: the numbers of the document, on standard output or in a file."""
    words = ("evaluate", trained, second, "--dataset", tiny, "--knn", 3, "--denoising", "--extremes", 2)
    piped = cli(*words, "-f", "csv")
    told = document(cli(*words, "--json"))["evaluations"]
    found = facts(piped.out)
    assert '"' not in piped.out
    assert all(line.count(",") == 4 for line in piped.out.splitlines())
    # by digit and in all, sizes, units, PCA and the lab's noise, neighbours, the worst and the best, gains
    assert len(found) == sum(11 * 4 + 2 + one["bottleneck"] + 3 + 1 + 2 * 2 + 20 * 3 for one in told)
    for name, one in zip((trained, second), told, strict=True):
        for measure in ("bottleneck", "active_units", "pca_mse", "noisy_mse", "denoised_mse"):
            assert float(found[name, measure, "", ""]) == one[measure]
        assert float(found[name, "mse", "", ""]) == one["total"]["mse"]
        assert int(found[name, "images", "", ""]) == 100
        assert float(found[name, "ssim", "3", ""]) == one["digits"][3]["ssim"]
        assert float(found[name, "mean_activation", "", "2"]) == one["mean_activations"][2]
        assert float(found[name, "knn_accuracy", "", "3"]) == one["knn"]["accuracy"]
        assert float(found[name, "psnr_gain", "", "mask:0.5"]) == one["denoising"][17]["gain"]
        worst = one["worst"][0]
        assert float(found[name, "worst_mse", str(worst["label"]), worst["image"]]) == worst["mse"]
    filed = cli(*words, "-o", "report.csv")
    assert (filed.code, filed.out) == (0, "report.csv\n")
    assert Path("report.csv").read_text() == piped.out
    assert "2 checkpoints on" in filed.err


@pytest.mark.parametrize("part", [("--extremes", 3), ("--denoising",)], ids=str)
def test_figures(cli: Cli, trained: str, part: tuple[object, ...]) -> None:
    """-o draws what was asked for and prints its path alone, the table goes to standard error; same bytes every time."""
    answer = cli("evaluate", *part, "-o", "x.png")
    assert (answer.code, answer.out) == (0, "x.png\n")
    assert answer.err.startswith("tiny on the test images of tiny\n") or "\ntiny on the test images" in answer.err
    first = Path("x.png").read_bytes()
    with Image.open("x.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10
    assert document(cli("evaluate", *part, "-o", "x.png", "--json"))["figure"] == "x.png"
    assert Path("x.png").read_bytes() == first
    assert run_cli("evaluate", *part, "-f", "png", "-q").stdout == first


def test_unlabelled_pictures_have_all_but_labels(cli: Cli, trained: str, digits: dict[str, np.ndarray]) -> None:
    """A folder of five pictures: no digits and no vote, words without labels, and the figure all the same."""
    Path("own").mkdir()
    for k, image in enumerate(digits["test_images"][:5]):
        Image.fromarray(image).save(f"own/{k}.png")
    words = ("evaluate", "--dataset", "./own", "--split", "train", "--extremes", 9, "--knn", 5)
    told = document(cli(*words, "--json"))
    assert (told["digits"], told["knn"], told["total"]["count"]) == ([], None, 5)
    assert {image["label"] for image in told["worst"]} == {None}
    assert len(told["best"]) == 5
    shown = cli(*words)
    assert shown.code == 0
    assert "nearest" not in shown.out
    assert cli(*words, "-o", "own.png").code == 0
    assert cli("evaluate", trained, trained, *words[1:]).code == 0
    assert facts(cli(*words, "-f", "csv").out)[trained, "worst_mse", "", told["worst"][0]["image"]]


def test_arguments_win_over_the_environment(
    cli: Cli, trained: str, second: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNISTAE_CHECKPOINT is for where nobody names a checkpoint."""
    monkeypatch.setenv("MNISTAE_CHECKPOINT", trained)
    assert document(cli("evaluate", "--json"))["checkpoint"]["name"] == trained
    assert document(cli("evaluate", second, "--json"))["checkpoint"]["name"] == second


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("tiny", "-c", "other"), 2, "-c names one checkpoint"),
        (("tiny",) * 21, 2, "there are 21 checkpoints to compare"),
        (("tiny", "nobody"), 3, "no such checkpoint: 'nobody'"),
        (("tiny", ""), 2, "the checkpoint's name is empty"),
        (("--extremes", "-1"), 2, "extremes is '-1'"),
        (("--extremes", "101"), 2, "extremes is '101'"),
        (("--knn", "1000"), 2, "knn is '1000'"),
        (("-o", "x.png"), 2, "a figure is of --extremes N or of --denoising"),
        (("-o", "x.png", "--extremes", "2", "--denoising"), 2, "a figure is of --extremes N or of --denoising"),
        (("tiny", "tiny", "-o", "x.png", "--extremes", "2"), 2, "a figure of extremes is of one checkpoint"),
        (("-f", "xlsx"), 2, "cannot write the format 'xlsx'"),
        (("-o", "x.csv", "-f", "png", "--denoising"), 2, "the output 'x.csv' is not to be of the format 'png'"),
        (("-o", "x.gif"), 2, "cannot write the format 'gif'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(cli: Cli, trained: str, words: tuple[str, ...], code: int, message: str) -> None:
    """Each is one line with a hint and its exit code, before any work, and nothing is written."""
    answer = cli("evaluate", *words)
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert message in answer.err.splitlines()[-2]
    assert not list(Path().iterdir())


def test_json_and_csv_exclude_each_other(cli: Cli, trained: str) -> None:
    """Both want standard output; with a file there is room for both."""
    assert cli("evaluate", "--json", "-f", "csv").code == 2
    assert document(cli("evaluate", "--json", "-o", "x.csv"))["total"]["count"] == 100
    assert facts(Path("x.csv").read_text())


def test_one_data_set_for_all(cli: Cli, trained: str, second: str, tiny: Path) -> None:
    """Checkpoints of different data are compared only on a data set that is named."""
    answer = cli("evaluate", trained, second)
    assert answer.code == 2
    assert "the checkpoints were trained on different data" in answer.err
    assert cli("evaluate", trained, second, "--dataset", tiny).code == 0
