"""The questions a report asks, and the typed rows it gets back.

In: swarm ids and a time range. Out: rows together with the SQL that gave them.
Never: SQL in a caller, a number without the query behind it.

A row keeps NULL as None: not measured, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from reports.queries.analysis import AnalysisReader

RowT = TypeVar("RowT", covariant=True)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open [from_ms, to_ms) of event time in epoch milliseconds; None is unbounded."""

    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A question as it was asked: `sql` has its parameters written in and can be run as it stands."""

    name: str
    sql: str
    rows: int


@dataclass(frozen=True, slots=True)
class Result(Generic[RowT]):
    """The rows of an answer, with the question."""

    rows: Sequence[RowT]
    query: Query


@dataclass(frozen=True, slots=True)
class SwarmRow:
    """One swarm: when it was seen (epoch ms), and how much it left."""

    swarm_id: str
    first_ms: int | None
    last_ms: int | None
    agents: int
    activities: int
    metric_events: int


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One swarm and activity kind. Percentiles are exact, over the activities that have a duration."""

    swarm_id: str
    kind: str
    total: int
    completed: int
    failed: int
    cancelled: int
    blocked: int
    running: int
    measured: int  # activities with a duration
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    duration_mean_ms: float | None
    priced: int
    cost_usd: float | None
    cost_provenances: tuple[str, ...]
    with_tokens: int
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    provenances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task of a swarm: the mean of its repeats. Costs and tokens are the task's own, else its model calls'."""

    swarm_id: str
    task_id: str
    named: bool  # False: the activity had no task_id, so its own id stands in and it cannot be paired
    repeats: int
    finished: int  # completed or failed, or success reported
    successes: int
    success_reported: int  # of `finished`, those that said so themselves; the rest is taken from the status
    duration_ms: float | None
    cost_usd: float | None
    input_tokens: float | None
    cache_read_tokens: float | None
    cache_write_tokens: float | None
    output_tokens: float | None
    provenances: tuple[str, ...]
    cost_provenances: tuple[str, ...]
    task_class: str = ""  # tag task_class, else tag benchmark, else the workflow
    started_ms: int | None = None  # when its first repeat began


@dataclass(frozen=True, slots=True)
class CallRow:
    """Durations of one kind of call, summed over a task ('' = the calls name no task), or over an agent."""

    swarm_id: str
    kind: str
    by_task: bool  # False: `unit` is an agent
    unit: str
    calls: int
    duration_sum_ms: float
    provenances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentMetricRow:
    """One agent's weighted mean of one metric over its raw events."""

    swarm_id: str
    metric: str
    agent_id: str
    events: int
    mean: float
    unit: str
    provenances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnomalyRow:
    """One anomaly: a window of one series, what was expected of it, and why it stands out."""

    swarm_id: str
    agent_id: str
    metric: str
    window_start_ms: int
    detected_at_ms: int
    value: float
    expected_low: float
    expected_high: float
    unit: str  # of value and both bounds; '' where the events named none
    score: float
    severity: str
    detector: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnomalyCountRow:
    """How many anomalies of one severity a swarm showed."""

    swarm_id: str
    severity: str
    anomalies: int


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """How many events were refused with one code."""

    error_code: str
    dead_letters: int


@dataclass(frozen=True, slots=True)
class ModelCostRow:
    """One swarm and model: `priced` of its `calls` have a cost; the sums are over what has a number."""

    swarm_id: str
    model: str
    calls: int
    priced: int
    cost_usd: float | None
    output_tokens: int | None
    cost_provenances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent's work; percentiles are over its task durations."""

    swarm_id: str
    agent_id: str
    role: str
    tasks: int
    failed: int
    tool_calls: int
    model_calls: int
    task_p50_ms: float | None
    task_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window of a swarm's metric, all agents together."""

    swarm_id: str
    metric: str
    window_ms: int
    window_start_ms: int
    events: int
    mean: float
    p95: float
    unit: str = ""  # '' where the events named none


