"""The ClickHouse HTTP server asked by plain HTTP: nothing hidden by a client library.

In: a folder for its data. Out: a server with small bounds, replies as they are. Never: shared between test files.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.clickhouse import EmbeddedClickHouse, require_engine

USERS = {
    "default": {"password": "secret", "readonly": False},
    "viewer": {"password": "look", "readonly": True},
}
QUERIES_MAX = 4
RESULT_BYTES_MAX = 40_000_000
REQUEST_BYTES_MAX = 60_000_000


@dataclass(frozen=True)
class Reply:
    """An answer; `code` is ClickHouse's own error code, 0 without an error."""

    status: int
    headers: Any
    body: bytes

    @property
    def code(self) -> int:
        return int(self.headers.get("X-ClickHouse-Exception-Code", 0))

    @property
    def text(self) -> str:
        return self.body.decode()


class Http:
    """Plain HTTP, nothing hidden."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(
        self,
        sql: str | bytes | None = None,
        *,
        method: str = "POST",
        user: str = "default",
        password: str = "secret",
        headers: dict[str, str] | None = None,
        path: str = "/",
        **parameters: str,
    ) -> Reply:
        body = sql.encode() if isinstance(sql, str) else sql
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}".rstrip("?")
        account = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password} if user else {}
        request = urllib.request.Request(url, body, {**account, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())


@contextmanager
def bounded_server(home: Path) -> Iterator[EmbeddedClickHouse]:
    """The server with two users and small bounds; skips the test without the engine."""
    require_engine()
    users = home / "users.json"
    users.write_text(json.dumps(USERS))
    users.chmod(0o600)
    running = EmbeddedClickHouse(home / "data").start(
        *("--users-file", str(users), "--limit", f"queries_max={QUERIES_MAX}", "--limit", "queue_wait_s=0.3"),
        *(
            "--limit",
            f"result_bytes_max={RESULT_BYTES_MAX}",
            "--limit",
            f"request_bytes_max={REQUEST_BYTES_MAX}",
        ),
    )
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def a_table(http: Http) -> Iterator[str]:
    """The name of an empty table of this test's own."""
    name = f"t_{uuid.uuid4().hex[:10]}"
    reply = http(f"CREATE TABLE {name} (a Int64, s String, d DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY a")
    assert reply.status == 200, reply.text
    try:
        yield name
    finally:
        http(f"DROP TABLE {name} SYNC")
