"""Plain sentences, each made from one computed finding or fact.

In: concluded findings, summaries, trend lines, breakdowns. Out: `Sentence`, each with n and a link to where it comes
from. Never: a winner without a verdict; a cause: all of it is observational.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.facts import Sentence, SwarmSummary, finding_anchor
from reports.analysis.trend import TrendLine
from reports.compare.finding import Finding
from reports.numbers import difference, number, quantity
from reports.queries.port import BreakdownRow, ModelCostRow

_ORDER = {"worse": 0, "better": 0, "higher": 1, "lower": 1, "no difference shown": 2, "not ranked": 3}


def sentences(
    findings: Sequence[Finding],
    summaries: Sequence[SwarmSummary],
    trend: Sequence[TrendLine] = (),
    breakdown: Sequence[BreakdownRow] = (),
    costs: Sequence[ModelCostRow] = (),
) -> tuple[Sentence, ...]:
    """Trends first, then findings, those with a difference before those without; then each swarm by itself."""
    lines = [_trend(line) for line in trend]
    pairs = list(dict.fromkeys((f.a, f.b) for f in findings))
    lines += [_overall(a, b, findings) for a, b in pairs]
    told = [f for f in findings if f.verdict in _ORDER]
    told.sort(key=lambda f: _ORDER[f.verdict])
    lines += [_finding(f, finding_anchor(pairs.index((f.a, f.b)), f.metric)) for f in told]
    silent = [f for f in findings if f.verdict == "not enough data"]
    if silent:
        lines.append(_silent(silent))
    for summary in summaries:
        lines.extend(_swarm(summary))
        lines.extend(_errors(summary, [r for r in breakdown if r.swarm_id == summary.swarm_id]))
        lines.extend(_models(summary, [r for r in costs if r.swarm_id == summary.swarm_id]))
    return tuple(lines)


def _overall(a: str, b: str, findings: Sequence[Finding]) -> Sentence:
    """How many measures say what, before any of them is named."""
    words = [f.verdict for f in findings if (f.a, f.b) == (a, b)]
    ways = ("better", "worse", "higher", "lower")
    parts = [f"{way} in {words.count(way)}" for way in ways if way in words]
    lead = (
        f"{a} is {', '.join(parts)} of {len(words)} measures"
        if parts
        else (f"None of {len(words)} measures shows a difference between {a} and {b}")
    )
    rest = [
        f"{word} in {words.count(word)}"
        for word in ("no difference shown", "not enough data", "not ranked")
        if word in words
    ]
    text = f"{lead}{f' compared with {b}' if parts else ''}{'; ' + ', '.join(rest) if rest and parts else ''}."
    tone = "better" if "better" in words and "worse" not in words else "neutral"
    return Sentence(text, "", "worse" if "worse" in words and "better" not in words else tone, "comparison")


def _finding(f: Finding, anchor: str) -> Sentence:
    label = f.label[0].upper() + f.label[1:]
    values = f"{quantity(f.mean_a, f.unit)} against {quantity(f.mean_b, f.unit)}"
    n = f.n_a if f.paired else f.n_a + f.n_b
    if f.verdict == "no difference shown":
        text = f"{label}: no difference shown between {f.a} and {f.b} ({values}, {_units(f)})."
        return Sentence(text, f.metric, "neutral", anchor, f.query, n)
    if f.verdict == "not ranked":
        return Sentence(f"{label}: not ranked, because {f.why}.", f.metric, "unknown", anchor, f.query, n)
    return Sentence(
        f"{label}: {f.a} is {f.verdict} than {f.b}, {_size(f)} ({values}, {_units(f)}).",
        f.metric,
        f.verdict if f.verdict in {"better", "worse"} else "neutral",
        anchor,
        f.query,
        n,
    )


def _size(f: Finding) -> str:
    if f.ratio_low is not None and f.ratio is not None:
        return f"{number(f.ratio)} times [{number(f.ratio_low)}, {number(f.ratio_high)}]"
    if f.difference is None:
        return "by an unknown amount"
    if f.unit == "ratio":
        low, high = (f"{100 * (x or 0):+.1f}" for x in (f.difference_low, f.difference_high))
        return f"{100 * f.difference:+.1f} percentage points [{low}, {high}]"
    return f"by {quantity(abs(f.difference), f.unit)}"


def _units(f: Finding) -> str:
    if f.paired:
        return f"the same {f.n_a:,} tasks"
    return f"{f.n_a:,} and {f.n_b:,} {f.unit_of_analysis}s"


def _silent(findings: Sequence[Finding]) -> Sentence:
    labels = ", ".join(dict.fromkeys(f.label for f in findings))
    return Sentence(f"Not enough data to compare: {labels}.", "", "unknown", "comparison")


def _swarm(summary: SwarmSummary) -> list[Sentence]:
    lines = []
    if work := _work(summary):
        tasks = summary.fact("tasks")
        lines.append(Sentence(work, "tasks", "neutral", "f-tasks", "activities", tasks.n if tasks else None))
    anomalies = summary.fact("anomalies")
    if anomalies is not None and anomalies.value:
        severe = [f for s in ("critical", "high") if (f := summary.fact(f"anomalies_{s}")) and f.value]
        detail = ", ".join(f"{f.value} {f.name.removeprefix('anomalies_')}" for f in severe)
        noun = "anomaly" if anomalies.value == 1 else "anomalies"
        text = f"{summary.swarm_id} showed {anomalies.value} {noun}" + (f" ({detail})" if detail else "") + "."
        lines.append(Sentence(text, "anomalies", "neutral", "f-anomalies", anomalies.query, anomalies.n))
    return lines


def _errors(summary: SwarmSummary, rows: Sequence[BreakdownRow]) -> list[Sentence]:
    """The most frequent class of error, where failed tasks name one."""
    errors = [row for row in rows if row.dimension == "error type" and row.failed]
    failed = summary.fact("tasks_failed")
    if not errors or failed is None or not failed.value:
        return []
    first = max(errors, key=lambda row: (row.failed, row.value))
    text = (
        f"{summary.swarm_id}: {failed.value:,} of {failed.n:,} task runs failed; the most frequent class of error is "
        f"{first.value} ({first.failed:,} of them)."
    )
    return [Sentence(text, "tasks_failed", "neutral", "breakdown", "breakdown", failed.n)]


def _models(summary: SwarmSummary, rows: Sequence[ModelCostRow]) -> list[Sentence]:
    """Which model the money went to, where several have a price; what has none is counted beside it."""
    priced = [(row.cost_usd, row.model) for row in rows if row.cost_usd]
    if len(priced) < 2:
        return []
    total, (most, model) = sum(cost for cost, _ in priced), max(priced)
    calls, with_price = sum(row.calls for row in rows), sum(row.priced for row in rows)
    text = (
        f"{summary.swarm_id}: {quantity(most / total, 'ratio')} of the cost of its model calls is "
        f"{model or 'unnamed'}'s ({quantity(most, 'USD')} of {quantity(total, 'USD')}; "
        f"{with_price:,} of {calls:,} calls have a price)."
    )
    return [Sentence(text, "cost_usd", "neutral", "f-cost_usd", "cost_by_model", with_price)]


def _trend(line: TrendLine) -> Sentence:
    label = line.label[0].upper() + line.label[1:]
    anchor, n = f"t-{line.metric}", line.tasks_used
    if line.slope is not None and line.slope_low is None:
        return Sentence(
            f"{label}: {line.verdict}: {line.why} ({quantity(line.current.value, line.unit)}, {n:,} tasks).",
            line.metric,
            "neutral",
            anchor,
            "tasks_by_period",
            n,
        )
    if line.slope is None or line.slope_low is None or line.slope_high is None:
        return Sentence(
            f"{label}: no trend can be told, {line.why}.", line.metric, "unknown", anchor, "tasks_by_period", n
        )
    low, high = (difference(x, line.unit) for x in (line.slope_low, line.slope_high))
    size = f"{difference(line.slope, line.unit)} a period [{low}, {high}], {line.periods_used} periods, {n:,} tasks"
    tone = {"improving": "better", "worsening": "worse"}.get(line.verdict, "neutral")
    return Sentence(f"{label}: {line.verdict} ({size}).", line.metric, tone, anchor, "tasks_by_period", n)


def _work(summary: SwarmSummary) -> str:
    """What the swarm did, from its facts alone; '' where it ran no task."""
    known = {f.name: f for f in summary.facts if f.value is not None}
    tasks, agents = known.get("tasks"), known.get("agents")
    if tasks is None or not tasks.value:
        return ""
    who = f" by {agents.value:,} agent{'' if agents.value == 1 else 's'}" if agents and agents.value else ""
    text = f"{summary.swarm_id}: {tasks.value:,} task run{'' if tasks.value == 1 else 's'}{who}"
    if "success_ratio" in known:
        success = known["success_ratio"]
        text += f", {quantity(success.value, 'ratio')} successful"
        if success.low is not None and success.high is not None:
            text += f" [{quantity(success.low, 'ratio')}, {quantity(success.high, 'ratio')}]"
    if "task_duration_p50" in known and "task_duration_p95" in known:
        p50, p95 = (quantity(known[f"task_duration_{p}"].value, "ms") for p in ("p50", "p95"))
        text += f", half of them within {p50} and 95 % within {p95}"
    if "cost_usd" in known:
        cost = known["cost_usd"]
        text += f", {quantity(cost.value, 'USD')}" + (" (estimated)" if "estimated" in cost.provenance else "")
        text += f", {cost.note}" if cost.note else ""
    return text + "."
