"""The kinds of noise."""

import numpy as np
import pytest

from mnistae.tasks import noise
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise

GREY = np.full((50, 784), 0.5, np.float32)


@pytest.mark.parametrize("kind", list(Noise))
def test_noise_is_seeded_and_stays_an_image(kind: Noise) -> None:
    """The same seed gives the same noise, another seed different noise, and every value stays in [0, 1]."""
    first = noise.add(GREY, kind, level=DEFAULT_LEVELS[kind], seed=0)

    assert first.dtype == np.float32
    assert ((first >= 0) & (first <= 1)).all()
    assert (first == noise.add(GREY, kind, level=DEFAULT_LEVELS[kind], seed=0)).all()
    assert (first == GREY).all() == (kind is Noise.NONE)
    if kind is not Noise.NONE:
        assert (first != noise.add(GREY, kind, level=DEFAULT_LEVELS[kind], seed=1)).any()


@pytest.mark.parametrize("kind", list(Noise))
def test_noise_does_not_depend_on_the_number_of_images(kind: Noise) -> None:
    """The figure of `denoise 1` is the first row of that of `denoise 1 2`."""
    several = noise.add(GREY, kind, level=DEFAULT_LEVELS[kind], seed=0)
    assert (several[:3] == noise.add(GREY[:3], kind, level=DEFAULT_LEVELS[kind], seed=0)).all()


def test_uniform_noise_fills_the_labs_interval() -> None:
    """The noise before clipping is uniform in [-0.625, 0.625]: tested where nothing is clipped."""
    added = noise.add(GREY, Noise.UNIFORM, level=0.4, seed=0) - GREY
    assert added.min() == pytest.approx(-0.4, abs=1e-3)
    assert added.max() == pytest.approx(0.4, abs=1e-3)
    assert added.std() == pytest.approx(0.4 / 3**0.5, rel=0.01)


@pytest.mark.parametrize(("kind", "values"), [(Noise.SALT_PEPPER, {0.0: 0.1, 1.0: 0.1}), (Noise.MASK, {0.0: 0.2})])
def test_fractions_of_pixels(kind: Noise, values: dict[float, float]) -> None:
    """A level of 0.2 changes a fifth of the pixels; salt and pepper are half of them each."""
    noisy = noise.add(GREY, kind, level=0.2, seed=0)
    for value, fraction in values.items():
        assert (noisy == value).mean() == pytest.approx(fraction, abs=0.01)
    untouched = ~np.isin(noisy, list(values))
    assert (noisy[untouched] == GREY[untouched]).all()


def test_gaussian_noise_has_its_standard_deviation() -> None:
    """The level of gaussian noise is its standard deviation."""
    assert (noise.add(GREY, Noise.GAUSSIAN, level=0.1, seed=0) - GREY).std() == pytest.approx(0.1, rel=0.02)
