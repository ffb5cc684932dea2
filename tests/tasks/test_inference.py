"""Inference: reconstruct, denoise, interpolate and traverse."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistae.core.arrays import to_float
from mnistae.core.config import ModelConfig
from mnistae.core.records import UnitRange, count_active
from mnistae.model.numpy_network import NumpyNetwork
from mnistae.tasks import inference
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise

SIZES = ModelConfig(hidden=32, bottleneck=4)
GENERATOR = np.random.default_rng(0)
WEIGHTS = {name: GENERATOR.normal(0.01, 0.1, shape).astype(np.float32) for name, shape in SIZES.shapes().items()}
"""Random weights with positive codes."""

NETWORK = NumpyNetwork.from_weights(WEIGHTS)
IMAGES = GENERATOR.random((3, 784), np.float32)


@pytest.mark.parametrize("steps", [2, 5])
def test_interpolation_has_both_ends(steps: int) -> None:
    """The codes of a segment are evenly spaced, with both ends. A frame shared by two segments occurs once."""
    frames = inference.interpolate(NETWORK, IMAGES, steps=steps)
    codes = NETWORK.encode(IMAGES)
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    even = [NETWORK.decode(start * (1 - shares) + end * shares) for start, end in itertools.pairwise(codes)]
    np.testing.assert_allclose(frames, even, rtol=0, atol=1e-6)  # products of other numbers of rows may round differently
    np.testing.assert_array_equal(inference.join_segments(frames), np.concatenate([frames[0], frames[1, 1:]]))


def test_metrics_compare_with_the_clean_image() -> None:
    """Metrics before and after denoising both compare with the clean image."""
    found = inference.denoise(NETWORK, IMAGES, kind=Noise.UNIFORM, level=DEFAULT_LEVELS[Noise.UNIFORM], seed=0)
    np.testing.assert_allclose(found.before.mse, ((found.noisy - IMAGES) ** 2).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.after.mse, ((NETWORK.reconstruct(found.noisy) - IMAGES) ** 2).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.after.psnr, -10 * np.log10(found.after.mse))


def test_unit_ranges() -> None:
    """A unit is active if it is positive for at least one image. Ranges have six digits and end at the largest float32."""
    ranges = inference.unit_ranges(np.array([[0, 0, 1, 0.12345678], [2, -0.0, 1, 5]], np.float32))
    assert ranges == (UnitRange(0, 2), UnitRange(0, 0), UnitRange(1, 1), UnitRange(0.123457, 5))
    assert ([unit.is_dead for unit in ranges], count_active(ranges)) == ([False, True, False, False], 3)
    huge = {name: np.full_like(WEIGHTS[name], 1e20) for name in ("fc1.weight", "fc2.weight")}
    ranges = inference.unit_ranges(NumpyNetwork.from_weights(WEIGHTS | huge).encode(IMAGES))
    assert {unit.high for unit in ranges} == {3.40282e38}


def test_codes_of_bytes() -> None:
    """The codes do not depend on the batches."""
    images = GENERATOR.integers(0, 256, (4100, 784), np.uint8)
    np.testing.assert_allclose(inference.encode_uint8(NETWORK, images), NETWORK.encode(to_float(images)), rtol=1e-5)


@settings(max_examples=20)
@given(unit=st.integers(0, 3), steps=st.integers(2, 9), low=st.floats(0, 50), width=st.floats(0, 50))
def test_a_traversal_moves_one_unit(unit: int, steps: int, low: float, width: float) -> None:
    """The frames are those of the image's code with one number replaced by evenly spaced values, endpoints included."""
    ranges = [UnitRange(low, low + width)] * 4
    found = inference.traverse(NETWORK, IMAGES[0], ranges, units=[unit, 0], steps=steps)
    assert found.frames.shape == (2, steps, 784)
    assert (found.values[0, 0], found.values[0, -1]) == (np.float32(low), np.float32(low + width))
    np.testing.assert_allclose(found.values[0], np.linspace(low, low + width, steps), rtol=1e-5, atol=1e-6)
    for value, frame in zip(found.values[0], found.frames[0], strict=True):
        code = NETWORK.encode(IMAGES[:1])
        code[0, unit] = value
        np.testing.assert_allclose(NETWORK.decode(code)[0], frame, atol=1e-6)


def test_slerp_keeps_the_norm_of_codes() -> None:
    """Between codes of equal norm all points have that norm and equal angles between them."""
    start, end = np.array([3, 0, 0], np.float32), np.array([0, 3, 0], np.float32)
    points = inference.points_between(start, end, 5, slerp=True)
    angles = np.linspace(0, np.pi / 2, 5)
    assert points == pytest.approx(3 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1), abs=1e-6)


@pytest.mark.parametrize(("start", "end"), [([0, 0], [1, 2]), ([1, 2], [2, 4]), ([1, 2], [1, 2])])
def test_without_an_arc_slerp_is_linear(start: list[float], end: list[float]) -> None:
    """A zero code has no direction, and two parallel codes have no arc between them."""
    first, last = np.array(start, np.float32), np.array(end, np.float32)
    arc, line = (inference.points_between(first, last, 4, slerp=slerp) for slerp in (True, False))
    assert (arc == line).all()
