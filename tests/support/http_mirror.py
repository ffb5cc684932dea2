"""A loopback mirror that misbehaves on demand.

    with Mirror({"train-images-idx3-ubyte.gz": archive}, "truncated") as mirror:
        fetch_from(mirror.url)
        assert mirror.requests == ["/train-images-idx3-ubyte.gz"]

A file is found by the last part of the path that is asked for. `mirror.behaviour` may be changed on the way.
"""

import atexit
import gzip
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast

HTML = b"<!doctype html><title>Log in to this network</title>"
ELSEWHERE = "192.0.2.1"  # an address that exists nowhere (RFC 5737)


class Mirror:
    """A server of `files` in threads of its own, from `with` to the end of the block."""

    def __init__(self, files: Mapping[str, bytes], behaviour: str = "good", *, tls: ssl.SSLContext | None = None) -> None:
        self.files = dict(files)
        self.behaviour = behaviour
        self.requests: list[str] = []  # the path of each GET, the target of each CONNECT
        self.closing = threading.Event()
        self.tls = tls
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base address, with a slash at its end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    @property
    def mirror(self) -> Mirror:
        """The mirror that was asked."""
        return cast("_Server", self.server).mirror

    def do_GET(self) -> None:
        """Serve the file in the way that the mirror's behaviour says."""
        self.mirror.requests.append(self.path)
        self.close_connection = True
        body = self.mirror.files.get(self.path.rpartition("/")[2])
        if body is None:
            self.answer(HTML, status=404)
        else:
            BEHAVIOURS[self.mirror.behaviour](self, body)

    def do_CONNECT(self) -> None:
        """Be a proxy that leads every tunnel to this mirror, if it speaks TLS; else refuse."""
        self.mirror.requests.append(self.path)
        if self.mirror.behaviour != "proxy" or self.mirror.tls is None:
            self.answer(HTML, status=502)
            return
        self.send_response(200)
        self.end_headers()
        with self.mirror.tls.wrap_socket(self.connection, server_side=True) as inner:
            Handler(inner, self.client_address, self.server)
        self.close_connection = True

    def answer(self, body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
        """Send `body` under a Content-Length that may be a lie."""
        self.start(status, Content_Length=str(len(body) if length is None else length), **headers)
        self.wfile.write(body)

    def start(self, status: int = 200, **headers: str) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def wait(self, seconds: float = 60.0) -> bool:
        """Do nothing for a while; say whether the mirror is closing."""
        return self.mirror.closing.wait(seconds)

    def reset(self) -> None:
        """Break the connection off in the rudest way, with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, *_args: Any) -> None:
        """Keep the tests' output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        super().__init__(("127.0.0.1", 0), Handler)
        if mirror.tls is not None and mirror.behaviour != "proxy":
            self.socket = mirror.tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_args: Any) -> None:
        """Say nothing: clients hang up on this mirror all the time, and should."""


Behaviour = Callable[[Handler, bytes], None]


@cache
def closed_url() -> str:
    """Return the base address of a missing mirror: nothing listens on the port, and no other process gets it meanwhile."""
    holder = socket.socket()
    atexit.register(holder.close)
    holder.bind(("127.0.0.1", 0))
    return f"http://127.0.0.1:{holder.getsockname()[1]}/"


def bomb(size: int) -> bytes:
    """Return a gzip stream of `size` zeros, a thousandth as long."""
    return gzip.compress(bytes(size))


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def _chunked(handler: Handler, body: bytes, *, is_whole: bool = True) -> None:
    handler.start(Transfer_Encoding="chunked")
    half = len(body) // 2
    handler.wfile.write(_chunk(body[:half]))
    if is_whole:
        handler.wfile.write(_chunk(body[half:]) + _chunk(b""))


