"""Row F7 of the fault matrix: a number that is not finite ends the training and leaves the last good state."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.client import ForkServer, Result, is_clean_error, log_result, trials
from tests.support.resumable import digest

EPOCHS, STEPS = 4, 3
PLACES = ("loss", "gradient", "weights", "first", "second")


@pytest.fixture(scope="module")
def words(data: Path) -> tuple[object, ...]:
    """A run of four epochs of three steps."""
    return ("train", "--dataset", data, "-e", EPOCHS, "-b", 256, "--hidden", 64, "--name", "r", "-q")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, words: tuple[object, ...]) -> str:
    """The digest of the model of an undisturbed run."""
    home = tmp_path_factory.mktemp("whole")
    assert forks.run(*words, home=home).code == 0
    return digest(home)


def check(forks: ForkServer, home: Path, words: tuple[object, ...], ended: Result, epochs: int) -> str:
    """Check that the run diverged after `epochs` good ones, and return the digest that it ends with when it is resumed."""
    assert ended.code == 6, ended.err
    assert is_clean_error(ended), ended.err
    assert "diverged" in ended.err
    if not epochs:
        assert not (home / "home" / "checkpoints" / "r").exists()
        assert forks.run(*words, home=home).code == 0
        return digest(home)
    assert forks.run("checkpoints", "verify", "r", home=home).code == 0
    assert len((home / "home" / "checkpoints" / "r" / "history.csv").read_text().splitlines()) == epochs + 1
    resumed = forks.run("train", "--resume", "--name", "r", "-q", home=home)
    assert resumed.code == 0, resumed.err
    return digest(home)


def test_not_finite(forks: ForkServer, words: tuple[object, ...], whole: str, tmp_path: Path) -> None:
    """F7: NaN or infinity anywhere ends with 6 and the last good epoch, from which a resume ends with the same bytes."""
    cases = [(place, at, value) for at in (4, 0, 8, 11) for value in ("inf", "nan") for place in PLACES]
    cases = cases[: trials(6, len(cases))]
    for number, case in enumerate(cases):
        home = tmp_path / str(number)
        ended = forks.run(*words, home=home, before=(("child_faults.not_finite", case),))
        assert check(forks, home, words, ended, case[1] // STEPS) == whole, case
    log_result(
        "F7", trials=len(cases), note="NaN and infinity in loss, gradient, weights and moments, resumed to the same bytes"
    )


def test_not_finite_control(forks: ForkServer, words: tuple[object, ...], whole: str, tmp_path: Path) -> None:
    """F7, the negative control: without the check of the numbers, every one of them is seen by the test above."""
    seen = 0
    for place in PLACES:
        before = (("child_faults.disable_finite_check", None), ("child_faults.not_finite", (place, 4, "nan")))
        ended = forks.run(*words, home=tmp_path / place, before=before)
        with pytest.raises(AssertionError):
            assert check(forks, tmp_path / place, words, ended, 1) == whole
        seen += 1
    log_result("F7", trials=0, control=f"no check of the numbers: seen {seen} times of {len(PLACES)}")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_images(forks: ForkServer, tmp_path: Path, value: float) -> None:
    """F7: images that are not finite are refused as damaged data, before a run is begun."""
    images = np.full((20, 28, 28), 0.5, np.float32)
    images[7, 3, 3] = value
    np.save(tmp_path / "images.npy", images)
    ended = forks.run("train", "--dataset", tmp_path / "images.npy", "-e", 1, "--name", "r", home=tmp_path)
    assert ended.code == 4, ended.err
    assert is_clean_error(ended)
    assert not (tmp_path / "home" / "checkpoints" / "r").exists()
    log_result("F7", trials=1, note="images that are not finite: exit 4")


def test_rate_without_measure(forks: ForkServer, words: tuple[object, ...], tmp_path: Path) -> None:
    """F7: rates up to the largest number either train or end with 6; never with a state that cannot be read."""
    for rate in ("10", "1e10", "1e30", "1e38", "1e300"):
        ended = forks.run(*words, "--lr", rate, home=tmp_path / rate)
        assert ended.code in {0, 6}, ended.err
        assert ended.code == 0 or is_clean_error(ended), ended.err
        assert ended.code == 0 or "hint: lower --lr" in ended.err
        assert "RuntimeWarning" not in ended.err
        assert forks.run("checkpoints", "verify", home=tmp_path / rate).code == 0
    log_result("F7", trials=5, note="learning rates up to 1e300")
