import hashlib

import pytest

from mnistae.core import seeds


@pytest.mark.parametrize(
    ("seed", "purpose", "counters", "expected"),
    [
        (0, "init", (), 3598610026517748695),
        (0, "shuffle", (1,), 6860293991554764680),
        (2**32 - 1, "shuffle", (10_000,), 2140245177928216126),
        (7, "noise", (3, 12), int(hashlib.sha256(b"7:noise:3:12").hexdigest(), 16) >> 193),
    ],
)
def test_derive(seed: int, purpose: str, counters: tuple[int, ...], expected: int) -> None:
    """A seed is the upper 63 bits of a SHA-256: it never changes, so a run started with an older version can be resumed."""
    assert seeds.derive(seed, purpose, *counters) == expected
