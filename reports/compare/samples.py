"""From query rows to the samples that are compared, with the unit of analysis they stand for.

In: task, call and agent rows. Out: one `Sample` a swarm and measure.
Never: raw events as independent samples: events of one task or agent hang together, so a unit is a task or an agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from reports.compare.align import Sample
from reports.queries.port import AgentMetricRow, CallRow, TaskRow

TASK_COVERAGE_MIN: Final = 0.8  # share of calls that name a task, from which the task is the unit of analysis

_TASK_COLUMNS: Final = {
    "task_duration": "duration_ms",
    "cost_usd": "cost_usd",
    "cost_usd_per_success": "cost_usd",
    "input_tokens": "input_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "output_tokens": "output_tokens",
}


def task_sample(metric: str, swarm_id: str, tasks: Sequence[TaskRow]) -> Sample:
    """One value a task. Success is the share of a task's finished repeats that succeeded."""
    rows = [row for row in tasks if row.swarm_id == swarm_id]
    outcome = {row.task_id: row.successes / row.finished if row.finished else None for row in rows}
    values: Mapping[str, float | None]
    if metric == "task_success":
        values = outcome
        derived = any(row.finished > row.success_reported for row in rows)
        provenances = {p for row in rows for p in row.provenances} | ({"derived"} if derived else set())
    else:
        values = {row.task_id: getattr(row, _TASK_COLUMNS[metric]) for row in rows}
        money = metric.startswith("cost_usd")
        provenances = {p for row in rows for p in (row.cost_provenances if money else row.provenances) if p}
    return Sample(
        swarm_id,
        values,
        "task",
        frozenset(provenances),
        pairable=bool(rows) and all(row.named for row in rows),
        denominators=outcome if metric == "cost_usd_per_success" else {},
    )


def call_samples(kind: str, swarm_ids: Sequence[str], calls: Sequence[CallRow]) -> dict[str, Sample]:
    """Mean call duration of each task; of each agent where the calls of any swarm do not name their tasks."""
    rows = {s: [row for row in calls if row.swarm_id == s and row.kind == kind] for s in swarm_ids}
    by_task = all(_names_tasks(own) for own in rows.values() if own)
    return {
        swarm_id: Sample(
            swarm_id,
            _mean_durations(own, by_task=by_task),
            "task" if by_task else "agent",
            frozenset(p for row in own for p in row.provenances),
            pairable=by_task,
        )
        for swarm_id, own in rows.items()
    }


def agent_sample(metric: str, swarm_id: str, rows: Sequence[AgentMetricRow]) -> Sample:
    """One value an agent: the weighted mean of its raw events. Events of the swarm itself have no agent."""
    own = [row for row in rows if row.swarm_id == swarm_id and row.metric == metric]
    agents = [row for row in own if row.agent_id] or own
    return Sample(
        swarm_id,
        {row.agent_id: row.mean for row in agents},
        "agent",
        frozenset(p for row in agents for p in row.provenances),
    )


def _names_tasks(rows: Sequence[CallRow]) -> bool:
    calls = [row for row in rows if row.by_task]
    named = sum(row.calls for row in calls if row.unit)
    return named >= TASK_COVERAGE_MIN * sum(row.calls for row in calls)


def _mean_durations(rows: Sequence[CallRow], *, by_task: bool) -> dict[str, float | None]:
    chosen = [row for row in rows if row.by_task == by_task and (row.unit or not by_task)]
    return {row.unit: row.duration_sum_ms / row.calls for row in chosen}
