"""Inference: reconstruct, denoise, interpolate and traverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistae.core.arrays import to_float
from mnistae.core.config import ModelConfig
from mnistae.core.errors import DeviceError
from mnistae.core.records import UnitRange, count_active
from mnistae.model import backend
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.tasks import inference
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise

SIZES = ModelConfig(hidden=32, bottleneck=4)


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    """Random weights with positive codes."""
    generator = np.random.default_rng(0)
    return {name: generator.normal(0.01, 0.1, shape).astype(np.float32) for name, shape in SIZES.shapes().items()}


@pytest.fixture
def images() -> np.ndarray:
    """Three random images."""
    return np.random.default_rng(1).random((3, 784), np.float32)


def test_torch_on_the_cpu_equals_numpy(weights: dict[str, np.ndarray], images: np.ndarray) -> None:
    """A torch device gives the same results as NumPy."""
    numpy, torch = backend.load_network(weights, None), backend.load_network(weights, "cpu")
    assert isinstance(numpy, NumpyNetwork)
    assert torch.config == numpy.config == SIZES
    codes = numpy.encode(images)
    np.testing.assert_allclose(torch.encode(images), codes, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(torch.decode(codes), numpy.decode(codes), atol=1e-6)
    np.testing.assert_allclose(torch.reconstruct(images), numpy.reconstruct(images), atol=1e-6)


def test_an_unavailable_device_is_refused(weights: dict[str, np.ndarray]) -> None:
    """Inference on a missing device is an error; there is no silent fallback."""
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has MPS")
    with pytest.raises(DeviceError, match="device 'mps' is not available"):
        backend.load_network(weights, "mps")


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_interpolation_has_both_ends(weights: dict[str, np.ndarray], images: np.ndarray, steps: int) -> None:
    """The first and last frame of each segment are the reconstructions of its images; the codes between are evenly spaced."""
    network = backend.load_network(weights, None)
    frames = inference.interpolate(network, images, steps=steps)
    ends = network.reconstruct(images)

    assert frames.shape == (2, steps, 784)
    for segment in (0, 1):
        # products of different numbers of rows may round differently
        np.testing.assert_allclose(frames[segment, 0], ends[segment], rtol=0, atol=1e-6)
        np.testing.assert_allclose(frames[segment, -1], ends[segment + 1], rtol=0, atol=1e-6)
    codes = network.encode(images)
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    for segment in (0, 1):
        even = network.decode(codes[segment] * (1 - shares) + codes[segment + 1] * shares)
        np.testing.assert_allclose(frames[segment], even, rtol=0, atol=1e-6)


def test_a_frame_shared_by_two_segments_occurs_once(weights: dict[str, np.ndarray], images: np.ndarray) -> None:
    """Two segments of five frames make a sequence of nine."""
    frames = inference.interpolate(backend.load_network(weights, None), images, steps=5)
    np.testing.assert_array_equal(inference.join_segments(frames), np.concatenate([frames[0], frames[1, 1:]]))
    assert len(inference.join_segments(frames)) == 9


def test_metrics_compare_with_the_clean_image(weights: dict[str, np.ndarray], images: np.ndarray) -> None:
    """Metrics before and after denoising both compare with the clean image."""
    network = backend.load_network(weights, None)
    found = inference.denoise(network, images, kind=Noise.UNIFORM, level=DEFAULT_LEVELS[Noise.UNIFORM], seed=0)
    np.testing.assert_allclose(found.before.mse, ((found.noisy - images) ** 2).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.after.mse, ((network.reconstruct(found.noisy) - images) ** 2).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.after.psnr, -10 * np.log10(found.after.mse))


def test_active_units_are_those_that_ever_fire(weights: dict[str, np.ndarray]) -> None:
    """A unit is active if it is positive for at least one image."""
    images = np.zeros((5000, 784), np.uint8)
    images[4321] = 255  # in the second block that is looked at
    weights["fc2.bias"][:] = (-1, -1, 1, -1)
    weights["fc1.bias"][:] = 0
    weights["fc1.weight"][:] = 1
    weights["fc2.weight"][:] = 0
    weights["fc2.weight"][0] = 1  # fires for the one bright image only
    ranges = inference.unit_ranges(inference.encode_uint8(backend.load_network(weights, None), images))
    assert [unit.is_dead for unit in ranges] == [False, True, False, True]
    assert count_active(ranges) == 2
    assert (ranges[0].low, ranges[2]) == (0, UnitRange(1, 1))


def test_unit_ranges_are_the_extremes_of_the_codes(weights: dict[str, np.ndarray]) -> None:
    """The ranges are those of all codes, with six digits, and do not depend on the batches."""
    images = np.random.default_rng(2).integers(0, 256, (4100, 784), np.uint8)
    network = backend.load_network(weights, None)
    codes = network.encode(to_float(images))
    ranges = inference.unit_ranges(inference.encode_uint8(network, images))
    np.testing.assert_allclose([unit.low for unit in ranges], codes.min(axis=0), rtol=1e-5)
    np.testing.assert_allclose([unit.high for unit in ranges], codes.max(axis=0), rtol=1e-5)
    assert all(float(f"{end:.6g}") == end for unit in ranges for end in (unit.low, unit.high))


def test_unit_ranges_of_overflowing_codes_are_finite(weights: dict[str, np.ndarray]) -> None:
    """The range of codes that overflow ends at the largest float32."""
    weights["fc1.weight"][:] = 1e20
    weights["fc2.weight"][:] = 1e20
    ranges = inference.unit_ranges(
        inference.encode_uint8(backend.load_network(weights, None), np.full((2, 784), 255, np.uint8))
    )
    assert {unit.high for unit in ranges} == {3.40282e38}


@given(unit=st.integers(0, 3), steps=st.integers(2, 9), low=st.floats(0, 50), width=st.floats(0, 50))
def test_a_traversal_moves_one_unit(unit: int, steps: int, low: float, width: float) -> None:
    """The frames are those of the image's code with one number replaced by evenly spaced values, endpoints included."""
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(0.01, 0.1, shape).astype(np.float32) for name, shape in SIZES.shapes().items()}
    network, image = backend.load_network(weights, None), generator.random(784, np.float32)
    ranges = [UnitRange(low, low + width)] * 4
    found = inference.traverse(network, image, ranges, units=[unit, 0], steps=steps)
    assert found.frames.shape == (2, steps, 784)
    assert (found.values[0, 0], found.values[0, -1]) == (np.float32(low), np.float32(low + width))
    np.testing.assert_allclose(found.values[0], np.linspace(low, low + width, steps), rtol=1e-5, atol=1e-6)
    for value, frame in zip(found.values[0], found.frames[0], strict=True):
        code = network.encode(image[None])
        code[0, unit] = value
        np.testing.assert_allclose(network.decode(code)[0], frame, atol=1e-6)


