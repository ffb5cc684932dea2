"""A loopback mirror that misbehaves on demand.

    with Mirror({"train-images-idx3-ubyte.gz": archive}, "truncated") as mirror:
        fetch_from(mirror.url)
        assert mirror.requests == ["/train-images-idx3-ubyte.gz"]

A file is found by the last part of the path that is asked for. `mirror.behaviour` may be changed on the way.
"""

import atexit
import gzip
import itertools
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HTML = b"<!doctype html><title>Log in to this network</title>"
ELSEWHERE = "192.0.2.1"  # an address that exists nowhere (RFC 5737)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: "Mirror"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve the file in the way that the mirror's behaviour says."""
        self.server.requests.append(self.path)
        self.close_connection = True
        body = self.server.files.get(self.path.rpartition("/")[2])
        if body is None:
            self.answer(HTML, status=404)
        else:
            BEHAVIOURS[self.server.behaviour](self, body)

    def do_CONNECT(self) -> None:
        """Be a proxy that leads every tunnel to this mirror, if it speaks TLS; else refuse."""
        self.server.requests.append(self.path)
        if self.server.behaviour != "proxy" or self.server.tls is None:
            self.answer(HTML, status=502)
            return
        self.send_response(200)
        self.end_headers()
        with self.server.tls.wrap_socket(self.connection, server_side=True) as inner:
            Handler(inner, self.client_address, self.server)
        self.close_connection = True

    def answer(self, body: bytes, *, status: int = 200, length: int | None = None, **headers: Any) -> None:
        """Send `body` under a Content-Length that may be a lie."""
        self.send([body], status=status, Content_Length=str(len(body) if length is None else length), **headers)

    def send(self, pieces: Iterable[bytes], *, status: int = 200, pause: float = 0.0, **headers: str) -> None:
        """Send an answer in pieces, with a pause after each, until all are sent or the mirror closes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            if self.server.closing.wait(pause):
                return

    def redirect(self, location: str, status: int = 302) -> None:
        """Lead to another address; {name} in it is the file's name."""
        self.answer(HTML, status=status, Location=location.format(name=self.path.rpartition("/")[2]))

    def wait(self) -> None:
        """Do nothing until the mirror closes."""
        self.server.closing.wait(60)

    def reset(self) -> None:
        """Break the connection off in the rudest way, with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, *_args: Any) -> None:
        """Keep the tests' output clean."""


