"""Compares every pair of swarms in every measure they share, and concludes over all of it at once.

In: rows of the queries. Out: concluded findings and the counts behind success.
Never: a finding outside the correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from reports.compare import samples
from reports.compare.align import Sample
from reports.compare.finding import Finding, SuccessFinding
from reports.compare.measures import CALL_MEASURES, TASK_MEASURES, Measure, measure_of
from reports.compare.statistics import Pairing, Prepared, estimated, prepare
from reports.compare.verdict import conclude
from reports.queries.port import AgentMetricRow, CallRow, Query, TaskRow

EVENT_METRICS_MAX: Final = 20  # custom metrics compared without being asked for: those with the most events


@dataclass(frozen=True, slots=True)
class ComparisonInput:
    """The rows a comparison rests on, and the queries they came from by name."""

    tasks: Sequence[TaskRow]
    calls: Sequence[CallRow]
    agent_metrics: Sequence[AgentMetricRow]
    queries: Mapping[str, Query]


def compare_swarms(
    swarm_ids: Sequence[str],
    data: ComparisonInput,
    *,
    metrics: Sequence[str] = (),
    pairing: Pairing = "auto",
) -> tuple[tuple[Finding, ...], tuple[SuccessFinding, ...]]:
    """`metrics` empty: every measure that at least one swarm has. Pairs in the order of `swarm_ids`."""
    prepared = prepare_pairs(list(combinations(swarm_ids, 2)), data, metrics=metrics, pairing=pairing)
    return conclude(estimated(prepared), [p.counts for p in prepared if p.counts is not None])


def compare_strata(
    pairs: Sequence[tuple[str, str]],
    data: ComparisonInput,
    strata: Mapping[str, ComparisonInput],
    *,
    metrics: Sequence[str] = (),
    pairing: Pairing = "auto",
) -> tuple[tuple[Finding, ...], tuple[SuccessFinding, ...]]:
    """Some pairs over all the data and within each stratum, concluded at once: a stratum's claims count as well.

    Findings of a stratum carry its name.
    """
    prepared = prepare_pairs(pairs, data, metrics=metrics, pairing=pairing)
    for name, part in strata.items():
        prepared += [
            replace(
                one,
                finding=replace(one.finding, stratum=name),
                counts=one.counts and replace(one.counts, stratum=name),
            )
            for one in prepare_pairs(pairs, part, metrics=metrics, pairing=pairing)
        ]
    return conclude(estimated(prepared), [p.counts for p in prepared if p.counts is not None])


def prepare_pairs(
    pairs: Sequence[tuple[str, str]], data: ComparisonInput, *, metrics: Sequence[str], pairing: Pairing
) -> list[Prepared]:
    """Every measure of every pair, as far as it is known without draws."""
    swarm_ids = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    prepared: list[Prepared] = []
    for measure, query, by_swarm in _all_samples(swarm_ids, data, metrics):
        asked = measure.name in metrics
        if not asked and not any(sample.measured for sample in by_swarm.values()):
            continue
        sql = _sql(data, query)
        prepared += [
            prepare(measure, by_swarm[a], by_swarm[b], pairing=pairing, query=query, sql=sql) for a, b in pairs
        ]
    return prepared


def _all_samples(
    swarm_ids: Sequence[str], data: ComparisonInput, metrics: Sequence[str]
) -> Iterator[tuple[Measure, str, dict[str, Sample]]]:
    tasks: dict[str, list[TaskRow]] = {swarm_id: [] for swarm_id in swarm_ids}
    for row in data.tasks:
        if row.swarm_id in tasks:
            tasks[row.swarm_id].append(row)
    activity_measures: list[tuple[str, str, dict[str, Sample]]] = [
        *((n, "tasks", {s: samples.task_sample(n, s, tasks[s]) for s in swarm_ids}) for n in TASK_MEASURES),
        *((n, "calls", samples.call_samples(k, swarm_ids, data.calls)) for n, k in CALL_MEASURES.items()),
    ]
    # A name that agents publish as plain metric events is compared from these where no activity carries it.
    from_activities = {n for n, _, by_swarm in activity_measures if any(s.measured for s in by_swarm.values())}
    from_events = _event_metrics(data.agent_metrics, metrics, from_activities)
    for name, query, by_swarm in activity_measures:
        if name not in from_events and (not metrics or name in metrics):
            yield measure_of(name), query, by_swarm
    for name in from_events:
        unit = next((row.unit for row in data.agent_metrics if row.metric == name and row.unit), "")
        by_swarm = {s: samples.agent_sample(name, s, data.agent_metrics) for s in swarm_ids}
        yield measure_of(name, unit), "agent_metrics", by_swarm


def _event_metrics(rows: Sequence[AgentMetricRow], metrics: Sequence[str], from_activities: set[str]) -> list[str]:
    events: dict[str, int] = {}
    for row in rows:
        if row.metric not in from_activities:
            events[row.metric] = events.get(row.metric, 0) + row.events
    if metrics:
        own = {*TASK_MEASURES, *CALL_MEASURES}
        return [name for name in dict.fromkeys(metrics) if name in events or name not in own]
    return sorted(sorted(events, key=lambda name: (-events[name], name))[:EVENT_METRICS_MAX])


def _sql(data: ComparisonInput, query: str) -> str:
    return data.queries[query].sql if query in data.queries else ""
