"""Counter-based randomness: each seed is derived from the run's seed, a purpose and counters."""

import hashlib


def derive(seed: int, purpose: str, *counters: int) -> int:
    """Return the 63-bit seed of one draw, from the run's `seed`, its `purpose` and its position.

    There is no generator state to save: a resumed run derives the same seeds.
    """
    key = ":".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
