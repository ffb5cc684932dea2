"""What can be wrong with a raw IDX file, by what it is."""

import gzip
from collections.abc import Callable

Damage = Callable[[bytes], bytes]


def cut(size: int) -> Damage:
    """Return the damage that leaves the first `size` bytes."""
    return lambda data: data[:size]


DAMAGES: dict[str, Damage] = {
    **{f"{size} bytes": cut(size) for size in (0, 1, 3, 4, 7, 8, 15, 16, 17)},
    "half": lambda data: data[: len(data) // 2],
    "-1": lambda data: data[:-1],
    "+1": lambda data: data + b"\0",
    "bad magic": lambda data: b"\0\0\7" + data[3:],
    "dims swapped": lambda data: data[:4] + data[8:12] + data[4:8] + data[12:],
    "count + 1": lambda data: data[:4] + (int.from_bytes(data[4:8], "big") + 1).to_bytes(4, "big") + data[8:],
    "one value 10": lambda data: data[:-1] + b"\x0a",
    "HTML": lambda _data: b"<!doctype html><title>Log in</title>",
    "left packed": gzip.compress,
}
