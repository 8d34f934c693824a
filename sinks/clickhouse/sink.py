"""Result rows into ClickHouse.

In: Arrow tables. Out: rows acknowledged, and single rows the server refuses for good.
Never: retries (the caller does), blocks the event loop, sums or overwrites: rows are absolute and idempotent.

Every table is a ReplacingMergeTree whose sorting key is the identity of a row, so writing a batch again, in whole,
in part, or after an insert with unknown outcome, leaves the same final rows.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from models.rows import TABLES
from models.settings import Settings
from sinks.base import Batch, PermanentSinkError, RejectedRow, RetryableSinkError, SinkError, WriteResult
from sinks.clickhouse import migrate
from sinks.clickhouse.client import INSERT_SETTINGS, connect, describe
from sinks.clickhouse.errors import RowRejectedError, translate

# Rows of one INSERT: about 50 MB of Arrow, 6 MB compressed, half a second of server time: below every usual body limit
# and timeout. One insert is one part, and few large parts are merged less often (docs/adr/0011-fewer-merges.md).
INSERT_ROWS_MAX: Final = 500_000
# Inserts one write may spend on finding rejected rows: 64 lone bad rows in 200,000 need about 64 * 18 * 2. Beyond
# that the rows are not bad, the schema is: stop instead of turning a whole batch into dead letters.
BISECT_INSERTS_MAX: Final = 2_500


class DatabaseReplacedError(PermanentSinkError):
    """The rows acknowledged so far are not in the database that answers now."""


class ClickHouseSink:
    """The `Sink` over clickhouse_connect; every concurrent write borrows a client of its own."""

    name = "clickhouse"

    def __init__(self, settings: Settings, schemas: Mapping[str, pa.Schema] = TABLES) -> None:
        self.tables = frozenset(schemas)
        self._order = tuple(schemas)
        self._settings = settings
        self._where = describe(settings)
        self.database_id = ""  # of the database this sink was started on
        self._idle: queue.LifoQueue[Client] = queue.LifoQueue()
        self._closed = False

    async def start(self) -> None:
        """Connects and checks that the schema is the one this version writes."""
        self._closed = False
        self.database_id = await asyncio.to_thread(self._check)

    async def health(self) -> None:
        """Returns when the server answers, the schema fits and the database is the one that was started on.

        Raises DatabaseReplacedError when it is another one.
        """
        found = await asyncio.to_thread(self._check)
        if found != self.database_id:
            raise DatabaseReplacedError(
                f"{self._where}: the database was made again, or another server answers (its schema is of {found}, "
                f"it was {self.database_id}): restarting on it, from the start of the log"
            )

    async def write(self, batch: Batch) -> WriteResult:
        """Inserts table by table, in the order of its schemas."""
        unknown = sorted(set(batch) - self.tables)
        if unknown:
            raise PermanentSinkError(f"{self._where}: no such result tables: {', '.join(unknown)}")
        return await asyncio.to_thread(self._write, batch)

    async def close(self) -> None:
        """Closes the idle clients; one still writing closes itself when it is done."""
        self._closed = True
        while not self._idle.empty():
            await asyncio.to_thread(self._idle.get_nowait().close)

    def _check(self) -> str:
        """The id of the database, if its schema fits."""
        with self._client() as client:
            todo = migrate.pending(client)
            if todo:
                raise PermanentSinkError(
                    f"{self._where}: {len(todo)} migrations are pending, the first is {todo[0].label}: "
                    "run `murmur migrate`"
                )
            return migrate.database_id(client)

    def _write(self, batch: Batch) -> WriteResult:
        result = WriteResult()
        budget = _Budget(BISECT_INSERTS_MAX)
        with self._client() as client:
            for table in self._order:
                rows = batch.get(table)
                if rows is None or rows.num_rows == 0:
                    continue
                for start in range(0, rows.num_rows, INSERT_ROWS_MAX):
                    self._insert(client, table, rows.slice(start, INSERT_ROWS_MAX), result, budget)
        return result

    def _insert(self, client: Client, table: str, rows: pa.Table, result: WriteResult, budget: _Budget) -> None:
        """Inserts `rows`, or halves them until each refused row stands alone."""
        parts = [rows]
        while parts:
            part = parts.pop()
            try:
                self._insert_once(client, table, part)
                result.rows += part.num_rows
            except RowRejectedError as error:
                if part.num_rows == 1:
                    result.rejected.append(RejectedRow(table, part.to_pylist()[0], str(error)))
                    continue
                budget.spend(2, f"{self._where} insert into {table}: {error}")
                middle = part.num_rows // 2
                parts += [part.slice(middle), part.slice(0, middle)]

    def _insert_once(self, client: Client, table: str, rows: pa.Table) -> None:
        try:
            client.insert_arrow(table, rows, settings=dict(INSERT_SETTINGS))
        except (ClickHouseError, OSError) as error:
            raise translate(error, where=f"{self._where} insert into {table}") from error

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """Borrows an idle client or opens one; a client whose connection failed is not used again."""
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = connect(self._settings)
        try:
            yield client
        except RetryableSinkError:
            client.close()
            raise
        except (ClickHouseError, OSError) as error:
            client.close()
            problem = translate(error, where=self._where)
            raise (problem if isinstance(problem, SinkError) else PermanentSinkError(str(problem))) from None
        except BaseException:
            self._give_back(client)
            raise
        else:
            self._give_back(client)

    def _give_back(self, client: Client) -> None:
        if self._closed:
            client.close()
        else:
            self._idle.put(client)


class _Budget:
    """Counts down the inserts left for bisecting."""

    def __init__(self, inserts: int) -> None:
        self._left = inserts

    def spend(self, inserts: int, what: str) -> None:
        self._left -= inserts
        if self._left < 0:
            raise PermanentSinkError(
                f"{what}; so many rows are refused that the table or the writer must be wrong: nothing was dropped, "
                "run `murmur migrate` and look at the first reason"
            )
