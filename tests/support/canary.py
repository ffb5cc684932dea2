"""A pickle that shows whether it was loaded."""

from pathlib import Path


class Canary:
    """An object that makes the file `mark` when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)
