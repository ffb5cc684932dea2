"""HTTPS to mirrors that nobody vouches for: every read is timed, every redirect looked at, plain http stays on this machine."""

import base64
import contextlib
import http.client
import io
import ipaddress
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urljoin, urlsplit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE = 1 << 16
"""Bytes asked for at once."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Limits:
    """How long a download may take.

    `deadline` is for one archive over all its mirrors; each may use an even share of what is left, so that
    none can starve the next. Waiting for another process that fetches the same archive may take as long again.
    """

    stall: float = 30.0  # seconds; the longest silence
    deadline: float = 600.0  # seconds
    redirects: int = 3


class RefusedError(Exception):
    """Why a mirror's answer will not do, in a few words."""


@dataclass(frozen=True)
class Attempt:
    """One mirror's chance, which ends at `end` on the monotonic clock."""

    url: str
    limits: Limits
    end: float

    def patience(self) -> float:
        """Return for how many seconds the next wait may last. Raises TimeoutError when the time is up."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(self.limits.stall, left)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Turn whatever the network and a hostile answer can raise into one short reason."""
        try:
            yield
        except TimeoutError as error:
            late = time.monotonic() >= self.end
            reason = "not done within its time" if late else f"silent for {self.limits.stall:g} s"
            raise RefusedError(reason) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RefusedError(_reason(error)) from error


def pieces(response: http.client.HTTPResponse, total: int | None, attempt: Attempt) -> Iterator[bytes]:
    """Yield the body of an answer as it comes, `total` bytes if that many were promised. Raises RefusedError."""
    received = 0
    # Counted here: `read1` of Python 3.11 does not, and would wait for a mirror that keeps the line open.
    while received != total:
        with attempt.refusing():
            piece = response.read1(PIECE if total is None else min(PIECE, total - received))
        if not piece and total is None:
            return
        if not piece:
            raise RefusedError(f"ended after {received} of {total} bytes")
        received += len(piece)
        yield piece


@contextlib.contextmanager
def answer(attempt: Attempt) -> Iterator[http.client.HTTPResponse]:
    """Open what is found at the attempt's address, or where that leads."""
    url = attempt.url
    for _ in range(attempt.limits.redirects + 1):
        with contextlib.ExitStack() as stack:
            with attempt.refusing():
                connection = stack.enter_context(contextlib.closing(_connection(url, attempt)))
                connection.request("GET", _resource(url), headers={"User-Agent": "mnistae", "Connection": "close"})
                response = stack.enter_context(connection.getresponse())
            if response.status == http.HTTPStatus.OK:
                yield response
                return
            with attempt.refusing():
                url = _redirected(url, response)
    raise RefusedError(f"more than {attempt.limits.redirects} redirects")


def _redirected(url: str, response: http.client.HTTPResponse) -> str:
    location: str | None = response.headers["Location"]
    if response.status not in _REDIRECTS or location is None:
        meaning = http.client.responses.get(response.status, "")
        raise RefusedError(f"HTTP {response.status} {meaning}".strip())
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
        raise RefusedError("redirects from https to http")
    return target


def _connection(url: str, attempt: Attempt) -> http.client.HTTPConnection:
    objection = objection_to(url)
    if objection is not None:
        raise RefusedError(f"leads to an address that is not allowed: {objection}")
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=attempt.patience())
    else:
        connection = _secure_connection(host, parts.port or 443, attempt.patience())
    # http.client only ever calls it.
    connection.response_class = cast("type[http.client.HTTPResponse]", partial(_TimedResponse, attempt=attempt))
    return connection


def _secure_connection(host: str, port: int, patience: float) -> http.client.HTTPSConnection:
    """Prepare TLS to `host`, through the user's proxy unless it is exempt or this machine itself."""
    context = ssl.create_default_context()
    is_direct = _is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{port}")
    proxy = None if is_direct else urllib.request.getproxies().get("https")
    if not proxy:
        return http.client.HTTPSConnection(host, port, timeout=patience, context=context)
    via = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    login = f"{unquote(via.username or '')}:{unquote(via.password or '')}"
    token = base64.b64encode(login.encode()).decode()
    headers = {"Proxy-Authorization": f"Basic {token}"} if via.username else {}
    connection = http.client.HTTPSConnection(via.hostname or "", via.port or 80, timeout=patience, context=context)
    connection.set_tunnel(host, port, headers)
    return connection


def objection_to(url: str) -> str | None:
    """Return what speaks against asking `url`, if anything does."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "it has characters that no address has"
    try:
        parts = urlsplit(url)
        is_nowhere = not parts.hostname or parts.port == 0
    except ValueError:
        return "it cannot be read"
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return "only https is, and http to this machine itself"
    if is_nowhere:
        return "it names no host"
    return "it has a user name" if "@" in parts.netloc else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _resource(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, http.client.IncompleteRead):
        return "its answer broke off"
    return "its answer is not proper HTTP"


class _TimedReader(io.RawIOBase):
    """A socket's stream on which every read keeps to the patience that is left.

    With a time-out of the socket alone, a mirror could drip its headers byte by byte for hours.
    """

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, attempt: Attempt) -> None:
        super().__init__()
        self._stream = stream
        self._socket = sock
        self._attempt = attempt

    def readable(self) -> bool:
        """Say yes: BufferedReader asks."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """Read once."""
        self._socket.settimeout(self._attempt.patience())
        return self._stream.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._stream.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer, a proxy's too, that is read through a _TimedReader."""

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, *, attempt: Attempt) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, attempt))
