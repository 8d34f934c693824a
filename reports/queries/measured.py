"""Rows of what was measured of agents, calls and series: behind scores, the split of time, trends and capacity.

In: the columns of the queries. Out: typed rows. Never: 0 for what was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentWorkRow:
    """One agent ('' = the swarm itself). A completion that its source only declares counts in none of these."""

    side: str
    swarm_id: str  # the agent's own; a side may hold several
    agent_id: str
    role: str
    ended: int  # tasks that were completed, failed or cancelled
    completed: int
    judged: int  # tasks, calls and messages that were completed or failed, as in the metric error_rate
    failed: int
    quality_n: int  # activities with a quality
    quality_sum: float | None
    provenances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentMessagesRow:
    """Messages an agent sent or received; `judged` of them have an outcome."""

    side: str
    swarm_id: str  # the agent's own; a side may hold several
    agent_id: str
    messages: int
    judged: int
    succeeded: int


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """Messages to an agent; `answered` of them were followed by one back to their sender."""

    side: str
    swarm_id: str  # the agent's own; a side may hold several
    agent_id: str
    received: int
    answered: int
    response_ms_sum: float | None


@dataclass(frozen=True, slots=True)
class MetricMeanRow:
    """One agent's weighted mean of a metric, in `unit`."""

    side: str
    swarm_id: str  # the agent's own; a side may hold several
    agent_id: str
    events: int
    mean: float
    unit: str


@dataclass(frozen=True, slots=True)
class KpiRow:
    """One side's counts. mean and standard deviation are of task durations in ms."""

    side: str
    tasks_ended: int
    tasks_completed: int
    durations: int
    duration_mean_ms: float | None
    duration_sd_ms: float | None
    phases_ended: int
    phases_succeeded: int
    integrations: int  # activities that say how many conflicts they had
    integrations_clean: int


@dataclass(frozen=True, slots=True)
class TimeSpanRow:
    """One activity with both ends, epoch ms. approval: its duration may hold a person's approval."""

    side: str
    swarm_id: str  # the agent's own; a side may hold several
    run_id: str
    agent_id: str
    parent_agent_id: str
    kind: str
    tool: str
    started_ms: int
    ended_ms: int
    provenance: str
    approval: int


@dataclass(frozen=True, slots=True)
class CallTimesRow:
    """Durations of one model or tool. Percentiles are exact."""

    side: str
    kind: str
    name: str
    n: int
    failed: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    sum_ms: float
    with_approval: int  # calls whose duration may hold a person's approval
    provenances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanOfRow:
    """When a series began and ended, epoch ms; None: it has no point."""

    first_ms: int | None
    last_ms: int | None
    points: int


@dataclass(frozen=True, slots=True)
class BucketRow:
    """One interval of one series; intervals without a point have no row."""

    side: str
    of: str
    at_ms: int  # its start
    n: int
    mean: float
    p95: float
    max: float
    sum: float
    unit: str


@dataclass(frozen=True, slots=True)
class WorkTimeRow:
    """One task that has begun; duration_ms None: not measured, or not ended."""

    side: str
    swarm_id: str  # the agent's own; a side may hold several
    agent_id: str
    role: str
    started_ms: int
    duration_ms: float | None
