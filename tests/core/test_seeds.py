import hashlib

import pytest

from mnistae.core import seeds


@pytest.mark.parametrize(
    ("seed", "purpose", "counters", "expected"),
    [
        (0, "init", (), 3598610026517748695),
        (0, "shuffle", (1,), 6860293991554764680),
        (0, "noise", (), 3971669226481448629),
        (2**32 - 1, "shuffle", (10_000,), 2140245177928216126),
    ],
)
def test_frozen(seed: int, purpose: str, counters: tuple[int, ...], expected: int) -> None:
    """The seeds never change: a run started with an older version resumes with the same ones."""
    assert seeds.derive(seed, purpose, *counters) == expected


def test_is_the_top_of_a_sha256() -> None:
    """A seed is the upper 63 bits of the SHA-256 over seed, purpose and position, with colons between."""
    digest = int(hashlib.sha256(b"7:noise:3:12").hexdigest(), 16)
    assert seeds.derive(7, "noise", 3, 12) == digest >> 193


def test_fits_every_generator() -> None:
    """All seeds are whole numbers from 0 to 2**63 - 1, as torch.Generator.manual_seed and NumPy take them."""
    drawn = [seeds.derive(seed, "shuffle", epoch) for seed in range(50) for epoch in range(50)]
    assert all(0 <= value < 2**63 for value in drawn)
    assert max(drawn) > 2**62  # no bit is lost


def test_questions_differ() -> None:
    """Another seed, purpose, position or number of counters gives another seed."""
    questions = [(seed, purpose, c) for seed in range(20) for purpose in ("init", "shuffle") for c in ((), (1,), (11,), (1, 1))]
    assert len({seeds.derive(seed, purpose, *counters) for seed, purpose, counters in questions}) == len(questions)
