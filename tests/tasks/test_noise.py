"""The kinds of noise."""

import numpy as np
import pytest

from mnistae.tasks import noise
from mnistae.tasks.noise import DEFAULT_LEVELS, Noise

GREY = np.full((50, 784), 0.5, np.float32)


@pytest.mark.parametrize("kind", list(Noise))
def test_noise_is_seeded_and_stays_an_image(kind: Noise) -> None:
    """The noise of an image depends on the seed, not on the number of images, and every value stays in [0, 1]."""
    first, other = (noise.add(GREY, kind, level=DEFAULT_LEVELS[kind], seed=seed) for seed in (0, 1))
    assert first.dtype == np.float32
    assert ((first >= 0) & (first <= 1)).all()
    assert (first[:3] == noise.add(GREY[:3], kind, level=DEFAULT_LEVELS[kind], seed=0)).all()
    assert (first == GREY).all() == (first == other).all() == (kind is Noise.NONE)


def test_noise_has_its_level() -> None:
    """The level is the half-width of uniform noise and the standard deviation of gaussian noise, where nothing is clipped."""
    uniform, gaussian = (noise.add(GREY, kind, level=0.1, seed=0) - GREY for kind in (Noise.UNIFORM, Noise.GAUSSIAN))
    assert (uniform.min(), uniform.max()) == pytest.approx((-0.1, 0.1), abs=1e-3)
    assert (uniform.std(), gaussian.std()) == pytest.approx((0.1 / 3**0.5, 0.1), rel=0.02)


@pytest.mark.parametrize(("kind", "values"), [(Noise.SALT_PEPPER, {0.0: 0.1, 1.0: 0.1}), (Noise.MASK, {0.0: 0.2})])
def test_fractions_of_pixels(kind: Noise, values: dict[float, float]) -> None:
    """A level of 0.2 changes a fifth of the pixels; salt and pepper are half of them each."""
    noisy = noise.add(GREY, kind, level=0.2, seed=0)
    for value, fraction in values.items():
        assert (noisy == value).mean() == pytest.approx(fraction, abs=0.01)
    untouched = ~np.isin(noisy, list(values))
    assert (noisy[untouched] == GREY[untouched]).all()
