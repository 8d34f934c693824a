"""Plain sentences, each made from one computed finding or fact.

In: concluded findings, summaries. Out: `Sentence`. Never: a winner without a verdict; a cause: all of it is
observational.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.facts import Sentence, SwarmSummary
from reports.compare.finding import Finding
from reports.numbers import number, quantity

_ORDER = {"worse": 0, "better": 0, "higher": 1, "lower": 1, "no difference shown": 2, "not ranked": 3}


def sentences(findings: Sequence[Finding], summaries: Sequence[SwarmSummary]) -> tuple[Sentence, ...]:
    """Findings first, those with a difference before those without; then what each swarm should know of itself."""
    lines = [_overall(a, b, findings) for a, b in dict.fromkeys((f.a, f.b) for f in findings)]
    told = [f for f in findings if f.verdict in _ORDER]
    told.sort(key=lambda f: _ORDER[f.verdict])
    lines += [_finding(f) for f in told]
    silent = [f for f in findings if f.verdict == "not enough data"]
    if silent:
        lines.append(_silent(silent))
    lines.extend(line for summary in summaries for line in _swarm(summary))
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
    return Sentence(text, "", "worse" if "worse" in words and "better" not in words else tone)


def _finding(f: Finding) -> Sentence:
    label = f.label[0].upper() + f.label[1:]
    values = f"{quantity(f.mean_a, f.unit)} against {quantity(f.mean_b, f.unit)}"
    if f.verdict == "no difference shown":
        return Sentence(f"{label}: no difference shown between {f.a} and {f.b} ({values}).", f.metric, "neutral")
    if f.verdict == "not ranked":
        return Sentence(f"{label}: not ranked, because {f.why}.", f.metric, "unknown")
    return Sentence(
        f"{label}: {f.a} is {f.verdict} than {f.b}, {_size(f)} ({values}, {_units(f)}).",
        f.metric,
        f.verdict if f.verdict in {"better", "worse"} else "neutral",
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
    return Sentence(f"Not enough data to compare: {labels}.", "", "unknown")


def _swarm(summary: SwarmSummary) -> list[Sentence]:
    lines = []
    if work := _work(summary):
        lines.append(Sentence(work, "tasks", "neutral"))
    anomalies = summary.fact("anomalies")
    if anomalies is not None and anomalies.value:
        severe = [f for s in ("critical", "high") if (f := summary.fact(f"anomalies_{s}")) and f.value]
        detail = ", ".join(f"{f.value} {f.name.removeprefix('anomalies_')}" for f in severe)
        noun = "anomaly" if anomalies.value == 1 else "anomalies"
        text = f"{summary.swarm_id} showed {anomalies.value} {noun}" + (f" ({detail})" if detail else "") + "."
        lines.append(Sentence(text, "anomalies", "neutral"))
    return lines


def _work(summary: SwarmSummary) -> str:
    """What the swarm did, from its facts alone; '' where it ran no task."""
    known = {f.name: f for f in summary.facts if f.value is not None}
    tasks, agents = known.get("tasks"), known.get("agents")
    if tasks is None or not tasks.value:
        return ""
    who = f" by {agents.value:,} agent{'' if agents.value == 1 else 's'}" if agents and agents.value else ""
    text = f"{summary.swarm_id}: {tasks.value:,} task run{'' if tasks.value == 1 else 's'}{who}"
    if "success_ratio" in known:
        text += f", {quantity(known['success_ratio'].value, 'ratio')} successful"
    if "task_duration_p50" in known and "task_duration_p95" in known:
        p50, p95 = (quantity(known[f"task_duration_{p}"].value, "ms") for p in ("p50", "p95"))
        text += f", half of them within {p50} and 95 % within {p95}"
    if "cost_usd" in known:
        cost = known["cost_usd"]
        text += f", {quantity(cost.value, 'USD')}" + (" (estimated)" if "estimated" in cost.provenance else "")
        text += f", {cost.note}" if cost.note else ""
    return text + "."
