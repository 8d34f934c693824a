"""The questions of a report, asked of sides instead of swarms: each view shows the sides' rows under the sides' names.

In: sides, a connected client. Out: the rows of the same questions, where `swarm_id` is a side's name.
Never: SQL of its own for a question that has a file; an answer about a side that its rows cannot give.

Series (windows, anomalies, alerts) are of swarms and agents: they are known only for a side that is a whole swarm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reports.queries import sqltext
from reports.queries.clickhouse import BARS_MAX, CELLS_MAX, LINKS_MAX, ClickHouseReader
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
    Result,
    RunRow,
    SwarmRow,
    TaskRow,
    TimeRange,
    WindowRow,
)
from reports.queries.side import Condition, Side, condition_sql, key_sql

if TYPE_CHECKING:
    from reports.queries.analysis import AnalysisReader

RowT = TypeVar("RowT", SwarmRow, AlertRow, AnomalyRow, AnomalyCountRow, WindowRow, CellRow)
T = TypeVar("T")
_VIEWS: Final = re.compile(r"\bFROM (v_activities|v_metrics|v_swarms)\b")
_ROW: Final = "SELECT * REPLACE ({{side{n}:String}} AS swarm_id){extra} FROM {view} AS v WHERE {condition}"
_NOTHING: Final = "SELECT *{extra} FROM {view} AS v WHERE 0"
_RUNS: Final = (
    "SELECT * REPLACE ({{side{n}:String}} AS swarm_id) FROM v_swarms AS r WHERE (r.swarm_id, r.run_id) IN "
    "(SELECT v.swarm_id, v.run_id FROM v_activities AS v WHERE {condition})"
)


class SideReader:
    """The Reader over a database where the swarm ids of every question and answer are names of sides."""

    def __init__(self, client: Any, sides: Sequence[Side]) -> None:
        self._client = client
        self._plain = ClickHouseReader(client)
        self._sides = {side.name: side for side in sides}

    def known_swarms(self, limit: int) -> Result[str]:
        return self._plain.known_swarms(limit)

    def swarms(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[SwarmRow]:
        return self._ask("side_swarms", SwarmRow, swarm_ids, time)

    def activities(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ActivityRow]:
        return self._ask("activities", ActivityRow, swarm_ids, time)

    def tasks(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[TaskRow]:
        return self._ask("tasks", TaskRow, swarm_ids, time)

    def calls(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[CallRow]:
        return self._ask("calls", CallRow, swarm_ids, time)

    def agent_metrics(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentMetricRow]:
        return self._ask("side_metrics", AgentMetricRow, swarm_ids, time, shown_as="agent_metrics")

    def anomalies(self, swarm_ids: Sequence[str], time: TimeRange, limit: int) -> Result[AnomalyRow]:
        return self._renamed(self._plain.anomalies(self._whole(swarm_ids), time, limit), swarm_ids)

    def anomaly_counts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AnomalyCountRow]:
        return self._renamed(self._plain.anomaly_counts(self._whole(swarm_ids), time), swarm_ids)

    def dead_letters(self) -> Result[DeadLetterRow]:
        return self._plain.dead_letters()

    def cost_by_model(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ModelCostRow]:
        return self._ask("cost_by_model", ModelCostRow, swarm_ids, time)

    def agents(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentRow]:
        return self._ask("agents", AgentRow, swarm_ids, time)

    def windows(self, swarm_ids: Sequence[str], metrics: Sequence[str], time: TimeRange) -> Result[WindowRow]:
        return self._renamed(self._plain.windows(self._whole(swarm_ids), metrics, time), swarm_ids)

    def configurations(self, swarm_ids: Sequence[str]) -> Result[ConfigurationRow]:
        return self._ask("configurations", ConfigurationRow, swarm_ids, None)

    def runs(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[RunRow]:
        return self._ask("runs", RunRow, swarm_ids, time)

    def breakdown(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[BreakdownRow]:
        return self._ask("breakdown", BreakdownRow, swarm_ids, time)

    def alerts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AlertRow]:
        return self._renamed(self._plain.alerts(self._whole(swarm_ids), time), swarm_ids)

    def analysis(self, swarm_ids: Sequence[str], time: TimeRange) -> AnalysisReader | None:
        from reports.queries.analysis import AnalysisReader

        return AnalysisReader(self._client, [self._sides[name] for name in swarm_ids], time)

    def cells(self, swarm_ids: Sequence[str], metric: str, time: TimeRange, bucket_ms: int) -> Result[CellRow]:
        if metric != "task_duration":
            return self._renamed(self._plain.cells(self._whole(swarm_ids), metric, time, bucket_ms), swarm_ids)
        return self._ask("task_cells", CellRow, swarm_ids, time, bucket_ms=bucket_ms, limit=CELLS_MAX)

    def links(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[LinkRow]:
        return self._ask("links", LinkRow, swarm_ids, time, limit=LINKS_MAX)

    def bars(self, swarm_ids: Sequence[str], run_id: str, time: TimeRange) -> Result[BarRow]:
        return self._ask("bars", BarRow, swarm_ids, time, run=run_id, limit=BARS_MAX)

    def strata(self, key: str, time: TimeRange, *, limit: int) -> Result[tuple[str, int]]:
        """The values of `key` among the sides' tasks with their numbers of tasks, the most frequent first."""
        return self._ask(
            "strata", lambda *row: (str(row[0]), int(row[1])), list(self._sides), time, key=key, limit=limit
        )

    def _ask(
        self,
        name: str,
        make: Callable[..., T],
        names: Sequence[str],
        time: TimeRange | None,
        *,
        shown_as: str = "",
        key: str = "",
        **parameters: Any,
    ) -> Result[T]:
        sql, bound = with_sides(sqltext.load(name), [self._sides[n] for n in names], key=key)
        asked = {**bound, "swarms": list(names), **parameters}
        return self._plain.ask(shown_as or name, sql, make, time, asked)

    def _whole(self, names: Sequence[str]) -> list[str]:
        return [swarm for n in names if (swarm := self._sides[n].swarm_id) is not None]

    def _renamed(self, result: Result[RowT], names: Sequence[str]) -> Result[RowT]:
        shown: dict[str, list[str]] = {}
        for name in names:
            swarm = self._sides[name].swarm_id
            if swarm is not None:
                shown.setdefault(swarm, []).append(name)
        rows = tuple(replace(row, swarm_id=name) for row in result.rows for name in shown.get(row.swarm_id, ()))
        return Result(rows, result.query)


