"""What each swarm's rows say about it: outcomes, durations, tokens, cost, anomalies, and what was not measured.

In: rows of the queries. Out: `SwarmSummary`. Never: a judgement between swarms; a sum that hides its gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reports.analysis.facts import Fact, SwarmSummary
from reports.compare.success import wilson
from reports.queries.port import ActivityRow, AnomalyCountRow, ConfigurationRow, SwarmRow, TaskRow

SEVERITIES = ("critical", "high", "medium", "low")
KINDS = (("task", "task"), ("model_call", "model call"), ("tool_call", "tool call"))
STATUSES = ("completed", "failed", "cancelled", "blocked", "running")
TOKENS = (
    ("input_tokens", "uncached input tokens"),
    ("cache_read_tokens", "cache read tokens"),
    ("cache_write_tokens", "cache write tokens"),
    ("output_tokens", "output tokens"),
)


def summarise(
    swarm_id: str,
    *,
    swarms: Sequence[SwarmRow],
    activities: Sequence[ActivityRow],
    tasks: Sequence[TaskRow],
    anomalies: Sequence[AnomalyCountRow],
    configurations: Sequence[ConfigurationRow],
) -> SwarmSummary:
    """All facts of one swarm; rows of other swarms are ignored."""
    span = next((row for row in swarms if row.swarm_id == swarm_id), None)
    by_kind = {row.kind: row for row in activities if row.swarm_id == swarm_id}
    own_tasks = [row for row in tasks if row.swarm_id == swarm_id]
    facts = (
        *_extent(span),
        *_outcomes(by_kind.get("task"), own_tasks),
        *_durations(by_kind),
        *_tokens(by_kind),
        *_cost(by_kind, own_tasks),
        *_anomalies(swarm_id, anomalies),
    )
    return SwarmSummary(
        swarm_id,
        span.first_ms if span else None,
        span.last_ms if span else None,
        facts,
        tuple(fact.label for fact in facts if fact.value is None),
        _configuration(swarm_id, configurations),
    )


def _extent(span: SwarmRow | None) -> Iterator[Fact]:
    n = span.activities + span.metric_events if span else 0
    first, last = (span.first_ms, span.last_ms) if span else (None, None)
    length = last - first if first is not None and last is not None else None
    yield Fact("time_span", "time span", length, "ms", n, "swarms", "last_ms - first_ms", ("measured",))
    yield Fact("agents", "agents", span.agents if span else 0, "agents", n, "swarms", "agents", ("measured",))
    for name, label in (("activities", "activities"), ("metric_events", "metric events")):
        value = getattr(span, name) if span else 0
        yield Fact(name, label, value, "1", value, "swarms", name, ("measured",))


def _outcomes(row: ActivityRow | None, tasks: Sequence[TaskRow]) -> Iterator[Fact]:
    provenance = row.provenances if row else ()
    total = row.total if row else 0
    yield Fact("tasks", "task runs", total, "tasks", total, "activities", "total of kind task", provenance)
    for status in STATUSES:
        value = getattr(row, status) if row else 0
        if value or status in {"completed", "failed"}:
            yield Fact(f"tasks_{status}", f"tasks {status}", value, "tasks", total, "activities", status, provenance)
    finished, successes = sum(t.finished for t in tasks), sum(t.successes for t in tasks)
    reported = sum(t.success_reported for t in tasks)
    interval = wilson(successes, finished)
    note = "" if reported == finished else f"{finished - reported} of {finished} outcomes taken from the status"
    yield Fact(
        "success_ratio",
        "task success",
        successes / finished if finished else None,
        "ratio",
        finished,
        "tasks",
        "sum(successes) / sum(finished); Wilson interval",
        provenance if not note else tuple(sorted({*provenance, "derived"})),
        interval[0] if interval else None,
        interval[1] if interval else None,
        note,
    )


def _durations(by_kind: Mapping[str, ActivityRow]) -> Iterator[Fact]:
    for kind, label in KINDS:
        row = by_kind.get(kind)
        if row is None:
            continue
        for column, words in (("duration_p50_ms", "p50"), ("duration_p95_ms", "p95")):
            yield Fact(
                f"{kind}_{column.removesuffix('_ms')}",
                f"{label} duration {words}",
                getattr(row, column),
                "ms",
                row.measured,
                "activities",
                f"{column} of kind {kind}",
                row.provenances,
                note=_part(row.measured, row.total, "measured"),
            )
        if kind != "task":
            name, plural = f"{kind}s", f"{label}s"
            yield Fact(name, plural, row.total, "calls", row.total, "activities", "total", row.provenances)
            yield Fact(
                f"{name}_failed",
                f"{plural} failed",
                row.failed,
                "calls",
                row.total,
                "activities",
                f"failed of kind {kind}",
                row.provenances,
            )


def _tokens(by_kind: Mapping[str, ActivityRow]) -> Iterator[Fact]:
    """From the model calls where they carry tokens, else from the tasks: never both, they are the same tokens."""
    row = next((r for k in ("model_call", "task") if (r := by_kind.get(k)) and r.with_tokens), None)
    for name, label in TOKENS:
        yield Fact(
            name,
            label,
            getattr(row, name) if row else None,
            "tokens",
            row.with_tokens if row else 0,
            "activities",
            f"{name} of kind {row.kind}" if row else name,
            row.provenances if row else (),
            note=_part(row.with_tokens, row.total, "with token counts") if row else "",
        )


def _cost(by_kind: Mapping[str, ActivityRow], tasks: Sequence[TaskRow]) -> Iterator[Fact]:
    """Of the tasks where they carry cost, else of the model calls."""
    row = next((r for k in ("task", "model_call") if (r := by_kind.get(k)) and r.priced), None)
    candidate = row or by_kind.get("model_call") or by_kind.get("task")
    value = row.cost_usd if row else None
    note = _part(row.priced, row.total, "priced") if row else ""
    if row and value == 0:
        value, note = None, f"all {row.priced} costs are 0: not reported, not free"
    total, priced = (candidate.total, candidate.priced if value is not None else 0) if candidate else (0, 0)
    provenance = row.cost_provenances if row else ()
    source = f"of kind {candidate.kind}" if candidate else ""
    yield Fact("cost_usd", "cost", value, "USD", priced, "activities", f"cost_usd {source}", provenance, note=note)
    yield Fact(
        "priced_ratio",
        "share of activities with a price",
        priced / total if total else None,
        "ratio",
        total,
        "activities",
        f"priced / total {source}",
        ("derived",) if total else (),
    )
    successes = sum(t.successes for t in tasks)
    whole = value is not None and row is not None and row.priced == row.total and successes > 0
    yield Fact(
        "cost_usd_per_success",
        "cost per successful task",
        value / successes if whole and value is not None else None,
        "USD",
        successes,
        "tasks",
        "cost / sum(successes), only when everything is priced",
        (*provenance, "derived") if whole else (),
    )


def _anomalies(swarm_id: str, rows: Sequence[AnomalyCountRow]) -> Iterator[Fact]:
    counts = {row.severity: row.anomalies for row in rows if row.swarm_id == swarm_id}
    total = sum(counts.values())
    query = "anomaly_counts"
    yield Fact("anomalies", "anomalies", total, "anomalies", total, query, "sum(anomalies)", ("derived",))
    for severity in SEVERITIES:
        # A severity that any swarm shows is counted for each, so that 0 reads as 0 and not as unknown.
        if any(row.severity == severity for row in rows):
            yield Fact(
                f"anomalies_{severity}",
                f"anomalies, {severity}",
                counts.get(severity, 0),
                "anomalies",
                total,
                query,
                f"anomalies of severity {severity}",
                ("derived",),
            )


def _configuration(swarm_id: str, rows: Sequence[ConfigurationRow]) -> tuple[tuple[str, str], ...]:
    """The tags its runs agree on; a key with several values lists them."""
    values: dict[str, list[str]] = {}
    for row in rows:
        if row.swarm_id == swarm_id:
            for key, value in row.configuration.items():
                if value not in values.setdefault(key, []):
                    values[key].append(value)
    return tuple((key, ", ".join(values[key])) for key in sorted(values))


def _part(part: int, whole: int, word: str) -> str:
    return "" if part == whole else f"{part:,} of {whole:,} {word}"
