"""Few digits, an empty folder, and a network that ends at this machine."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def digits(digits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Thirty of the tiny digits: most tests here write them to files."""
    return {role: array[:20] if role.startswith("train") else array[:10] for role, array in digits.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Resolve nothing but this machine, and keep a list of what else was looked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def loopback_only(host: str, *args: Any, **kwargs: Any) -> Any:
        if host in {"127.0.0.1", "localhost"}:
            return real(host, *args, **kwargs)
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", loopback_only)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("MNISTAE_OFFLINE", raising=False)
    return asked
