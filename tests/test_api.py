"""The Python API: light to import, with the same results as the commands."""

import dataclasses
import io
import json
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mnistae
from mnistae.core.errors import CheckpointError, DataError, DeviceError, LockedError, MnistaeError, OutputError, UsageError
from mnistae.store import runs
from tests.conftest import Cli, Digits

ROOT = Path(__file__).resolve().parents[1]
UNTYPED: Any = mnistae


class BrokenPath(os.PathLike[str]):
    """A path of the caller whose method fails."""

    def __fspath__(self) -> str:
        raise LookupError

    def __repr__(self) -> str:
        return "a broken path"


def png() -> bytes:
    """Return the bytes of a picture."""
    stream = io.BytesIO()
    Image.effect_noise((28, 28), 50).save(stream, "PNG")
    return stream.getvalue()


def run_python(program: str) -> str:
    """Run a program in a process of its own and return what it prints."""
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=100, text=True).stdout


def test_import_loads_neither_numpy_nor_torch() -> None:
    """Importing the package imports neither NumPy nor torch; using a model does not import torch."""
    light = run_python("import sys, mnistae; print(dir(mnistae), sorted({'numpy', 'torch', 'rich'} & set(sys.modules)))")
    assert light.endswith(" []\n")
    assert all(f"'{name}'" in light for name in mnistae.__all__)
    use = "import sys, mnistae, numpy as np; mnistae.load().reconstruct(np.eye(28))"
    assert run_python(f"{use}; print(sorted({{'torch', 'matplotlib', 'typer'}} & set(sys.modules)))") == "[]\n"


def test_unknown_names_are_missing() -> None:
    """A misspelt name raises AttributeError."""
    assert not hasattr(mnistae, "encode")
    with pytest.raises(ImportError):
        exec("from mnistae import lode")


def test_a_model_is_found_by_name_by_path_or_as_the_newest(trained: str) -> None:
    """Each reference loads the same weights; a Path is always a file, a plain string without a separator a name."""
    path = runs.model_path(trained)
    codes = [mnistae.load(word).encode(np.eye(28)).tolist() for word in (None, trained, str(path), path)]
    assert mnistae.load(trained, device=torch.device("cpu")).encode(np.eye(28)) == pytest.approx(np.array(codes[0]), rel=1e-5)
    assert codes[1:] == codes[:-1]
    assert repr(mnistae.load()) == "<tiny: 784-392-8-392-784>"
    assert repr(mnistae.load(path)) == f"<{path}: 784-392-8-392-784>"
    assert mnistae.load().checkpoint.metadata.history[-1].number == 2
    Path("tiny").write_bytes(path.read_bytes())
    assert mnistae.load(Path("tiny")).checkpoint.name is None
    assert mnistae.load("tiny").checkpoint.name == "tiny"


def test_arrays_are_what_the_commands_write(cli: Cli, trained: str, tiny: Path) -> None:
    """encode, decode and interpolate return the arrays that the commands write, bit for bit."""
    images, labels = mnistae.read_dataset(str(tiny))
    model = mnistae.load(trained)
    for words in (("encode", "0", "1", "2"), ("decode", "encode.npy"), ("interpolate", "0", "1", "2", "-n", "5")):
        assert cli(*words, "-o", f"{words[0]}.npy").code == 0
    codes = model.encode(images[:3])
    np.testing.assert_array_equal(codes, np.load("encode.npy"), strict=True)
    np.testing.assert_array_equal(model.decode(codes), np.load("decode.npy"), strict=True)
    np.testing.assert_array_equal(model.interpolate(images[:3], steps=5), np.load("interpolate.npy"), strict=True)
    assert images.shape == (600, 28, 28)
    assert labels.shape == (600,)
    assert images.dtype == labels.dtype == np.uint8


def test_metrics_equal_those_of_the_commands(cli: Cli, trained: str, tiny: Path) -> None:
    """Reconstruct and denoise return the metrics that `--json` prints."""
    images = mnistae.read_dataset(str(tiny))[0][[4, 7]]
    model = mnistae.load(trained)
    found = model.reconstruct(images)
    told = json.loads(cli("reconstruct", 4, 7, "--json").out)["images"]
    assert found.metrics.ssim.tolist() == [row["ssim"] for row in told]
    assert found.outputs.shape == found.originals.shape == (2, 28, 28)
    clean = model.denoise(images, "mask", level=0.3, seed=5)
    told = json.loads(cli("denoise", 4, 7, "-c", trained, "--noise", "mask", "--level", 0.3, "--seed", 5, "--json").out)
    assert clean.before.psnr.tolist() == [row["psnr"] for row in told["noisy"]]
    assert clean.after.psnr.tolist() == [row["psnr"] for row in told["denoised"]]
    assert clean.originals.shape == clean.noisy.shape == clean.outputs.shape == (2, 28, 28)


