"""One way to open a ClickHouse connection.

In: settings. Out: a clickhouse_connect client over HTTP(S), in UTC.
Never: retries, keeps a server session (sessions forbid concurrent queries), shows a password.

Without a session several threads may ask through one client at once, each question on a connection of its pool; an
insert is for one thread at a time. The embedded engine and a server differ only in MURMUR_CLICKHOUSE_URL.
"""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect import common
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from models.settings import Settings
from sinks.base import PermanentSinkError
from sinks.clickhouse.errors import RowRejectedError, translate

# The driver logs a warning without content beside every exception it raises; ours say what is wrong.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)

__all__ = ["INSERT_SETTINGS", "Client", "connect", "describe"]

CONNECT_TIMEOUT_S = 5  # a reachable server answers in milliseconds; waiting longer only delays the retry
REQUEST_TIMEOUT_S = 120  # longest insert or query; an insert of BATCH_ROWS_MAX rows takes about one second

# Sent with every insert. The names are checked against the engine by a test.
INSERT_SETTINGS: Final[dict[str, int | str]] = {
    "optimize_on_insert": 0,  # rows seldom come twice in a batch; looking for them costs as much as writing
    "async_insert": 0,  # we batch ourselves; an acknowledged insert must be in the table
    "max_partitions_per_insert_block": 0,  # an import touches as many day partitions as it has days
    "input_format_null_as_default": 0,  # a missing number must be refused, never stored as 0
    "date_time_overflow_behavior": "throw",  # never a wrapped-around time
}


def connect(settings: Settings, *, database: str | None = None, request_timeout_s: float = REQUEST_TIMEOUT_S) -> Client:
    """An open client on `database` (the configured one when None).

    Raises RetryableSinkError when the server is away, PermanentSinkError when it refuses us; one line each.
    """
    url = urlsplit(settings.clickhouse_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise PermanentSinkError(
            f"MURMUR_CLICKHOUSE_URL {settings.clickhouse_url!r} is not an HTTP address; "
            "for example http://127.0.0.1:8123 or https://clickhouse.example.org:8443"
        )
    # A read-only user may not send settings; those queries then run with the server's own.
    common.set_setting("invalid_setting_action", "drop")
    where = describe(settings)
    try:
        return clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname,
            port=url.port or (8443 if url.scheme == "https" else 8123),
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            database=settings.clickhouse_database if database is None else database,
            proxy_path=url.path,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=request_timeout_s,
            compress="lz4",
            query_limit=0,
            tz_mode="aware",
            autogenerate_session_id=False,
            dedicated_pool=True,
            client_name="murmuration",
        )
    except (ClickHouseError, OSError) as error:
        problem = translate(error, where=where)
        raise (PermanentSinkError(str(problem)) if isinstance(problem, RowRejectedError) else problem) from None


def describe(settings: Settings) -> str:
    """`ClickHouse http://host:8123`, without any credentials in the URL."""
    url = urlsplit(settings.clickhouse_url)
    return f"ClickHouse {url.scheme}://{url.hostname}{f':{url.port}' if url.port else ''}"
