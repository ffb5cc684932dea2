from pathlib import Path

import pytest


@pytest.fixture
def store(home: Path) -> Path:
    return home / "checkpoints"
