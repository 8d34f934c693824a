"""One statement between its plan and its end.

In: what a request wishes. Out: the engine's answer. Never: runs on the event loop's thread, cancels an insert.
"""

from __future__ import annotations

from infra.local.clickhouse_http.body import Received
from infra.local.clickhouse_http.engine import Engine
from infra.local.clickhouse_http.job import Answer, run
from infra.local.clickhouse_http.limits import Limits
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
        """Plans and runs the statement."""
        job, format_name = plan(
            self._engine, self._limits, method=method, wish=wish, user=user, received=received, tables=tables
        )
        if received.insert is None:  # an insert that has arrived is finished, as ClickHouse does
            self._tag = job.tag
        answer = run(self._engine, job, buffer_bytes=self._limits.result_buffer_bytes, session=self._session)
        return answer, format_name

    def cancel(self) -> None:
        """Stops the statement if it reads."""
        if self._tag:
            self._engine.cancel(self._tag)
