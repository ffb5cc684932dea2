"""The commands that use a checkpoint: figures, metrics and documents."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mnistae
from mnistae.core.arrays import to_float
from tests.conftest import REFERENCE, Cli
from tests.support.client import Result


def document(answer: Result) -> Any:
    """Return the JSON document of a successful command."""
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("reconstruct", "1", "2"), "reconstruct-1-2.png"),
        (("reconstruct", "train:1"), "reconstruct-train_1.png"),
        (("reconstruct", "digit:3/2", "-c", "tiny"), "reconstruct-digit_3_2-tiny.png"),
        (("reconstruct", "1", "-f", "svg"), "reconstruct-1.svg"),
        (("denoise", "1", "2", "-c", "tiny"), "denoise-1-2-tiny.png"),
        (
            ("denoise", "1", "-c", "tiny", "--noise", "mask", "--level", "0.2", "--seed", "5"),
            "denoise-1-tiny-mask-level0.2-seed5.png",
        ),
        (("interpolate", "1", "2"), "interpolate-1-2.png"),
        (("interpolate", "1", "2", "--steps", "4", "-f", "gif"), "interpolate-1-2-steps4.gif"),
        (("interpolate", "1", "2", "-f", "strip"), "interpolate-1-2-strip.png"),
        (("traverse", "digit:3"), "traverse-digit_3.png"),
        (("traverse", "1", "--unit", "0", "-n", "3", "-c", "tiny", "-f", "strip"), "traverse-1-tiny-unit0-steps3-strip.png"),
    ],
    ids=str,
)
def test_default_name_follows_from_the_arguments(cli: Cli, trained: str, words: tuple[str, ...], path: str) -> None:
    """The same command rewrites the same file with the same bytes, and prints only its path."""
    first = cli(*words)
    assert (first.code, first.out) == (0, f"{path}\n"), first.err
    before = Path(path).read_bytes()
    assert cli(*words).code == 0
    assert Path(path).read_bytes() == before


def test_reconstruct_measures_each_image(cli: Cli, trained: str) -> None:
    """MSE, PSNR and SSIM are a table on stderr and numbers in the document; --json without -o draws nothing."""
    shown = cli("reconstruct", "1", "test:2")
    told = document(cli("reconstruct", "1", "test:2", "--json"))

    assert shown.err.splitlines()[-3].split() == ["image", "label", "MSE", "PSNR", "SSIM"]
    images = told["images"]
    assert [image["image"] for image in images] == ["1", "test:2"]
    one = images[0]
    assert shown.err.splitlines()[-2].split() == ["1", "0", f"{one['mse']:.6f}", f"{one['psnr']:.2f}", f"{one['ssim']:.4f}"]
    assert one["psnr"] == pytest.approx(-10 * np.log10(one["mse"]))
    assert told["output"] is None
    assert told["dataset"] == "tiny"
    assert document(cli("reconstruct", "1", "--json", "-o", "x.png"))["output"] == "x.png"
    assert Path("x.png").exists()


def test_own_picture_is_told_about(cli: Cli, trained: str, digits: dict[str, np.ndarray]) -> None:
    """A photo is preprocessed, with the steps on stderr; a 28x28 image is not, nor is any with --raw."""
    big = Image.fromarray(255 - digits["train_images"][3]).resize((280, 280))
    big.save("photo.png")
    Image.fromarray(digits["train_images"][3]).save("small.png")

    photo = cli("reconstruct", "photo.png", "--json")
    assert "photo.png: " in photo.err
    same = document(cli("reconstruct", "small.png", "3", "--json"))["images"]
    assert same[0]["mse"] == pytest.approx(same[1]["mse"], rel=1e-6)
    raw = document(cli("reconstruct", "small.png", "--raw", "--json"))["images"]
    assert raw[0]["mse"] == pytest.approx(same[1]["mse"], rel=1e-6)
    assert cli("reconstruct", "photo.png", "--raw").code == 4


def test_denoise_tells_before_and_after(cli: Cli, trained: str) -> None:
    """PSNR before and after, with noise that depends on the seed; with --noise none there is no reference."""
    told = document(cli("denoise", "1", "-c", "tiny", "--json"))
    assert told["noise"] == {"kind": "uniform", "level": 0.625, "seed": 0}
    before, after = told["noisy"][0]["psnr"], told["denoised"][0]["psnr"]
    row = cli("denoise", "1", "-c", "tiny").err.splitlines()[-1].split()
    assert row == ["1", "0", f"{before:.2f}", f"{after:.2f}", f"{after - before:.2f}"]
    again = document(cli("denoise", "1", "-c", "tiny", "--json", "--seed", 1))
    assert again["noisy"] != told["noisy"]
    none = document(cli("denoise", "1", "-c", "tiny", "--noise", "none", "--json"))
    assert (none["noisy"], none["denoised"]) == (None, None)
    assert cli("denoise", "1", "-c", "tiny", "--noise", "none").code == 0


def test_interpolation_ends_are_reconstructions(cli: Cli, trained: str) -> None:
    """The first and last frame equal the reconstructions; segments share the frame between them."""
    assert cli("interpolate", "1", "2", "--steps", 8, "-o", "frames.npy").code == 0
    frames = np.load("frames.npy")
    assert frames.shape == (8, 28, 28)
    told = document(cli("reconstruct", "1", "2", "--json"))["images"]
    pixels = digits_of(cli)
    for frame, image, measured in zip((frames[0], frames[-1]), pixels, told, strict=True):
        assert ((frame - image) ** 2).mean() == pytest.approx(measured["mse"], rel=1e-5)
    assert cli("interpolate", "1", "2", "0", "--steps", 8, "-o", "three.npy").code == 0
    assert np.load("three.npy").shape == (15, 28, 28)
    np.testing.assert_allclose(np.load("three.npy")[:8], frames, rtol=0, atol=1e-6)


def digits_of(_cli: Cli) -> list[np.ndarray]:
    """Return training images 1 and 2 of the tiny data."""
    from mnistae.data.sets import glyphs

    images, _ = glyphs.draw(3, seed=0)
    return [images[1] / np.float32(255), images[2] / np.float32(255)]


def test_evaluate_tells_everything(cli: Cli, trained: str) -> None:
    """MSE, PSNR and SSIM by digit and in total, active units, PCA and denoising; the digits add up to the total."""
    told = document(cli("evaluate", "--json"))
    rows, total = told["digits"], told["total"]
    assert [row["digit"] for row in rows] == list(range(10))
    assert sum(row["count"] for row in rows) == total["count"] == 100
    mean = sum(row["mse"] * row["count"] for row in rows) / 100
    assert mean == pytest.approx(total["mse"])
    assert 0 <= told["active_units"] <= told["bottleneck"] == 8
    assert told["denoised_mse"] > 0
    shown = cli("evaluate", "--split", "train")
    assert shown.out.splitlines()[0] == "tiny on the training images of tiny"
    assert shown.out.splitlines()[2].split() == ["digit", "images", "MSE", "PSNR", "SSIM"]


def test_summary_is_the_labs_table(cli: Cli) -> None:
    """Without a checkpoint the table is that of the lab."""
    assert cli("summary").out == (
        "----------------------------------------------------------------\n"
        "Layer (type)           Output Shape  Param #\n"
        "----------------------------------------------------------------\n"
        "fc1 (Linear, ReLU)     [-1, 1, 392]  307,720\n"
        "fc2 (Linear, ReLU)     [-1, 1, 8]      3,144\n"
        "fc3 (Linear, ReLU)     [-1, 1, 392]    3,528\n"
        "fc4 (Linear, Sigmoid)  [-1, 1, 784]  308,112\n"
        "----------------------------------------------------------------\n"
        "Total params: 622,504\n"
        "Trainable params: 622,504\n"
        "Non-trainable params: 0\n"
        "Total mult-adds (M): 0.62\n"
        "----------------------------------------------------------------\n"
        "Input size (MB): 0.00\n"
        "Forward/backward pass size (MB): 0.01\n"
        "Params size (MB): 2.37\n"
        "Estimated Total Size (MB): 2.39\n"
        "----------------------------------------------------------------\n"
    )


def test_summary_of_a_checkpoint_tells_its_training(cli: Cli, trained: str) -> None:
    """With a checkpoint the table is followed by how it was trained."""
    lines = cli("summary", "-c", trained).out.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines if line.startswith(("recipe", "device", "seed")))
    assert told["recipe"] == "lab"
    assert told["seed"] == "0"


def test_the_labs_own_weights(cli: Cli, real_mnist: Path) -> None:
    """The lab's weights give its published errors on MNIST, with all units active, and figures 2 to 6."""
    if not REFERENCE.exists():
        pytest.skip(f"the lab's weights are not at {REFERENCE}")
    assert cli("checkpoints", "import", REFERENCE, "--name", "lab").code == 0
    test = document(cli("evaluate", "-c", "lab", "--json"))
    images = to_float(mnistae.read_dataset("mnist")[0].reshape(-1, 784))
    outputs = mnistae.load("lab").network.reconstruct(images)

    assert test["total"]["mse"] == pytest.approx(0.0210637, abs=5e-7)
    assert ((outputs - images) ** 2).mean(dtype=float) == pytest.approx(0.0212587, abs=5e-7)
    assert (test["active_units"], test["bottleneck"]) == (8, 8)
    assert test["pca_mse"] == pytest.approx(0.0375, abs=1e-4)
    assert test["noisy_mse"] == pytest.approx(0.0676, abs=1e-4)
    assert test["denoised_mse"] == pytest.approx(0.0455, abs=1e-4)
    labels = [image["label"] for image in document(cli("reconstruct", "1", "2", "--json"))["images"]]
    assert labels == [0, 4]
    for words in (("reconstruct", "1", "2"), ("denoise", "1", "2", "-c", "lab"), ("interpolate", "1", "2", "--steps", "8")):
        assert cli(*words).code == 0
    assert cli("interpolate", "1", "2", "--steps", 8, "-f", "strip", "-o", "strip.png").code == 0
    with Image.open(io.BytesIO(Path("strip.png").read_bytes())) as strip:
        assert strip.size == (8 * 112, 112)