class Mirror(ThreadingHTTPServer):
    """A server of `files` in threads of its own, from `with` to the end of the block."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], behaviour: str = "good", *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(files)
        self.behaviour = behaviour
        self.requests: list[str] = []  # the path of each GET, the target of each CONNECT
        self.closing = threading.Event()
        self.tls = tls
        if tls is not None and behaviour != "proxy":
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base address, with a slash at its end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_args: Any) -> None:
        """Say nothing: clients hang up on this mirror all the time, and should."""


Behaviour = Callable[[Handler, bytes], object]


@cache
def closed_url() -> str:
    """Return the base address of a missing mirror: nothing listens on the port, and no other process gets it meanwhile."""
    holder = socket.socket()
    atexit.register(holder.close)
    holder.bind(("127.0.0.1", 0))
    return f"http://127.0.0.1:{holder.getsockname()[1]}/"


def _changed(change: Callable[[bytes], bytes], **options: Any) -> Behaviour:
    """Answer with other bytes than those of the file."""
    return lambda handler, body: handler.answer(change(body), **options)


def _status(status: int) -> Behaviour:
    return _changed(lambda _body: HTML, status=status, Retry_After="3600")


def _part(percent: int, then: Callable[[Handler], object]) -> Behaviour:
    """Announce the whole file, send a part of it, and do something else."""

    def behave(handler: Handler, body: bytes) -> None:
        handler.answer(body[: len(body) * percent // 100], length=len(body))
        then(handler)

    return behave


def _to(location: str) -> Behaviour:
    return lambda handler, _body: handler.redirect(location)


def _chunks(body: bytes) -> list[bytes]:
    halves = body[: len(body) // 2], body[len(body) // 2 :], b""
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in halves]


def _slow(handler: Handler, body: bytes) -> None:
    step = len(body) // 8 + 1
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    handler.send(pieces, pause=0.02, Content_Length=str(len(body)))


def _moved(handler: Handler, body: bytes) -> None:
    if handler.path.startswith("/new/"):
        handler.answer(body)
    else:
        handler.redirect("/new/{name}", status=301)


ENDLESS = itertools.repeat(b"x" * (1 << 16))
GZIP_HEAD = b"\x1f\x8b\x08\x08" + bytes(6)  # of a sound stream: its file name follows

BEHAVIOURS: dict[str, Behaviour] = {
    # These deliver the file.
    "good": Handler.answer,
    "proxy": Handler.answer,
    "slow": _slow,
    "chunked": lambda handler, body: handler.send(_chunks(body), Transfer_Encoding="chunked"),
    "unsized": lambda handler, body: handler.send([body]),
    "kept open": _part(100, Handler.wait),
    "moved": _moved,
    "recompressed": _changed(lambda body: gzip.compress(gzip.decompress(body), 1, mtime=1)),
    # These answer with something else.
    "html": _changed(lambda _body: HTML),
    "404": _status(404),
    "403": _status(403),
    "500": _status(500),
    "503": _status(503),
    "206": partial(Handler.answer, status=206),
    "not http": lambda handler, _body: handler.wfile.write(b"220 ready for \x1b[31mmail\r\n" * 3),
    # These break off, fall silent or never end.
    "truncated": _part(50, lambda _handler: None),
    "truncated chunked": lambda handler, body: handler.send(_chunks(body)[:1], Transfer_Encoding="chunked"),
    "truncated unsized": lambda handler, body: handler.send([body[: len(body) // 2]]),
    "reset at 0 %": lambda handler, _body: handler.reset(),
    "reset at 1 %": _part(1, Handler.reset),
    "reset at 50 %": _part(50, Handler.reset),
    "reset at 99 %": _part(99, Handler.reset),
    "silent": lambda handler, _body: handler.wait(),
    "stall after headers": _part(0, Handler.wait),
    "stall mid body": _part(50, Handler.wait),
    "drip": lambda handler, body: handler.send((bytes([byte]) for byte in body), pause=0.05, Content_Length=str(len(body))),
    "endless": lambda handler, _body: handler.send(itertools.chain([GZIP_HEAD], ENDLESS)),
    "announced too long": partial(Handler.answer, length=1 << 40),
    # These lead astray.
    "redirect loop": _to("/again/{name}"),
    "endless redirect": lambda handler, _body: handler.send(ENDLESS, status=302, Location="/again" + handler.path),
    "redirect to http elsewhere": _to(f"http://{ELSEWHERE}/{{name}}"),
    "redirect to ftp": _to(f"ftp://{ELSEWHERE}/{{name}}"),
    "redirect to file": _to("file:///etc/hostname"),
    "redirect to nonsense": _to("https://[oops/{name}"),
    "redirect to nowhere": lambda handler, _body: handler.answer(HTML, status=302),
    # These deliver a file that is not the published one.
    "wrong bytes": _changed(lambda body: bytes(byte ^ 0xFF for byte in body)),
    "one bit": _changed(lambda body: body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]),
    "not gzip": _changed(gzip.decompress),
    "cut gzip": _changed(lambda body: body[:-4]),
    "trailing garbage": _changed(lambda body: body + b"garbage"),
    "second member": _changed(lambda body: body + gzip.compress(b"")),
    "bomb": _changed(lambda _body: gzip.compress(bytes(1 << 22))),
    "other content": _changed(lambda body: gzip.compress(gzip.decompress(body)[::-1])),
    "empty": _changed(lambda _body: b""),
}
