"""Questions to ClickHouse from the command line: one connection, one-line errors.

In: settings, SQL, parameters. Out: rows, or the server's own bytes. Never: a traceback of the driver; writes
unless asked to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from interfaces.cli.output import fail

if TYPE_CHECKING:
    from models.settings import Settings

Client: TypeAlias = Any  # what sinks.clickhouse.client.connect returns; that library's types stay behind the sink

# 2: reads only, but a query may still bring settings such as max_execution_time (1 would forbid these too).
READ_ONLY = {"readonly": 2}


@contextmanager
def open_client(settings: Settings) -> Iterator[Client]:
    """A client for the block; any failure of the server ends the command with one line."""
    from sinks.base import RetryableSinkError, SinkError
    from sinks.clickhouse.client import connect

    try:
        client = connect(settings)
    except RetryableSinkError as error:
        fail(f"{error} (no stack running? `murmur up` starts one)")
    except SinkError as error:  # it answers and says no: a wrong password is not cured by starting a stack
        fail(str(error))
    try:
        yield client
    except Exception as error:
        if not type(error).__module__.startswith("clickhouse_connect."):
            raise
        fail(explain(error))
    finally:
        client.close()


def rows_of(
    client: Client, sql: str, parameters: Mapping[str, Any] | None = None
) -> tuple[list[str], list[dict[str, Any]]]:
    """Column names and rows of a read-only query."""
    result = client.query(sql, parameters=dict(parameters or {}), settings=READ_ONLY)
    names = list(result.column_names)
    return names, [dict(zip(names, row, strict=True)) for row in result.result_rows]


def explain(error: BaseException) -> str:
    """`ClickHouse: UNKNOWN_TABLE (60): ...` in one line."""
    from sinks.clickhouse.errors import one_line

    code, name = getattr(error, "code", None), getattr(error, "name", None)
    prefix = f"{name or 'error'} ({code}): " if code else ""
    return f"ClickHouse: {prefix}{one_line(error)}"
