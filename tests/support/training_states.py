"""Training states, compared to the bit."""

from mnistae.core.records import TrainingState


def assert_same(a: TrainingState, b: TrainingState) -> None:
    """Compare two states to the bit."""
    assert a.history == b.history
    for part in ("weights", "first_moments", "second_moments", "steps"):
        mine, theirs = getattr(a, part), getattr(b, part)
        assert all((mine[name] == theirs[name]).all() for name in mine), part
