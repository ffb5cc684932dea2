"""Counter-based randomness: a draw follows from what it is for, never from what was drawn before."""

import hashlib


def derive(seed: int, purpose: str, *counters: int) -> int:
    """Return the 63-bit seed of one draw, from the run's `seed`, its `purpose` and its position.

    There is no generator state to save: a run that is resumed asks the same question and gets the same answer.
    """
    question = ":".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(question.encode()).digest()[:8], "big") >> 1
