"""Reads what a client wants out of a request's address and headers.

In: parameters and headers. Out: `Wish`, or ClickHouseError. Never: touches the body or the engine.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from infra.local.clickhouse_http.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    INVALID_SESSION_TIMEOUT,
    ClickHouseError,
)
from infra.local.clickhouse_http.limits import Limits

# Parameters the server itself understands; every other one is a setting for the engine.
_RESERVED = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "close_session",
        "compress",
        "database",
        "decompress",
        "default_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)
# Settings of ClickHouse's HTTP layer, which is this server: the engine has no use for them.
_HTTP_SETTINGS = frozenset(
    {
        "add_http_cors_header",
        "cancel_http_readonly_queries_on_client_close",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_wait_end_of_query",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
    }
)
_EXTERNAL = re.compile(r"(.+)_(structure|types|format)\Z")
_PARAMETER = "param_"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says about itself."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """One request without its body."""

    query: str
    database: str
    default_format: str
    query_id: str
    session_id: str
    session_timeout_s: float
    session_check: bool
    close_session: bool
    settings: Mapping[str, str]  # without those of the HTTP layer
    parameters: Mapping[str, str]
    external: Mapping[str, str]  # <table>_structure, _types, _format of a multipart request
    native_compress: bool
    native_decompress: bool
    http_compression: bool
    cors: bool


def read_wish(pairs: Iterable[tuple[str, str]], headers: Mapping[str, str], limits: Limits, *, multipart: bool) -> Wish:
    """Splits the parameters into the server's own, query parameters and settings. The last of two equal names wins."""
    own: dict[str, str] = {}
    settings: dict[str, str] = {}
    parameters: dict[str, str] = {}
    external: dict[str, str] = {}
    for name, value in pairs:
        if name in _RESERVED:
            own[name] = value
        elif name.startswith(_PARAMETER) and len(name) > len(_PARAMETER):
            parameters[name.removeprefix(_PARAMETER)] = value
        elif multipart and _EXTERNAL.match(name):
            external[name] = value
        elif name in _HTTP_SETTINGS:
            own[name] = value
        elif name:
            settings[name] = value
    return Wish(
        query=own.get("query", ""),
        database=own.get("database") or headers.get("X-ClickHouse-Database", ""),
        default_format=own.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        query_id=own.get("query_id") or str(uuid.uuid4()),
        session_id=own.get("session_id", ""),
        session_timeout_s=_session_timeout(own.get("session_timeout"), limits),
        session_check=_truth("session_check", own.get("session_check", "0")),
        close_session=_truth("close_session", own.get("close_session", "0")),
        settings=settings,
        parameters=parameters,
        external=external,
        native_compress=_truth("compress", own.get("compress", "0")),
        native_decompress=_truth("decompress", own.get("decompress", "0")),
        http_compression=_truth("enable_http_compression", own.get("enable_http_compression", "1")),
        cors=_truth("add_http_cors_header", own.get("add_http_cors_header", "0")),
    )


def with_fields(wish: Wish, fields: Mapping[str, str]) -> Wish:
    """The wish with what a multipart body adds: the query, query parameters, external tables' columns."""
    parameters = dict(wish.parameters)
    external = dict(wish.external)
    query = wish.query
    for name, value in fields.items():
        if name == "query":
            query = f"{query}\n{value}" if query else value
        elif name.startswith(_PARAMETER):
            parameters[name.removeprefix(_PARAMETER)] = value
        elif _EXTERNAL.match(name):
            external[name] = value
        else:
            raise ClickHouseError(BAD_ARGUMENTS, f"Field {name[:100]!r} of the multipart body is not known")
    return replace(wish, query=query, parameters=parameters, external=external)


def read_credentials(parameters: Mapping[str, str], headers: Mapping[str, str]) -> Credentials:
    """One of: X-ClickHouse-User/Key headers, basic authentication, user/password parameters; else `default`."""
    user, key = headers.get("X-ClickHouse-User"), headers.get("X-ClickHouse-Key")
    authorization = headers.get("Authorization", "")
    if user is not None or key is not None:
        if authorization or "user" in parameters or "password" in parameters:
            raise _refused(
                "it is not allowed to use X-ClickHouse HTTP headers and other authentication methods simultaneously"
            )
        return Credentials(user or "default", key or "")
    if authorization:
        if "user" in parameters or "password" in parameters:
            raise _refused(
                "it is not allowed to use the Authorization header and user/password parameters simultaneously"
            )
        return _basic(authorization)
    return Credentials(parameters.get("user") or "default", parameters.get("password", ""))


def _basic(authorization: str) -> Credentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _refused("only Basic authentication is supported in the Authorization header")
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _refused("the Authorization header is not valid Basic authentication") from None
    return Credentials(user or "default", password)


def _refused(reason: str) -> ClickHouseError:
    return ClickHouseError(AUTHENTICATION_FAILED, f"Invalid authentication: {reason}")


def _truth(name: str, value: str) -> bool:
    lowered = value.strip().lower()
    if lowered in {"1", "true"}:
        return True
    if lowered in {"0", "false", ""}:
        return False
    raise ClickHouseError(BAD_ARGUMENTS, f"Parameter {name}: {value[:40]!r} is not 0 or 1")


def _session_timeout(value: str | None, limits: Limits) -> float:
    if value is None:
        return limits.session_timeout_s
    try:
        timeout_s = float(int(value))
    except ValueError:
        raise ClickHouseError(INVALID_SESSION_TIMEOUT, f"Invalid session timeout: {value[:40]!r}") from None
    if not 0 < timeout_s <= limits.session_timeout_max_s:
        raise ClickHouseError(
            INVALID_SESSION_TIMEOUT,
            f"Session timeout {value} s is not between 1 and {limits.session_timeout_max_s:.0f} s",
        )
    return timeout_s
