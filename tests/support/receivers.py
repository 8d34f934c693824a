"""Real receivers of messages: an HTTP server and an SMTP server on ports of their own, which can refuse and hang.

In: what to answer. Out: what arrived. Never: a mock of our own parts.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.brokers import free_port


class HttpReceiver:
    """Answers POSTs with the scripted codes, then with 200. A code of 0: no answer until `release`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []  # path, headers (lower case), JSON body
        self.bodies: list[bytes] = []
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        self.always: int | None = None
        self.release = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                code, headers = receiver.answers.popleft() if receiver.answers else (receiver.always or 200, {})
                if code == 0:
                    receiver.release.wait(30)
                    return
                if 200 <= code < 300:
                    receiver.bodies.append(body)
                    lower = {name.lower(): value for name, value in self.headers.items()}
                    receiver.requests.append((self.path, lower, json.loads(body)))
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/s3cret-path"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def refuse(self, *codes: int, **headers: str) -> None:
        """The next answers, in order."""
        self.answers.extend((code, {n.replace("_", "-"): v for n, v in headers.items()}) for code in codes)

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """A running HTTP receiver."""
    receiver = HttpReceiver()
    try:
        yield receiver
    finally:
        receiver.close()


class _Inbox:
    """aiosmtpd's handler: keeps what arrives, or refuses with a scripted code."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: deque[str] = deque()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the name aiosmtpd calls
        if self.answers:
            return self.answers.popleft()
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


class SmtpReceiver:
    """A real SMTP server with an inbox."""

    def __init__(self) -> None:
        from aiosmtpd.controller import Controller

        self.inbox = _Inbox()
        self.port = free_port()
        self._controller = Controller(self.inbox, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def close(self) -> None:
        self._controller.stop()


@contextmanager
def smtp_receiver() -> Iterator[SmtpReceiver]:
    """A running SMTP receiver."""
    receiver = SmtpReceiver()
    try:
        yield receiver
    finally:
        receiver.close()