def test_image_formats(trained: str, digits: Digits) -> None:
    """uint8, floats in [0, 1], flat rows, lists and tensors are equivalent; a single image is a batch of one."""
    model, images = mnistae.load(trained), digits["train_images"][:3]
    floats = images.astype(np.float32) / np.float32(255)
    codes = model.encode(images)
    forms: list[Any] = [floats, floats.astype(float), images.reshape(3, 784), floats.tolist(), torch.from_numpy(floats)]
    forms += [floats.astype(">f8"), np.asfortranarray(floats), np.repeat(floats, 2, axis=0)[::2], np.ma.masked_array(floats)]
    forms += [torch.from_numpy(floats).requires_grad_(), [torch.from_numpy(row).requires_grad_() for row in floats]]
    forms += [[Image.fromarray(row) for row in images]]
    for form in forms:
        np.testing.assert_array_equal(model.encode(form), codes, strict=True)
    np.testing.assert_allclose(model.encode(images[0]), codes[:1], rtol=1e-5)
    bfloat16 = torch.from_numpy(floats).bfloat16()
    np.testing.assert_array_equal(model.encode(bfloat16), model.encode(bfloat16.float().numpy()))
    np.testing.assert_array_equal(model.decode(torch.tensor(codes, requires_grad=True)), model.decode(codes))
    objects = codes.astype(object)  # of a data frame
    objects[0, 0] = np.bool_(codes[0, 0])
    np.testing.assert_array_equal(model.decode(objects), model.decode(objects.astype(np.float32)), strict=True)
    for other in (images.tolist(), images.astype(np.float32), images.astype(object)):
        with pytest.warns(UserWarning, match="values from 0 to 255, divided by 255") as caught:
            np.testing.assert_array_equal(model.encode(other), codes)
        assert caught[0].filename == __file__


def test_unlike_images_are_warned_of(trained: str, digits: Digits) -> None:
    """Inverted images are used with the warning of the commands, already noisy ones without it."""
    model, inverted = mnistae.load(trained), 255 - digits["train_images"][:2]
    for call in (model.encode, model.reconstruct, model.denoise, model.interpolate):
        with pytest.warns(UserWarning, match=r"image [01] is unlike the training images: brighter .*inverted\?") as caught:
            call(inverted)
        assert [warning.filename for warning in caught] == [__file__] * 2
    model.denoise(inverted, "none")
    with pytest.warns(UserWarning, match="the training images may be inverted: background") as caught:
        next(UNTYPED.train(inverted, epochs=np.int64(1), batch_size=np.uint8(2), name="inverted"))
    assert caught[0].filename == __file__


def test_arguments_are_not_modified(trained: str, digits: Digits) -> None:
    """The caller's images and codes are not modified, and results do not share memory with them."""
    model = mnistae.load(trained)
    images = digits["train_images"][:2].astype(np.float32) / 255
    codes = model.encode(images)
    kept, kept_codes = images.copy(), codes.copy()
    outputs = [model.reconstruct(images).originals, model.denoise(images).originals, model.decode(codes)]
    for output in outputs:
        output[:] = 0
    assert (images == kept).all()
    assert (codes == kept_codes).all()


def test_training_is_byte_identical_to_the_command(cli: Cli, tiny: Path) -> None:
    """The same options give the same records, the same bytes and the same name."""
    assert cli("train", "--dataset", tiny, "-e", 2, "-b", 256, "-z", 4, "--seed", 3).code == 0
    (name,) = runs.run_names()
    before = runs.model_path(name).read_bytes()
    run = mnistae.train(str(tiny), bottleneck=4, epochs=2, batch_size=256, seed=3, force=True)
    epochs = list(run)
    assert runs.run_names() == [name]
    assert runs.model_path(name).read_bytes() == before
    assert epochs == list(mnistae.load().checkpoint.metadata.history)


def test_arrays_can_be_trained_on(cli: Cli, tiny: Path, digits: Digits) -> None:
    """An array gives the same weights as the same data in files; only the run is written, and no file is taken for it."""
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 256}
    assert len(list(mnistae.train(str(tiny), name="file", **settings))) == 1
    with pytest.warns(UserWarning, match="divided by 255") as caught:
        list(mnistae.train(digits["train_images"].astype(np.float32), name="floats", **settings))
    assert caught[0].filename == __file__
    for layer, array in mnistae.load("floats").checkpoint.weights.items():
        np.testing.assert_array_equal(array, mnistae.load("file").checkpoint.weights[layer])
    assert not list(Path().iterdir())
    assert next(mnistae.train(digits["train_images"], **settings)).number == 1
    assert runs.newest() == "lab-array-b256-seed0"
    Path("array").touch()  # not the data set of the run
    assert "error: data set 'array' was an array in memory, which is not saved" in cli("evaluate").err


