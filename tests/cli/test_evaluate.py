"""All of `evaluate`: several checkpoints, extremes, PSNR gains, neighbours; tables, CSV, JSON and figures."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistae.core.config import TrainConfig
from mnistae.store import runs
from tests.conftest import Cli, Digits, document, run_cli
from tests.support.saved_runs import METADATA, save, state

SHARED = {"schema", "command", "dataset", "split", "output"}
"""What a document has once, however many checkpoints it is about."""


@pytest.fixture
def second(trained: str) -> str:
    """The name of a run of another size, trained on another data set."""
    save("small")
    return "small"


def facts(text: str) -> dict[tuple[str, str, str, str], str]:
    """Return the values of CSV by the other columns; no combination occurs twice."""
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["checkpoint", "metric", "label", "item", "value"]
    found = {(row[0], row[1], row[2], row[3]): row[4] for row in rows[1:]}
    assert len(found) == len(rows) - 1
    return found


def test_parts_that_are_not_asked_for(cli: Cli, trained: str, second: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optional parts are null. A checkpoint that is named wins over MNISTAE_CHECKPOINT; several need one data set."""
    monkeypatch.setenv("MNISTAE_CHECKPOINT", trained)
    result = document(cli("evaluate", "--split", "train", "--json"))
    assert {name for name, value in result.items() if value is None} == {"denoising", "worst", "best", "knn", "output"}
    assert len(result["mean_activations"]) == result["bottleneck"] == 8
    assert result["active_units"] == sum(mean > 0 for mean in result["mean_activations"])
    assert [result[name] for name in ("dataset", "split")] == ["tiny", "train"]
    assert result["checkpoint"]["name"] == trained
    assert document(cli("evaluate", second, "--dataset", tiny, "--json"))["checkpoint"]["name"] == second
    assert "the checkpoints were trained on different data sets" in cli("evaluate", trained, second).err


def test_preparations_that_differ(cli: Cli, home: Path, tiny: Path) -> None:
    """Checkpoints trained with and without --raw on files are not measured on the same images without a word."""
    for name, raw in (("plain", False), ("raw", True)):
        training = dataclasses.replace(TrainConfig(epochs=2), dataset=str(tiny), raw=raw)
        runs.save(name, state(), dataclasses.replace(METADATA, training=training))
    result = cli("evaluate", "plain", "raw")
    assert (result.code, f"the checkpoints were trained on '{tiny}' with and without --raw" in result.err) == (2, True)
    assert cli("evaluate", "plain", "raw", "--raw").code == 0


def test_document_and_tables_have_the_same_numbers(cli: Cli, trained: str) -> None:
    """JSON and text contain the same numbers, and so does the document of `reconstruct`; the text has at most 80 columns."""
    arguments = ("evaluate", "--extremes", 3, "--denoising", "--knn", 5)
    result, shown = document(cli(*arguments, "--json")), cli(*arguments)
    assert result["knn"]["k"] == 5
    assert f"5-nearest-neighbour accuracy on the codes: {result['knn']['accuracy']:.2%}" in shown.out.splitlines()
    lines = [line.split() for line in shown.out.splitlines()]
    at = lines.index(["digit", "images", "MSE", "PSNR", "SSIM"])
    for row, one in zip(lines[at + 1 : at + 12], [*result["digits"], result["total"]], strict=True):
        assert row[:2] == ["all" if one["digit"] is None else str(one["digit"]), str(one["count"])]
        assert row[2:] == [f"{one['mse']:.6f}", f"{one['psnr']:.2f}", f"{one['ssim']:.4f}"]
    lab = next(one for one in result["denoising"] if (one["noise"], one["level"]) == ("uniform", 0.625))
    for kind in ("noisy", "denoised"):
        assert -10 * np.log10(result[f"{kind}_mse"]) == pytest.approx(lab[f"{kind}_psnr"])
    for name in ("worst", "best"):
        at = lines.index([name, "image", "label", "MSE", "PSNR", "SSIM"])
        for row, image in zip(lines[at + 1 : at + 4], result[name], strict=True):
            assert row[:3] == [image["image"], str(image["label"]), f"{image['mse']:.6f}"]
    assert result["worst"][0]["mse"] > result["worst"][-1]["mse"] > result["best"][-1]["mse"] > result["best"][0]["mse"]
    (same,) = document(cli("reconstruct", result["worst"][0]["image"], "--json"))["images"]
    assert same == result["worst"][0] | {name: pytest.approx(same[name], rel=1e-5) for name in ("mse", "psnr", "ssim")}
    assert len(result["denoising"]) == 20
    for row, gain in zip(lines[-20:], result["denoising"], strict=True):
        psnr = [gain[name] for name in ("noisy_psnr", "denoised_psnr", "psnr_gain")]
        assert row == [gain["noise"], f"{gain['level']:g}", *(f"{value:.2f}" for value in psnr)]
        assert psnr[2] == pytest.approx(psnr[1] - psnr[0])
    assert max(map(len, shown.out.splitlines())) <= 80