def test_slerp_keeps_the_norm_of_codes() -> None:
    """Between codes of equal norm all points have that norm and equal angles between them."""
    start, end = np.array([3, 0, 0], np.float32), np.array([0, 3, 0], np.float32)
    points = inference.slerp_points(start, end, 5)
    assert np.linalg.norm(points, axis=1) == pytest.approx([3] * 5)
    assert points[2] == pytest.approx([3 / 2**0.5, 3 / 2**0.5, 0])
    cosines = (points[1:] * points[:-1]).sum(axis=1) / 9
    assert cosines == pytest.approx([np.cos(np.pi / 8)] * 4)
    for points in (inference.slerp_points(start, end, 2), inference.lerp_points(start, end, 2)):
        assert points == pytest.approx(np.stack([start, end]), abs=1e-6)


@pytest.mark.parametrize(("start", "end"), [([0, 0], [1, 2]), ([1, 2], [2, 4]), ([1, 2], [1, 2])])
def test_without_an_arc_slerp_is_linear(start: list[float], end: list[float]) -> None:
    """A zero code has no direction, and two parallel codes have no arc between them."""
    first, last = np.array(start, np.float32), np.array(end, np.float32)
    assert (inference.slerp_points(first, last, 4) == inference.lerp_points(first, last, 4)).all()