@dataclass(frozen=True, slots=True)
class ConfigurationRow:
    """One run of a swarm and the configuration it declared."""

    swarm_id: str
    run_id: str
    status: str
    configuration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a swarm, epoch ms; `ended_ms` None: it has not said that it ended."""

    swarm_id: str
    run_id: str
    status: str
    started_ms: int
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """The tasks of a swarm that share a phase, pattern, role or class of error; `priced` of them have a cost."""

    swarm_id: str
    dimension: str  # phase | pattern | role | error type
    value: str
    tasks: int
    completed: int
    failed: int
    measured: int  # tasks with a duration
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    priced: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert about a swarm in its newest state; epoch ms."""

    swarm_id: str
    rule: str
    severity: str
    state: str
    since_ms: int
    at_ms: int
    reason: str
    alert_id: str


@dataclass(frozen=True, slots=True)
class CellRow:
    """One agent in one stretch of time that begins at start_ms: the mean of `n` values of a metric."""

    swarm_id: str
    agent_id: str
    start_ms: int
    n: int
    mean: float
    unit: str = ""  # '' where the events named none


@dataclass(frozen=True, slots=True)
class LinkRow:
    """From one agent to another: it started it (`started`, n activities), or told it (a type of message, n of them)."""

    swarm_id: str
    source: str
    target: str
    kind: str
    n: int


@dataclass(frozen=True, slots=True)
class BarRow:
    """One activity with both ends, epoch ms; `total`: how many there are of the same run, drawn or not."""

    swarm_id: str
    run_id: str
    kind: str
    agent_id: str
    name: str
    status: str
    started_ms: int
    ended_ms: int
    total: int


class Reader(Protocol):
    """Every question a report may ask. Swarms not present simply give no row."""

    def known_swarms(self, limit: int) -> Result[str]:
        """Swarm ids, the newest first."""
        ...

    def swarms(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[SwarmRow]:
        """When each swarm was seen and how much it left."""
        ...

    def activities(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ActivityRow]:
        """Each swarm's activities by kind."""
        ...

    def tasks(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[TaskRow]:
        """One row a task: the mean of its repeats."""
        ...

    def calls(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[CallRow]:
        """Durations of model and tool calls, by task and by agent."""
        ...

    def agent_metrics(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentMetricRow]:
        """Each agent's own metrics."""
        ...

    def anomalies(self, swarm_ids: Sequence[str], time: TimeRange, limit: int) -> Result[AnomalyRow]:
        """The highest-scored anomalies, at most `limit`."""
        ...

    def anomaly_counts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AnomalyCountRow]:
        """Anomalies of each swarm by severity."""
        ...

    def dead_letters(self) -> Result[DeadLetterRow]:
        """Refused events of the whole database by code."""
        ...

    def cost_by_model(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ModelCostRow]:
        """Calls, tokens and cost by model."""
        ...

    def agents(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentRow]:
        """Each agent's work."""
        ...

    def windows(self, swarm_ids: Sequence[str], metrics: Sequence[str], time: TimeRange) -> Result[WindowRow]:
        """The swarms' windows of these metrics, in order of time."""
        ...

    def configurations(self, swarm_ids: Sequence[str]) -> Result[ConfigurationRow]:
        """What the runs of each swarm declared."""
        ...

    def runs(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[RunRow]:
        """The runs that overlap the time range."""
        ...

    def breakdown(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[BreakdownRow]:
        """Tasks by phase, pattern, role and class of error."""
        ...

    def alerts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AlertRow]:
        """Alerts that were open within the time range."""
        ...

    def analysis(self, swarm_ids: Sequence[str], time: TimeRange) -> AnalysisReader | None:
        """The questions of an analysis about the same swarms; None where only recorded rows can be asked."""
        ...

    def cells(self, swarm_ids: Sequence[str], metric: str, time: TimeRange, bucket_ms: int) -> Result[CellRow]:
        """Means of a metric by agent and stretch of time; those of task_duration from the tasks themselves."""
        ...

    def links(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[LinkRow]:
        """Who started whom, who told whom; the most frequent."""
        ...

    def bars(self, swarm_ids: Sequence[str], run_id: str, time: TimeRange) -> Result[BarRow]:
        """What was done when in a run ('' = the run without a name)."""
        ...
