"""Asks ClickHouse a report's questions through the v_* views.

In: a connected client. Out: typed rows with the SQL that gave them.
Never: opens the connection, reads a table behind the views, puts a user's string into SQL text it executes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from reports.queries import sqltext
from reports.queries.port import (
    ActivityRow,
    AgentMetricRow,
    AgentRow,
    AlertRow,
    AnomalyCountRow,
    AnomalyRow,
    BarRow,
    BreakdownRow,
    CallRow,
    CellRow,
    ConfigurationRow,
    DeadLetterRow,
    LinkRow,
    ModelCostRow,
    Query,
    Result,
    RunRow,
    SwarmRow,
    TaskRow,
    TimeRange,
    WindowRow,
)

if TYPE_CHECKING:
    from reports.queries.analysis import AnalysisReader

# DateTime64(3) reaches from 1900 to 2299; unbounded ends become bounds beyond every valid event time.
FROM_MS_MIN: Final = 0
TO_MS_MAX: Final = 4_102_444_800_000 + 86_400_000  # a day after the last valid event time, 2100-01-01Z

LINKS_MAX: Final = 2_000  # pairs of agents a swarm: the busiest; a picture draws far fewer
BARS_MAX: Final = 800  # activities of a run: two a pixel of its width
CELLS_MAX: Final = 50_000  # agents x stretches of time: a thousand agents; a picture draws far fewer
_HOUR_MS: Final = 3_600_000

T = TypeVar("T")


class QueryResult(Protocol):
    """What is needed of a clickhouse-connect result."""

    result_rows: Sequence[Sequence[Any]]
    column_names: Sequence[str]


class Client(Protocol):
    """What is needed of a clickhouse-connect client."""

    def query(self, query: str, parameters: dict[str, Any]) -> QueryResult:
        """Runs one statement with its parameters bound by the server."""
        ...


class ClickHouseReader:
    """The Reader over a database; `client` comes from sinks.clickhouse.client.connect."""

    def __init__(self, client: Any) -> None:
        self._client: Client = client

    def known_swarms(self, limit: int) -> Result[str]:
        return self._ask("known_swarms", lambda swarm_id: str(swarm_id), limit=limit)

    def swarms(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[SwarmRow]:
        return self._ask("swarms", SwarmRow, swarms=swarm_ids, **_bounds(time))

    def activities(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ActivityRow]:
        return self._ask("activities", ActivityRow, swarms=swarm_ids, **_bounds(time))

    def tasks(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[TaskRow]:
        return self._ask("tasks", TaskRow, swarms=swarm_ids, **_bounds(time))

    def calls(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[CallRow]:
        return self._ask("calls", CallRow, swarms=swarm_ids, **_bounds(time))

    def agent_metrics(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentMetricRow]:
        return self._ask("agent_metrics", AgentMetricRow, swarms=swarm_ids, **_bounds(time))

    def anomalies(self, swarm_ids: Sequence[str], time: TimeRange, limit: int) -> Result[AnomalyRow]:
        return self._ask("anomalies", AnomalyRow, swarms=swarm_ids, limit=limit, **_bounds(time))

    def anomaly_counts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AnomalyCountRow]:
        return self._ask("anomaly_counts", AnomalyCountRow, swarms=swarm_ids, **_bounds(time))

    def dead_letters(self) -> Result[DeadLetterRow]:
        return self._ask("dead_letters", DeadLetterRow)

    def cost_by_model(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ModelCostRow]:
        return self._ask("cost_by_model", ModelCostRow, swarms=swarm_ids, **_bounds(time))

    def agents(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentRow]:
        return self._ask("agents", AgentRow, swarms=swarm_ids, **_bounds(time))

    def windows(self, swarm_ids: Sequence[str], metrics: Sequence[str], time: TimeRange) -> Result[WindowRow]:
        return self._ask("windows", WindowRow, swarms=swarm_ids, metrics=metrics, **_bounds(time))

    def configurations(self, swarm_ids: Sequence[str]) -> Result[ConfigurationRow]:
        return self._ask("configurations", ConfigurationRow, swarms=swarm_ids)

    def runs(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[RunRow]:
        return self._ask("runs", RunRow, swarms=swarm_ids, **_bounds(time))

    def breakdown(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[BreakdownRow]:
        return self._ask("breakdown", BreakdownRow, swarms=swarm_ids, **_bounds(time))

    def alerts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AlertRow]:
        return self._ask("alerts", AlertRow, swarms=swarm_ids, **_bounds(time))

    def analysis(self, swarm_ids: Sequence[str], time: TimeRange) -> AnalysisReader | None:
        from reports.queries.analysis import AnalysisReader
        from reports.queries.side import Condition, Side

        sides = [Side(swarm, (Condition("swarm_id", (swarm,)),)) for swarm in swarm_ids]
        return AnalysisReader(self._client, sides, time, through=self)

    def cells(self, swarm_ids: Sequence[str], metric: str, time: TimeRange, bucket_ms: int) -> Result[CellRow]:
        name = cells_question(metric, bucket_ms)
        return self._ask(
            name, CellRow, swarms=swarm_ids, metric=metric, bucket_ms=bucket_ms, limit=CELLS_MAX, **_bounds(time)
        )

    def links(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[LinkRow]:
        return self._ask("links", LinkRow, swarms=swarm_ids, limit=LINKS_MAX, **_bounds(time))

    def bars(self, swarm_ids: Sequence[str], run_id: str, time: TimeRange) -> Result[BarRow]:
        return self._ask("bars", BarRow, swarms=swarm_ids, run=run_id, limit=BARS_MAX, **_bounds(time))

    def _ask(self, name: str, make: Callable[..., T], **parameters: Any) -> Result[T]:
        return self._run(name, sqltext.load(name), make, parameters)

    def ask(
        self, name: str, sql: str, make: Callable[..., T], time: TimeRange | None, parameters: Mapping[str, Any]
    ) -> Result[T]:
        """Any SQL with its parameters; each row becomes what `make` makes of its values."""
        bounds = {} if time is None else _bounds(time)
        return self._run(name, sql, make, {**parameters, **bounds})

    def _run(self, name: str, sql: str, make: Callable[..., T], parameters: Mapping[str, Any]) -> Result[T]:
        bound = {key: list(v) if isinstance(v, (list, tuple)) else v for key, v in parameters.items()}
        answer = self._client.query(sql, parameters=bound)
        rows = tuple(make(*row) for row in _values(answer.result_rows))
        return Result(rows, Query(name, sqltext.written_in(sql, bound), len(rows)))


def cells_question(metric: str, bucket_ms: int) -> str:
    """Which file answers: tasks, windows, or hours where every stretch of time is made of whole hours."""
    if metric == "task_duration":
        return "task_cells"
    return "hour_cells" if bucket_ms % _HOUR_MS == 0 else "window_cells"


def _bounds(time: TimeRange) -> dict[str, int]:
    return {
        "from_ms": FROM_MS_MIN if time.from_ms is None else time.from_ms,
        "to_ms": TO_MS_MAX if time.to_ms is None else time.to_ms,
    }


def _values(rows: Sequence[Sequence[Any]]) -> Iterable[Sequence[Any]]:
    """Lists become tuples, so that rows are values; a column holds lists in every row or in none."""
    lists = [place for place, value in enumerate(rows[0]) if isinstance(value, list)] if rows else []
    if not lists:
        return rows
    return ([tuple(value) if place in lists else value for place, value in enumerate(row)] for row in rows)
