"""The commands that use a checkpoint: figures, metrics and documents."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnistae
from mnistae.core.arrays import to_float
from tests.conftest import REFERENCE, Cli, Digits, document


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("reconstruct digit:3/2 -c tiny -f svg", "reconstruct-digit_3_2-tiny.svg"),
        ("denoise 1 -c tiny --noise mask --level 0.2 --seed 5", "denoise-1-tiny-mask-level0.2-seed5.png"),
        ("interpolate 0 1 --closed -f strip", "interpolate-0-1-closed-strip.png"),
        ("interpolate 0 1 -n 5 -f gif --ping-pong --fps 20", "interpolate-0-1-steps5-fps20-ping_pong.gif"),
        ("traverse digit:3 -f npy", "traverse-digit_3.npy"),
        ("traverse 1 --unit 0 -n 3 -c tiny -f strip", "traverse-1-tiny-unit0-steps3-strip.png"),
    ],
)
def test_default_name_follows_from_the_arguments(cli: Cli, trained: str, words: str, path: str) -> None:
    """Standard output is the path alone."""
    answer = cli(*words.split())
    assert (answer.code, answer.out) == (0, f"{path}\n"), answer.err
    assert Path(path).is_file()


def test_interpolate_has_its_options(cli: Cli, trained: str) -> None:
    """A closed path ends where it began, without that frame; a GIF goes back without both ends; slerp takes another way."""
    for words in ("0 1 2 0", "0 1 2 --closed", "0 1 2 --slerp"):
        assert cli("interpolate", *words.split(), "-n", 5, "-o", f"{words[6:]}.npy").code == 0
    opened, closed, curved = (np.load(f"{name}.npy") for name in ("0", "--closed", "--slerp"))
    assert (closed == opened[:-1]).all()
    assert np.allclose(curved[::4], opened[:9:4], atol=1e-5)
    assert not np.allclose(curved, opened[:9], atol=1e-4)
    told = document(cli("interpolate", 0, 1, 2, "--closed", "--json"))
    assert (told["closed"], len(told["codes"]), len(told["images"])) == (True, 3, 3)
    assert cli("interpolate", 0, 1, "-n", 5, "--ping-pong", "--fps", 20, "-o", "x.gif").code == 0
    with Image.open("x.gif") as gif:
        assert (gif.n_frames, gif.info["duration"]) == (8, 50)  # type: ignore[attr-defined]


def test_reconstruct_measures_each_image(cli: Cli, trained: str, digits: Digits) -> None:
    """MSE, PSNR and SSIM are a table on stderr and numbers in the document; photos are preprocessed, unless --raw."""
    Image.fromarray(255 - digits["train_images"][3]).resize((280, 280)).save("photo.png")
    Image.fromarray(digits["train_images"][3]).save("small.png")
    shown = cli("reconstruct", "1", "photo.png", "-o", "x.png")
    assert "photo.png: " in shown.err
    assert shown.err.splitlines()[-3].split() == ["image", "label", "MSE", "PSNR", "SSIM"]
    told = document(cli("reconstruct", "1", "3", "small.png", "--raw", "--json"))
    assert (told["output"], told["dataset"]) == (None, "tiny")
    one, digit, file = told["images"]
    assert shown.err.splitlines()[-2].split() == ["1", "0", f"{one['mse']:.6f}", f"{one['psnr']:.2f}", f"{one['ssim']:.4f}"]
    assert one["psnr"] == pytest.approx(-10 * np.log10(one["mse"]))
    assert (file["image"], file["mse"]) == ("small.png", pytest.approx(digit["mse"], rel=1e-6))
    assert cli("reconstruct", "photo.png", "--raw").code == 4
    assert document(cli("reconstruct", "1", "--json", "-o", "y.png"))["output"] == "y.png"


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
    row = cli("denoise", "1", "-c", "tiny", "--level", 0).err.splitlines()[-1].split()
    assert (row[2], row[-1]) == ("inf", "-")  # without noise there is nothing to gain


SUMMARY = """\
----------------------------------------------------------------
Layer (type)           Output Shape  Param #
----------------------------------------------------------------
fc1 (Linear, ReLU)     [-1, 1, 392]  307,720
fc2 (Linear, ReLU)     [-1, 1, 8]      3,144
fc3 (Linear, ReLU)     [-1, 1, 392]    3,528
fc4 (Linear, Sigmoid)  [-1, 1, 784]  308,112
----------------------------------------------------------------
Total params: 622,504
Trainable params: 622,504
Non-trainable params: 0
Total mult-adds (M): 0.62
----------------------------------------------------------------
Input size (MB): 0.00
Forward/backward pass size (MB): 0.01
Params size (MB): 2.37
Estimated Total Size (MB): 2.39
----------------------------------------------------------------
"""


def test_summary_is_the_labs_table(cli: Cli, trained: str) -> None:
    """Without a checkpoint the table is that of the lab; with one it is followed by how that was trained."""
    assert cli("summary").out == SUMMARY
    shown = cli("summary", "-c", trained).out
    assert re.match(rf"{re.escape(SUMMARY)}\ncheckpoint +tiny\n(.*\n)*recipe +lab\n(.*\n)*seed +0\n", shown)


def test_the_labs_own_weights(cli: Cli, real_mnist: Path) -> None:
    """The lab's weights give its published errors on MNIST, with all units active."""
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
    highs = [unit["high"] for unit in document(cli("traverse", 1, "-n", 2, "--json"))["units"]]
    assert (len(highs), max(highs)) == (8, pytest.approx(85.75, abs=0.01))
    labels = [image["label"] for image in document(cli("reconstruct", "1", "2", "--json"))["images"]]
    assert labels == [0, 4]