@pytest.mark.parametrize("default", ["float32", "float64"])
def test_a_generator_that_is_kept_saves_its_run_at_exit(tiny: Path, default: str) -> None:
    """Whatever the default type of torch is."""
    prepare = f"import torch, mnistae; torch.set_default_dtype(torch.{default})"
    run_python(f"{prepare}; kept = mnistae.train({str(tiny)!r}, epochs=3, name='kept', device='cpu'); next(kept)")
    images = run_python(f"{prepare}; print(mnistae.load('kept', device='cpu').decode([[1] * 8]).shape)")
    assert (images, mnistae.load("kept") == mnistae.load("kept")) == ("(1, 28, 28)\n", False)


def test_results_are_compared_by_identity(digits: Digits) -> None:
    """The arrays in them have no single truth value, and no hash."""
    model = mnistae.load("lab")
    with warnings.catch_warnings(action="ignore"):
        reconstruction = model.reconstruct(digits["test_images"][:1])
    results: list[Any] = [model, model.checkpoint, reconstruction, reconstruction.metrics]
    assert all(result == result for result in results)  # noqa: PLR0124
    assert len({*results, *map(dataclasses.replace, results)}) == 8


def test_breaking_out_of_the_loop_keeps_the_last_epoch(cli: Cli, tiny: Path) -> None:
    """A run that is abandoned is saved and unlocked, and the command can resume it."""
    run = mnistae.train(str(tiny), name="half", epochs=3, batch_size=256)
    assert [epoch.number for epoch in (next(run), next(run))] == [1, 2]
    with pytest.raises(LockedError):
        next(mnistae.train(str(tiny), name="half", force=True))
    run.close()  # what Python does at the end of a for loop if no variable holds the generator
    assert len(mnistae.load("half").checkpoint.metadata.history) == 2
    assert cli("train", "--resume", "--name", "half").code == 0
    assert len(mnistae.load("half").checkpoint.metadata.history) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.encode([[1, 2], [3]]), DataError, "cannot convert images to an array: setting an array element"),
        (lambda m: m.encode("/x.png"), DataError, "images must be real numbers, not text: '/x.png'"),
        (lambda m: m.encode(None), DataError, "images must be real numbers, not objects: None"),
        (lambda m: m.encode(np.eye(28) * 1j), DataError, "images must be real numbers, not complex numbers: "),
        (lambda m: m.encode([np.ma.masked_equal(np.eye(28), 1)]), DataError, "images with masked values"),
        (lambda m: m.encode(Image.new("P", (28, 28))), DataError, "images with a colour palette"),
        (lambda m: m.encode([(Image.new("P", (28, 28)),)]), DataError, "images with a colour palette"),
        (lambda m: m.encode(Image.open(io.BytesIO(png()[:-30]))), DataError, "to an array: image file is truncated"),
        (lambda m: m.encode(torch.eye(28).to_sparse()), DataError, "to an array: can't convert Sparse layout tensor"),
        (lambda m: m.decode([[1], [1, 2]]), DataError, "cannot convert codes to an array: setting an array element"),
        (lambda m: m.decode([["a"] * 8]), DataError, "codes must be real numbers, not text: 'a'"),
        (lambda m: m.decode(np.full((1, 8), 1j)), DataError, "codes must be real numbers, not complex numbers: 1j"),
        (lambda m: m.decode(np.ma.masked_equal(np.eye(8), 1)), DataError, "codes with masked values"),
        (lambda m: m.decode([[np.ma.masked, *range(7)]]), DataError, "codes with masked values"),
        (lambda m: m.decode([[None] * 8]), DataError, "codes must be real numbers, not objects: None"),
        (lambda m: m.decode(np.full((1, 8), "1", object)), DataError, "codes must be real numbers, not objects: '1'"),
        (lambda m: m.decode(np.full((1, 8), np.timedelta64(1, "s"), object)), DataError, "codes must be real numbers, not obj"),
        (lambda m: m.decode([[10**400] * 8]), DataError, "cannot convert codes to an array: int too large"),
        (lambda m: m.decode([[1e300] * 8]), DataError, "invalid codes: values from 1e+300 to 1e+300"),
        (lambda _: UNTYPED.load(3), UsageError, "invalid value for --checkpoint: 3"),
        (lambda _: mnistae.load("a\0/b"), UsageError, r"invalid value for --checkpoint: 'a\x00/b'"),
        (lambda _: mnistae.load(BrokenPath()), UsageError, "invalid value for --checkpoint: a broken path"),
        (lambda _: mnistae.train(BrokenPath()), UsageError, "invalid value for --dataset: a broken path"),
        (lambda _: UNTYPED.load(device=3), UsageError, "unknown device: '3'"),
        (lambda _: mnistae.load("nobody"), CheckpointError, "no such checkpoint: 'nobody'"),
        (lambda _: mnistae.load(device="tpu"), UsageError, "unknown device: 'tpu'"),
        (lambda _: mnistae.load(device="cuda:999"), DeviceError, "device 'cuda:999'"),
        (lambda m: m.encode([1, 2, 3]), DataError, "unsupported array shape (3,)"),
        (lambda m: m.encode(np.zeros((0, 784))), DataError, "unsupported array shape (0, 784)"),
        (lambda m: m.interpolate(np.zeros((2, 784)), steps=1), UsageError, "invalid value for --steps: 1"),
        (lambda m: m.interpolate(np.eye(2, 784), steps=2.5), UsageError, "invalid value for --steps: 2.5"),
        (lambda m: m.interpolate(np.eye(2, 784), steps=1001), UsageError, "invalid value for --steps: 1001"),
        (lambda m: m.interpolate(np.eye(2, 784), slerp="no"), UsageError, "invalid value for --slerp: 'no'"),
        (lambda m: m.decode(np.zeros((2, 7))), DataError, "shape '(2, 7)'"),
        (lambda m: m.decode(np.full((1, 8), np.inf)), DataError, "invalid codes"),
        (lambda m: m.interpolate(np.eye(28)), UsageError, "interpolation needs at least two images"),
        (lambda m: m.denoise(np.zeros((2, 784)), "mask", level=2), UsageError, "invalid value for --level: 2"),
        (lambda m: m.denoise(np.eye(28), level=200.5), UsageError, "invalid value for --level: 200.5"),
        (lambda m: m.denoise(np.eye(28), "mask", level=1.0000001), UsageError, "invalid value for --level: 1.0000001"),
        (lambda m: m.denoise(np.eye(28), level="a"), UsageError, "invalid value for --level: 'a'"),
        (lambda m: m.denoise(np.zeros((2, 784)), seed=-1), UsageError, "invalid value for --seed: -1"),
        (lambda m: m.denoise(np.zeros((2, 784)), "snow"), UsageError, "unknown noise: 'snow'"),
        (lambda _: mnistae.read_dataset("nothing"), UsageError, "'nothing'"),
        (lambda _: UNTYPED.read_dataset(None), UsageError, "invalid value for --dataset: None"),
        (lambda _: mnistae.read_dataset(Path("no")), DataError, "data set not found: '/"),
        (lambda _: UNTYPED.read_dataset("glyphs", raw="no"), UsageError, "invalid value for --raw: 'no'"),
        (lambda _: mnistae.read_dataset("glyphs", "half"), UsageError, "unknown split: 'half'"),
        (lambda _: mnistae.train(["mnist"]), DataError, "images must be real numbers, not text: 'mnist'"),
        (lambda _: mnistae.train(Path("mnist")), DataError, "data set not found: '/"),
        (lambda _: UNTYPED.train("glyphs", recipe=[]), UsageError, "invalid value for --recipe: []"),
        (lambda _: UNTYPED.train("glyphs", epoch=1), UsageError, "unknown argument: 'epoch'"),
        (lambda _: UNTYPED.train("glyphs", warmup=1), UsageError, "unknown argument: 'warmup'"),
        (lambda _: UNTYPED.train("glyphs", force="no"), UsageError, "invalid value for --force: 'no'"),
        (lambda _: UNTYPED.train(np.eye(28), name=3), UsageError, "invalid value for --name: 3"),
        (lambda _: mnistae.train("glyphs", recipe="slow"), UsageError, "invalid value for --recipe: 'slow'"),
        (lambda _: mnistae.train("glyphs", epochs=10**5000), UsageError, "for --epochs: <int too long to print>"),
        (lambda _: mnistae.train(np.zeros((2, 784)), epochs=0), UsageError, "invalid value for --epochs: 0"),
        (lambda _: mnistae.train(np.zeros((2, 784)), name="../x"), UsageError, "invalid run name"),
        (lambda _: mnistae.train(np.zeros((2, 7))), DataError, "unsupported array shape (2, 7)"),
        (lambda _: next(mnistae.train(np.zeros((2, 784)), name="tiny")), OutputError, "run 'tiny' already exists"),
    ],
)
def test_invalid_values(trained: str, call: Any, error: type[MnistaeError], message: str) -> None:
    """Invalid values raise a MnistaeError with message and hint before anything is computed."""
    model = mnistae.load(trained)
    with pytest.raises(error) as failure:
        call(model)
    assert message in failure.value.message
    assert failure.value.hint


def test_the_example_runs(tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/example.py runs, and docs/python.md quotes it."""
    script = ROOT / "docs" / "example.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tiny)])
    runpy.run_path(str(script), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["epoch", "code", "reconstructed:", "denoised:", "interpolated:"]
    assert lines[-1].startswith("interpolated: 8 frames")
    assert script.read_text(encoding="utf-8") in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
