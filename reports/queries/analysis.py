"""The questions of an analysis, asked of sides: costs, repeats, durations, the shape of runs, settings.

In: a connected client, sides. Out: typed rows with the SQL that gave them. Never: a computation beyond the query's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from reports.queries import sqltext
from reports.queries.clickhouse import ClickHouseReader
from reports.queries.measured import (
    AgentMessagesRow,
    AgentWorkRow,
    BucketRow,
    CallTimesRow,
    KpiRow,
    MetricMeanRow,
    ResponseRow,
    SpanOfRow,
    TimeSpanRow,
    WorkTimeRow,
)
from reports.queries.port import BreakdownRow, Query, Result, TaskRow, TimeRange
from reports.queries.side import Side
from reports.queries.sides import with_sides

T = TypeVar("T")
OF_SWARM: Final = {"key": "swarm_id", "key_as": "own_swarm"}  # agents of different swarms may have one name
ACTIVITIES_MAX: Final = 500_000  # of all runs whose shape is computed: about a second and 300 MB


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Model calls that one price applies to: one group, model, day and band of prompt tokens."""

    side: str
    of: str
    model: str
    day_ms: int
    prompt_tokens_from: int
    calls: int
    priced: int
    cost_usd: float | None
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    without_tokens: int


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """One piece of work; `hash` '' is work without a hash. again_*: of all completions but the first."""

    side: str
    kind: str
    name: str
    hash: str
    times: int
    agents: int
    again_ms: float | None
    again_usd: float | None


@dataclass(frozen=True, slots=True)
class DurationRow:
    """One kind and name of work."""

    side: str
    kind: str
    name: str
    total: int
    measured: int
    p50_ms: float | None
    sum_ms: float | None
    failed: int
    conflicts: int | None


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One activity with both ends, epoch ms."""

    side: str
    run_id: str
    kind: str
    agent_id: str
    parent_agent_id: str
    name: str
    started_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class RunOutcomeRow:
    """One run that declared its settings, and the means of its tasks."""

    side: str
    run_id: str
    tasks: int
    task_duration: float | None
    cost_usd: float | None
    task_success: float | None
    configuration: Mapping[str, str]
    provenances: tuple[str, ...] = ()
    cost_provenances: tuple[str, ...] = ()


class AnalysisReader:
    """Asks each question of all sides at once."""

    def __init__(
        self, client: Any, sides: Sequence[Side], time: TimeRange, *, through: ClickHouseReader | None = None
    ) -> None:
        """`through`: the reader that does the asking, where there is one already."""
        self._reader = through or ClickHouseReader(client)
        self._sides = tuple(sides)
        self._time = time
        self._asked: dict[str, Query] = {}

    @property
    def queries(self) -> tuple[Query, ...]:
        """Everything asked so far, in order; each runs as it stands."""
        return tuple(self._asked.values())

    def usage(self, by: str, bands: Sequence[int]) -> Result[UsageRow]:
        """`by` is a column of activities; `bands` the lower ends of the price book's bands, ascending from 0."""
        return self._ask("call_usage", UsageRow, key=by, bands=list(bands))

    def repeats(self) -> Result[RepeatRow]:
        """Tasks by hash and tool calls by input hash."""
        return self._ask("repeats", RepeatRow)

    def durations(self) -> Result[DurationRow]:
        """Phases, tasks by agent, tools, models, messages."""
        return self._ask("durations", DurationRow)

    def spans(self) -> Result[SpanRow]:
        """At most ACTIVITIES_MAX + 1 activities, in order of their runs and starts."""
        return self._ask("run_activities", SpanRow, limit=ACTIVITIES_MAX + 1)

    def tasks(self) -> Result[TaskRow]:
        """One row a task, as for a comparison."""
        return self._ask("tasks", TaskRow)

    def runs(self) -> Result[RunOutcomeRow]:
        """Runs with settings and tasks."""
        return self._ask("run_outcomes", RunOutcomeRow)

    def breakdown(self) -> Result[BreakdownRow]:
        """Tasks by phase, pattern, role and class of error."""
        return self._ask("breakdown", BreakdownRow)

    def agent_work(self) -> Result[AgentWorkRow]:
        """What the tasks, calls and messages of each agent came to."""
        return self._ask("agent_work", AgentWorkRow, **OF_SWARM)

    def agent_messages(self) -> Result[AgentMessagesRow]:
        """Messages that each agent took part in."""
        return self._ask("agent_messages", AgentMessagesRow, **OF_SWARM)

    def responses(self) -> Result[ResponseRow]:
        """How long each agent took to answer messages."""
        return self._ask("agent_responses", ResponseRow, **OF_SWARM)

    def metric_means(self, metric: str) -> Result[MetricMeanRow]:
        """Each agent's mean of one metric that it published itself."""
        return self._ask("metric_means", MetricMeanRow, **OF_SWARM, metric=metric)

    def kpis(self) -> Result[KpiRow]:
        """Counts behind the key figures of each side."""
        return self._ask("kpis", KpiRow)

    def time_spans(self, limit: int = ACTIVITIES_MAX + 1) -> Result[TimeSpanRow]:
        """At most `limit` activities with both ends, for the split of time."""
        return self._ask("time_spans", TimeSpanRow, **OF_SWARM, limit=limit)

    def call_times(self) -> Result[CallTimesRow]:
        """Percentiles of the durations of each model and tool."""
        return self._ask("call_times", CallTimesRow)

    def span_of(self, series: str, *, of_tasks: bool) -> Result[SpanOfRow]:
        """When a series or a measure of tasks began and ended."""
        name = "task_series_span" if of_tasks else "series_span"
        return self._ask(name, SpanOfRow, shown_as=f"span_{series}", series=series)

    def buckets(self, series: str, by: str, interval_ms: int, *, of_tasks: bool, limit: int) -> Result[BucketRow]:
        """A series (of metric events) or a measure of tasks in intervals; `by` is a column or tag."""
        asked = {"series": series, "interval_ms": interval_ms, "limit": limit}
        name = "task_series" if of_tasks else "series"
        return self._ask(name, BucketRow, shown_as=series_query(series), key=by, key_as="value_of", **asked)

    def work_times(self) -> Result[WorkTimeRow]:
        """At most ACTIVITIES_MAX + 1 tasks that have begun, in order of their start."""
        return self._ask("work_times", WorkTimeRow, **OF_SWARM, limit=ACTIVITIES_MAX + 1)

    def _ask(
        self,
        name: str,
        make: Callable[..., T],
        *,
        shown_as: str = "",
        key: str = "",
        key_as: str = "value",
        **parameters: Any,
    ) -> Result[T]:
        names = [side.name for side in self._sides]
        sql, bound = with_sides(sqltext.load(name), self._sides, key=key, key_as=key_as)
        asked = {**bound, "swarms": names, **parameters}
        result = self._reader.ask(shown_as or name, sql, make, self._time, asked)
        self._asked[result.query.name] = result.query
        return result


def series_query(series: str) -> str:
    """The name of the query that gives a series."""
    return f"series_{series}"
