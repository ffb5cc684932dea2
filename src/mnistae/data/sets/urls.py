"""Which URLs may be contacted: https anywhere, plain http on this machine alone."""

import ipaddress
from urllib.parse import urlsplit

from mnistae.core.errors import UsageError
from mnistae.core.text import safe_text


def mirror_base(url: str) -> str:
    """Return the base URL of a mirror with one slash at its end. Raises UsageError."""
    problem = problem_of(url) or ("query or fragment not allowed" if "?" in url or "#" in url else None)
    if problem is not None:
        shown = safe_text(url.rpartition("@")[2])  # a password stays out of bug reports
        raise UsageError(f"invalid MNISTAE_MIRROR '{shown}': {problem}", hint="use a URL such as https://example.org/mnist/")
    return url.rstrip("/") + "/"


def problem_of(url: str) -> str | None:
    """Return why `url` must not be contacted, or None."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "invalid characters in the URL"
    try:
        parts = urlsplit(url)
        has_no_host = not parts.hostname or parts.port == 0
    except ValueError:
        return "malformed URL"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        return "HTTPS required (HTTP only to this machine)"
    if has_no_host:
        return "no host in the URL"
    return "user name in the URL" if "@" in parts.netloc else None


def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine, by name or address; nothing is looked up."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
