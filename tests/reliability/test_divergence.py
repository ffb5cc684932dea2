"""Row F7 of the fault matrix: a number that is not finite ends the training and leaves the last good state."""

from pathlib import Path

import pytest

from tests.support.client import ForkServer, Result, is_clean_error, log_result, trials
from tests.support.resumable import ReferenceRun, check_store, resume, run_folder

STEPS = 3
PLACES = ("loss", "gradient", "weights", "first", "second")


def check(forks: ForkServer, home: Path, whole: ReferenceRun, ended: Result, epochs: int) -> None:
    """Check that the run diverged after `epochs` good ones, and that it ends with the same bytes when it is resumed."""
    assert ended.code == 6, ended.err
    assert is_clean_error(ended), ended.err
    assert "diverged" in ended.err
    assert run_folder(home).exists() == bool(epochs)
    history = run_folder(home) / "history.csv"
    assert (len(history.read_text().splitlines()) if history.exists() else 1) == epochs + 1
    assert resume(forks, home, whole) == whole.digest


def test_not_finite(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F7: NaN or infinity anywhere ends with 6 and the last good epoch, from which a resume ends with the same bytes."""
    cases = [(place, at, value) for at in (4, 0, 8, 11) for value in ("inf", "nan") for place in PLACES]
    cases = cases[: trials(3, len(cases))]
    for number, case in enumerate(cases):
        home = tmp_path / str(number)
        ended = forks.run(*whole.words, home=home, before=(("not_finite", case),))
        check(forks, home, whole, ended, case[1] // STEPS)
    log_result("F7", trials=len(cases), note="NaN and infinity in loss, gradient, weights and moments, then resumed")


def test_not_finite_control(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F7, the negative control: without the check of the numbers, every one of them is seen by the test above."""
    places = PLACES[: trials(2, 5)]
    for place in places:
        before = (("disable_finite_check", None), ("not_finite", (place, 4, "nan")))
        ended = forks.run(*whole.words, home=tmp_path / place, before=before)
        with pytest.raises(AssertionError):
            check(forks, tmp_path / place, whole, ended, 1)
    log_result("F7", trials=0, control=f"no check of the numbers: seen {len(places)} times of {len(places)}")


def test_rate_without_measure(forks: ForkServer, whole: ReferenceRun, tmp_path: Path) -> None:
    """F7: rates up to the largest number either train or end with 6; never with a state that cannot be read."""
    rates = ("1e300", "10", "1e10", "1e30", "1e38")[: trials(2, 5)]
    for rate in rates:
        ended = forks.run(*whole.words, "--lr", rate, home=tmp_path / rate)
        assert ended.code in {0, 6}, ended.err
        assert ended.code == 0 or is_clean_error(ended), ended.err
        assert ended.code == 0 or "hint: lower --lr" in ended.err
        assert "RuntimeWarning" not in ended.err
        check_store(tmp_path / rate)
    log_result("F7", trials=len(rates), note="learning rates up to 1e300")
