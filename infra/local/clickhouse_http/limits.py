"""Every bound of the server, with its unit and reason.

In: nothing. Out: constants and `Limits`, which a test may tighten. Never: a setting a client can raise.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one server. The defaults are for one machine that also runs a broker and a worker."""

    # One insert of 1,000,000 wide rows is about 200 MB of Arrow; the body is held once.
    request_bytes_max: int = 512 * MIB
    # SQL text without data. ClickHouse's max_query_size is 256 KiB; IN lists of analysts are longer.
    query_bytes_max: int = 16 * MIB
    # Results of formats that cannot be cut into chunks (JSON, Arrow, Parquet) are held whole.
    result_bytes_max: int = 512 * MIB
    # Results up to here are answered with complete headers; larger ones of row formats are streamed.
    result_buffer_bytes: int = 16 * MIB
    # Each running query has a thread; the engine spreads one query over the cores by itself.
    queries_max: int = 32
    # A short burst above `queries_max` waits this long before it is refused with code 202.
    queue_wait_s: float = 2.0
    # Longest run of one query; a client's max_execution_time may only shorten it.
    execution_time_max_s: float = 300.0
    # Connections that an idle session may keep, and how long.
    sessions_max: int = 1_000
    session_timeout_s: float = 60.0
    session_timeout_max_s: float = 3_600.0
    # A supervisor waits 5 s for our end; running queries are cancelled after this much of it.
    shutdown_grace_s: float = 2.0
    # With less free space nothing is added and the server does not start: the engine goes on when a write fails.
    disk_free_bytes_min: int = 64 * MIB