def test_names_that_are_equal_or_too_wide_have_a_legend(cli: Cli, trained: str, home: Path) -> None:
    """Columns are numbered where the names are equal or exceed 80 columns."""
    path = home / "checkpoints" / trained / "model.safetensors"
    shown = cli("evaluate", trained, path, path).out.splitlines()
    assert shown[2:6] == [f"1  {trained}", f"2  {path}", f"3  {path}", ""]
    assert shown[6].split() == ["1", "2", "3"]


def test_checkpoints_side_by_side(cli: Cli, trained: str, second: str, tiny: Path) -> None:
    """One column per checkpoint, with the same numbers as alone.

    CSV, on stdout or in a file, has all of them once, in five columns without quotes or thousands separators.
    """
    parts = ("--dataset", tiny, "--knn", 3, "--denoising", "--extremes", 2)
    arguments = ("evaluate", trained, second, *parts)
    result = document(cli(*arguments, "--json", "-o", "report.csv"))["evaluations"]
    shown = cli(*arguments).out.splitlines()
    assert shown[0] == "2 checkpoints on the 100 test images of tiny"
    assert shown[2].split() == [trained, second]
    row = {" ".join(line.split()[:-2]): line.split()[-2:] for line in shown[3:]}
    assert row["MSE"] == [f"{one['total']['mse']:.6f}" for one in result]
    assert row["bottleneck units"] == ["8", "2"]
    assert row["gain, mask 0.5"] == [f"{one['denoising'][17]['psnr_gain']:.2f}" for one in result]
    assert f"{result[0]['worst'][0]['image']} {result[0]['worst'][0]['mse']:.5f}" in "\n".join(shown)
    assert max(map(len, shown)) <= 80
    text = Path("report.csv").read_text()
    assert cli(*arguments, "-f", "csv").out == text
    assert '"' not in text
    assert all(line.count(",") == 4 for line in text.splitlines())
    found = facts(text)
    # by digit and in total, sizes, units, PCA and the lab's noise, neighbours, worst and best, PSNR gains
    assert len(found) == sum(11 * 4 + 2 + one["bottleneck"] + 3 + 1 + 2 * 2 + 20 * 3 for one in result)
    for name, one in zip((trained, second), result, strict=True):
        alone = document(cli("evaluate", name, *parts, "--json"))
        assert one == {key: value for key, value in alone.items() if key not in SHARED}
        for metric in ("bottleneck", "active_units", "pca_mse", "noisy_mse", "denoised_mse"):
            assert float(found[name, metric, "", ""]) == one[metric]
        assert float(found[name, "mse", "", ""]) == one["total"]["mse"]
        assert int(found[name, "count", "", ""]) == 100
        assert float(found[name, "ssim", "3", ""]) == one["digits"][3]["ssim"]
        assert float(found[name, "mean_activation", "", "1"]) == one["mean_activations"][1]
        assert float(found[name, "knn_accuracy", "", "3"]) == one["knn"]["accuracy"]
        assert float(found[name, "psnr_gain", "", "mask:0.5"]) == one["denoising"][17]["psnr_gain"]
        worst = one["worst"][0]
        assert float(found[name, "worst_mse", str(worst["label"]), worst["image"]]) == worst["mse"]


@pytest.mark.parametrize("part", ["--extremes 3", "--denoising"])
def test_figures(cli: Cli, trained: str, part: str) -> None:
    """-o writes the figure and prints only its path, the tables go to stderr; the bytes are always the same."""
    answer = cli("evaluate", *part.split(), "-o", "x.png")
    assert (answer.code, answer.out) == (0, "x.png\n")
    assert "tiny on the test images of tiny" in answer.err.splitlines()
    with Image.open("x.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10
    assert run_cli("evaluate", *part.split(), "-f", "png", "-q").stdout == Path("x.png").read_bytes()


def test_unlabelled_images_are_evaluated(cli: Cli, trained: str, digits: Digits) -> None:
    """Images without labels: no digits and no neighbours, no labels, but the extremes and their figure."""
    np.save("own.npy", digits["test_images"][:5])
    arguments = ("evaluate", "--dataset", "own.npy", "--split", "train", "--extremes", 9, "--knn", 5)
    result = document(cli(*arguments, "--json", "-o", "own.png"))
    assert (result["digits"], result["knn"], result["total"]["count"], len(result["best"])) == ([], None, 5, 5)
    assert {image["label"] for image in result["worst"]} == {None}
    assert "nearest" not in cli(*arguments).out
    assert cli("evaluate", trained, trained, *arguments[1:]).code == 0
    assert facts(cli(*arguments, "-f", "csv").out)[trained, "worst_mse", "", result["worst"][0]["image"]]
