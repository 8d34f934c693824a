"""Does a server answer? The smallest honest question in its own protocol.

In: an address. Out: nothing when it answers, else StackError with one line. Never: keeps a connection; imports a
client library.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import struct
import urllib.parse
from pathlib import Path

from infra.local.identity import ProcessId
from infra.local.layout import StackError
from infra.local.worker_reports import READY, read_status

PROBE_TIMEOUT_S = 2.0  # a server that needs longer for an empty question is not ready
_API_VERSIONS = 18  # Kafka API key, version 0: every broker since 0.10 answers it without authentication
_CORRELATION_ID = 0x6D75726D  # "murm"
_RESPONSE_BYTES_MAX = 1 << 20
_HTTP_UNAUTHORIZED = (401, 403)
_CLICKHOUSE_AUTH_CODES = (
    "516",
    "192",
    "193",
    "194",
)  # AUTHENTICATION_FAILED, UNKNOWN_USER, WRONG_PASSWORD, ...


def kafka_answers(bootstrap: str, *, tls: ssl.SSLContext | None = None, timeout_s: float = PROBE_TIMEOUT_S) -> None:
    """Asks one of the brokers for its API versions, which it tells also to whom it does not know yet."""
    reason = "no address"
    for address in filter(None, (a.strip() for a in bootstrap.split(","))):
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise StackError(f"kafka address {address!r}: write host:port, for example 127.0.0.1:9092")
        try:
            _ask_api_versions(host.strip("[]"), int(port), tls, timeout_s)
            return
        except OSError as error:
            reason = str(error.strerror or error)
    raise StackError(
        f"broker {bootstrap} does not answer ({reason}): is it running, and are MURMUR_KAFKA_BOOTSTRAP and "
        "MURMUR_KAFKA_SECURITY_PROTOCOL right?"
    )


def clickhouse_answers(url: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> None:
    """GET /ping."""
    status, body = _get(url, "/ping", {}, timeout_s)
    if status != http.client.OK or body.strip() != "Ok.":
        raise StackError(f"{url}/ping answered {status} {body[:100]!r}: this is not a ClickHouse HTTP interface")


def clickhouse_accepts(url: str, user: str, password: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> None:
    """SELECT 1 as this user."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    status, body = _get(url, "/?query=SELECT%201", {"Authorization": f"Basic {token}"}, timeout_s)
    if status in _HTTP_UNAUTHORIZED or any(f"Code: {code}." in body for code in _CLICKHOUSE_AUTH_CODES):
        raise StackError(
            f"ClickHouse at {url} refused user {user!r}: wrong user or password; set MURMUR_CLICKHOUSE_USER and "
            "MURMUR_CLICKHOUSE_PASSWORD"
        )
    if status != http.client.OK:
        raise StackError(f"ClickHouse at {url} answered {status}: {body.strip()[:200]}")


def worker_is_ready(status_file: Path, process: ProcessId) -> bool:
    """Whether the status file was written by this process and says ready."""
    status = read_status(status_file)
    return status is not None and status["pid"] == process.pid and status["state"] == READY


def _ask_api_versions(host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float) -> None:
    client = b"murmur"
    body = struct.pack(f">hhih{len(client)}s", _API_VERSIONS, 0, _CORRELATION_ID, len(client), client)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((host, port), timeout=timeout_s))
        connection.settimeout(timeout_s)
        if tls is not None:
            connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=host))
        connection.sendall(struct.pack(">i", len(body)) + body)
        length, correlation_id = struct.unpack(">ii", _receive(connection, 8))
        if correlation_id != _CORRELATION_ID or not 0 < length <= _RESPONSE_BYTES_MAX:
            raise OSError("it does not speak the Kafka protocol")


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise OSError("connection closed before an answer")
        received += part
    return received


def _get(url: str, path: str, headers: dict[str, str], timeout_s: float) -> tuple[int, str]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StackError(f"ClickHouse address {url!r}: write http://host:8123 or https://host:8443")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path.rstrip("/") + path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(_RESPONSE_BYTES_MAX).decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StackError(
            f"ClickHouse at {url} does not answer ({reason}): is it running and is MURMUR_CLICKHOUSE_URL right?"
        ) from None
    finally:
        connection.close()
