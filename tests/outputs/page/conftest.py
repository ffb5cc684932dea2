"""One report for all tests of this folder."""

import functools
from collections.abc import Iterator

import jinja2
import pytest

from mnistae.core.arrays import to_float
from mnistae.data.references import InputImage
from mnistae.data.sets import resolve
from mnistae.data.sets.dataset import Split, no_progress
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.outputs.page import content
from mnistae.outputs.page.content import Content
from mnistae.store import builtin, runs
from tests.conftest import Digits, write_idx


@pytest.fixture(scope="package", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile the template once, not for every page."""
    cache = jinja2.FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2, "Environment", functools.partial(jinja2.Environment, bytecode_cache=cache))
        yield


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, digits: Digits) -> Content:
    """The content of a report of the built-in `lab` on the tiny digits."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNISTAE_HOME", str(folder / "home"))
        lab, denoise = (runs.load(str(builtin.FOLDER / name / runs.MODEL)) for name in (builtin.LAB, builtin.DENOISE))
        network, denoiser = (NumpyNetwork.from_weights(checkpoint.weights) for checkpoint in (lab, denoise))
        data = resolve.open_dataset(str(write_idx(folder / "tiny", digits)))
        images = [InputImage(str(k), to_float(data.image(Split.TRAIN, k)), 0) for k in (1, 2)]
        return content.collect((lab, network), denoiser, data, images, no_progress)
