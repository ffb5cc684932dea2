"""A mirror is https, or http on this machine, and nothing else."""

import pytest

from mnistae.core.errors import UsageError
from mnistae.data.sets.urls import mirror_base

ALLOWED = {
    "https://example.org/mnist": "https://example.org/mnist/",
    "HTTPS://example.org:8443//": "HTTPS://example.org:8443/",
    "http://127.1.2.3/x": "http://127.1.2.3/x/",
    "http://[::1]:8000": "http://[::1]:8000/",
    "http://localhost": "http://localhost/",
}
REFUSED = [
    *("", "example.org/mnist", "https:///mnist/", "https://[::1/", "file:///etc/passwd", "ftp://127.0.0.1/"),
    *("http://127.0.0.1.example.org/", "http://localhost.example.org/", "http://0.0.0.0/", "http://127.1/"),
    *("https://me:secret@example.org/", "http://127.0.0.1\\@example.org/", "https://exämple.org/", "https://example.org/a b"),
    *("https://example.org/\x1b[31m", "https://example.org:port/", "https://example.org/?file=", "https://example.org/#top"),
]


@pytest.mark.parametrize(("url", "expected"), ALLOWED.items())
def test_allowed(url: str, expected: str) -> None:
    """The base URL of a mirror has one slash at its end."""
    assert mirror_base(url) == expected


@pytest.mark.parametrize("url", REFUSED)
def test_refused(url: str) -> None:
    """What is refused is shown safely, with a hint."""
    with pytest.raises(UsageError) as caught:
        mirror_base(url)
    assert caught.value.message.isprintable()
    assert "secret" not in caught.value.message
    assert "https://" in caught.value.hint
