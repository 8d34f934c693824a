"""One statement between its plan and its end.

In: what a request wishes. Out: the engine's answer. Never: runs on the event loop's thread, cancels an insert,
gives an answer to a statement during which a write failed.
"""

from __future__ import annotations

from infra.local.clickhouse_http.body import Received
from infra.local.clickhouse_http.engine import Engine
from infra.local.clickhouse_http.errors import NOT_ENOUGH_SPACE, ClickHouseError
from infra.local.clickhouse_http.job import Answer, run
from infra.local.clickhouse_http.limits import MIB, Limits
from infra.local.clickhouse_http.plan import Tables, plan
from infra.local.clickhouse_http.request import Wish
from infra.local.clickhouse_http.sessions import Session
from infra.local.clickhouse_http.users import User


class Running:
    """One statement between its plan and its end; `cancel` may come from another thread at any time."""

    def __init__(self, engine: Engine, limits: Limits, session: Session | None) -> None:
        self._engine = engine
        self._limits = limits
        self._session = session
        self._tag = ""

    def run(self, *, method: str, wish: Wish, user: User, received: Received, tables: Tables) -> tuple[Answer, str]:
        """Plans and runs the statement. Raises FailedWriteError instead of an answer that may not be true."""
        job, format_name = plan(
            self._engine, self._limits, method=method, wish=wish, user=user, received=received, tables=tables
        )
        if received.insert is None:  # an insert that has arrived is finished, as ClickHouse does
            self._tag = job.tag
        if job.grows:
            self._require_room()
        answer = run(self._engine, job, buffer_bytes=self._limits.result_buffer_bytes, session=self._session)
        if job.writes:
            self._engine.check_writes()
        return answer, format_name

    def cancel(self) -> None:
        """Stops the statement if it reads."""
        if self._tag:
            self._engine.cancel(self._tag)

    def _require_room(self) -> None:
        free_bytes = self._engine.free_bytes()
        if free_bytes < self._limits.disk_free_bytes_min:
            raise ClickHouseError(
                NOT_ENOUGH_SPACE,
                f"Not enough space for new data: {free_bytes // MIB} MiB are free in the data directory, at least "
                f"{self._limits.disk_free_bytes_min // MIB} MiB are needed. Make room, then send it again",
            )