def with_sides(sql: str, sides: Sequence[Side], *, key: str = "", key_as: str = "value") -> tuple[str, dict[str, Any]]:
    """The query with each view replaced by the rows of the sides; and its parameters.

    `key`: adds a column `key_as` with the text of that key to every row.
    """
    shared = _shared(sides)
    bound: dict[str, Any] = {f"side{n}": side.name for n, side in enumerate(sides)}
    extra = f", {key_sql(key, '{key:String}')} AS {key_as}" if key else ""
    if "{key:String}" in extra:
        bound["key"] = key.removeprefix("tag.")

    def rows(match: re.Match[str]) -> str:
        view = match[1]
        if shared and not key and view != "v_swarms":
            return _together(view, shared, bound)
        parts = [_NOTHING.format(view=view, extra=extra)]
        for n, side in enumerate(sides):
            if view == "v_metrics" and not all(condition.of_metrics for condition in side.conditions):
                continue
            condition, parameters = condition_sql(side, n, metrics=view == "v_metrics")
            bound.update(parameters)
            form = _RUNS if view == "v_swarms" else _ROW
            parts.append(form.format(n=n, view=view, condition=condition, extra=extra))
        # A view without a side still needs its columns; one with sides does not need the empty part.
        return "FROM\n(\n    " + "\n    UNION ALL\n    ".join(parts[1:] or parts) + "\n)"

    return _VIEWS.sub(rows, sql), bound


def _shared(sides: Sequence[Side]) -> Side | None:
    """What all sides have in common beside being one swarm each under its own name; None when they are not that."""
    rests = {(side.conditions[1:], side.time) for side in sides}
    if len(rests) != 1 or any(side.conditions[:1] != (Condition("swarm_id", (side.name,)),) for side in sides):
        return None
    ((conditions, time),) = rests
    return Side("", conditions, time)


def _together(view: str, shared: Side, bound: dict[str, Any]) -> str:
    """One scan for all swarms instead of one for each."""
    metrics = view == "v_metrics"
    condition, parameters = condition_sql(shared, 0, metrics=metrics)
    bound.update(parameters)
    known = not metrics or all(one.of_metrics for one in shared.conditions)
    where = f"v.swarm_id IN {{swarms:Array(String)}} AND {condition}" if known else "0"
    return f"FROM\n(\n    SELECT * FROM {view} AS v WHERE {where}\n)"


def stratified_sides(sides: Sequence[Side], key: str, strata: Sequence[str]) -> dict[str, tuple[Side, str, str]]:
    """Name -> (the part of a side that is in a stratum, the side's name, the stratum)."""
    parts: dict[str, tuple[Side, str, str]] = {}
    for side in sides:
        for stratum in strata:
            name = f"{side.name} | {key}={stratum}"
            parts[name] = (side.narrowed([Condition(_own(key), (stratum,))], name=name), side.name, stratum)
    return parts


def unstratified(rows: Sequence[T], parts: Mapping[str, tuple[Side, str, str]]) -> dict[str, list[T]]:
    """The rows of each stratum, under the sides' own names again."""
    found: dict[str, list[T]] = {}
    for row in rows:
        _, side, stratum = parts[row.swarm_id]  # type: ignore[attr-defined]  # every row of a question names its swarm
        found.setdefault(stratum, []).append(replace(row, swarm_id=side))  # type: ignore[type-var]  # a dataclass
    return found


def _own(key: str) -> str:
    from reports.queries.side import COLUMNS, TASK_CLASS

    return key if key in COLUMNS or key == TASK_CLASS or key.startswith("tag.") else f"tag.{key}"
