"""A proxy before ClickHouse's HTTP endpoint that misbehaves in the ways networks and load balancers do.

In: the real endpoint, a mode. Out: an address for the worker; how often each fault hit. Never: answers in ClickHouse's
place while it passes requests on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from tests.support.brokers import free_port

UPSTREAM_TIMEOUT_S = 120.0
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "host"}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close sends RST, as a crashed peer's kernel does


class Mode(Enum):
    """What happens to an insert; other requests pass."""

    PASS = "passed on and answered"
    AMBIGUOUS = "applied, then the connection is reset instead of an answer"
    BLACK_HOLE = "applied, then silence until the client gives up"
    TORN = "half of it is passed on, then both connections are reset"
    UNAVAILABLE = "answered 503 by the proxy itself"


class HttpProxy:
    """Listens on a port of its own until closed; `mode` and `latency_s` may change at any time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.target = (parts.hostname, parts.port or 8123)
        self.port = free_port()
        self.mode = Mode.PASS
        self.latency_s = 0.0  # before an insert is passed on
        self.hits: Counter[str] = Counter()
        self.open: set[socket.socket] = set()
        self.let_go = threading.Event()  # ends every black hole
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def accept(self) -> None:
        """Begins to listen, or does so again."""
        proxy = self
        self.let_go.clear()

        class Handler(_Handler):
            outer = proxy

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="proxy", daemon=True)
        self._thread.start()

    def refuse(self) -> None:
        """Nobody listens any more, and open connections are reset."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.let_go.set()
        for connection in list(self.open):
            reset(connection)
        self._server = self._thread = None
        self.hits["refused"] += 1


class _Handler(BaseHTTPRequestHandler):
    """One client connection; requests on it come one after the other."""

    outer: HttpProxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.outer.open.add(self.connection)

    def finish(self) -> None:
        self.outer.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError, HTTPException, ValueError):  # either side went away
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        body = self._body()
        insert = b"INSERT INTO" in body[:200] or "INSERT INTO" in unquote_plus(self.path).upper()
        mode = self.outer.mode if insert else Mode.PASS
        if insert and self.outer.latency_s:
            self.outer.hits["SLOW"] += 1
            self.outer.let_go.wait(self.outer.latency_s)
        if mode is not Mode.PASS:
            self.outer.hits[mode.name] += 1
        self._insert(mode, body)

    def _insert(self, mode: Mode, body: bytes) -> None:
        if mode is Mode.PASS:
            self._pass_on(body)
        elif mode is Mode.UNAVAILABLE:
            self._answer(503, [("Content-Type", "text/html")], b"<h1>503 Service Unavailable</h1>")
        elif mode is Mode.TORN:
            self._tear(body)
        else:
            self._upstream(body)  # applied: the answer was read here and goes no further
            if mode is Mode.BLACK_HOLE:
                self.outer.let_go.wait()
            reset(self.connection)
            self.close_connection = True

    def _pass_on(self, body: bytes) -> None:
        self._answer(*self._upstream(body))

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(*self.outer.target, timeout=UPSTREAM_TIMEOUT_S)
        try:
            connection.request(self.command, self.path, body=body, headers=self._forwarded())
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            connection.close()

    def _tear(self, body: bytes) -> None:
        connection = HTTPConnection(*self.outer.target, timeout=UPSTREAM_TIMEOUT_S)
        connection.putrequest(self.command, self.path)
        for name, value in self._forwarded().items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[: len(body) // 2])
        reset(connection.sock)
        reset(self.connection)
        self.close_connection = True

    def _forwarded(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def reset(connection: socket.socket | None) -> None:
    """Closes so that the other side sees a reset, not an orderly end."""
    if connection is None:
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        connection.close()


@contextmanager
def http_proxy(url: str) -> Iterator[HttpProxy]:
    """A listening proxy; closed afterwards."""
    proxy = HttpProxy(url)
    proxy.accept()
    try:
        yield proxy
    finally:
        proxy.refuse()