def _reset(handler: Handler, body: bytes, *, percent: int) -> None:
    if percent:
        handler.start(Content_Length=str(len(body)))
        handler.wfile.write(body[: max(1, len(body) * percent // 100)])
    handler.reset()


def _stall(handler: Handler, body: bytes, *, sent: float) -> None:
    handler.start(Content_Length=str(len(body)))
    handler.wfile.write(body[: int(len(body) * sent)])
    handler.wait()


def _silent(handler: Handler, _body: bytes) -> None:
    handler.wait()


def _drip(handler: Handler, body: bytes) -> None:
    handler.start(Content_Length=str(len(body)))
    for byte in body:
        handler.wfile.write(bytes([byte]))
        if handler.wait(0.05):
            return


def _endless(handler: Handler, _body: bytes) -> None:
    handler.start()
    handler.wfile.write(b"\x1f\x8b\x08\x08" + bytes(6))  # a sound gzip stream so far: its file name follows
    while not handler.mirror.closing.is_set():
        handler.wfile.write(b"x" * (1 << 16))


def _kept_open(handler: Handler, body: bytes) -> None:
    handler.answer(body)
    handler.wait()


def _slow(handler: Handler, body: bytes) -> None:
    handler.wait(0.3)
    handler.answer(body)


def _unsized(handler: Handler, body: bytes) -> None:
    handler.start()
    handler.wfile.write(body)


def _not_http(handler: Handler, _body: bytes) -> None:
    handler.wfile.write(b"220 ready for \x1b[31mmail\r\n" * 3)


def _redirect(handler: Handler, _body: bytes, *, location: str, status: int = 302) -> None:
    handler.answer(HTML, status=status, Location=location.format(name=handler.path.rpartition("/")[2]))


def _endless_redirect(handler: Handler, _body: bytes) -> None:
    handler.start(302, Location="/again" + handler.path)
    while not handler.mirror.closing.is_set():
        handler.wfile.write(b"x" * (1 << 16))


def _moved(handler: Handler, body: bytes) -> None:
    if handler.path.startswith("/new/"):
        handler.answer(body)
    else:
        _redirect(handler, body, location="/new/{name}", status=301)


def _answer(handler: Handler, body: bytes, *, change: Callable[[bytes], bytes]) -> None:
    handler.answer(change(body))


def _status(handler: Handler, _body: bytes, *, status: int) -> None:
    handler.answer(HTML, status=status, Retry_After="3600")


BEHAVIOURS: dict[str, Behaviour] = {
    # These deliver the file.
    "good": lambda handler, body: handler.answer(body),
    "proxy": lambda handler, body: handler.answer(body),
    "slow": _slow,
    "chunked": _chunked,
    "unsized": _unsized,
    "kept open": _kept_open,
    "moved": _moved,
    "recompressed": partial(_answer, change=lambda body: gzip.compress(gzip.decompress(body), 1, mtime=1)),
    # These answer with something else.
    "html": partial(_answer, change=lambda _body: HTML),
    "404": partial(_status, status=404),
    "403": partial(_status, status=403),
    "500": partial(_status, status=500),
    "503": partial(_status, status=503),
    "206": lambda handler, body: handler.answer(body, status=206),
    "not http": _not_http,
    # These break off, fall silent or never end.
    "truncated": lambda handler, body: handler.answer(body[: len(body) // 2], length=len(body)),
    "truncated chunked": partial(_chunked, is_whole=False),
    "truncated unsized": lambda handler, body: _unsized(handler, body[: len(body) // 2]),
    "reset at 0 %": partial(_reset, percent=0),
    "reset at 1 %": partial(_reset, percent=1),
    "reset at 50 %": partial(_reset, percent=50),
    "reset at 99 %": partial(_reset, percent=99),
    "silent": _silent,
    "stall after headers": partial(_stall, sent=0.0),
    "stall mid body": partial(_stall, sent=0.5),
    "drip": _drip,
    "endless": _endless,
    "announced too long": lambda handler, body: handler.answer(body, length=1 << 40),
    # These lead astray.
    "redirect loop": partial(_redirect, location="/again/{name}"),
    "endless redirect": _endless_redirect,
    "redirect to http elsewhere": partial(_redirect, location=f"http://{ELSEWHERE}/{{name}}"),
    "redirect to ftp": partial(_redirect, location=f"ftp://{ELSEWHERE}/{{name}}"),
    "redirect to file": partial(_redirect, location="file:///etc/hostname"),
    "redirect to nonsense": partial(_redirect, location="https://[oops/{name}"),
    "redirect to nowhere": lambda handler, _body: handler.answer(HTML, status=302),
    # These deliver a file that is not the published one.
    "wrong bytes": partial(_answer, change=lambda body: bytes(byte ^ 0xFF for byte in body)),
    "one bit": partial(_answer, change=lambda body: body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]),
    "not gzip": partial(_answer, change=gzip.decompress),
    "cut gzip": partial(_answer, change=lambda body: body[:-4]),
    "trailing garbage": partial(_answer, change=lambda body: body + b"garbage"),
    "second member": partial(_answer, change=lambda body: body + gzip.compress(b"")),
    "bomb": partial(_answer, change=lambda _body: bomb(1 << 22)),
    "other content": partial(_answer, change=lambda body: gzip.compress(gzip.decompress(body)[::-1])),
    "empty": partial(_answer, change=lambda _body: b""),
}
