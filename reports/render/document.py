"""The whole report as sections of sentences and tables: what text and PDF lay out, each in its own way.

In: a Report. Out: `Section`s in reading order. Never: markup; what the kind of report does not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.analysis.facts import Fact
from reports.compare.finding import Finding
from reports.numbers import count, difference, number, quantity, score
from reports.render.environment import fact_text
from reports.render.html import AGENTS_SHOWN, EXECUTIVE_FACTS
from reports.render.tables import Column, Table, detail_tables, p_text, trend_tables
from reports.render.times import short
from reports.render.view import Chart, Report

EXECUTIVE_ANOMALIES = 10


@dataclass(frozen=True, slots=True)
class Section:
    """A headline with sentences, tables and charts under it; any of them may be absent."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


def head_line(report: Report) -> str:
    """When it was made, and the time range."""
    time = report.config
    text = f"Made {short(report.created_at_ms)}. Times are UTC; intervals are 95 %."
    if time.from_ms is not None or time.to_ms is not None:
        start = short(time.from_ms) if time.from_ms is not None else "the first"
        end = short(time.to_ms) if time.to_ms is not None else "the last"
        text += f" Events from {start} to {end}."
    return text


def sections(report: Report) -> tuple[Section, ...]:
    """Findings, comparison, charts, details, swarms, anomalies, cost, agents, data quality, queries."""
    return tuple(_made(report))


def _made(report: Report) -> Iterator[Section]:
    said = tuple(sentence.text for sentence in report.sentences)
    yield Section("What these runs show", said or ("Nothing to compare and no anomalies.",))
    for table in trend_tables(report):
        yield Section(table.title, tables=(table,))
    if report.pairs:
        yield Section("Comparison", tables=tuple(_comparison(report, a, b) for a, b in report.pairs))
    if report.charts:
        yield Section("Charts", charts=report.charts)
    for table in detail_tables(report):
        yield Section(table.title, tables=(table,))
    yield Section("Swarms", tables=(_facts(report),))
    if report.anomalies:
        yield Section("Anomalies", tables=(_anomalies(report),))
    if report.full and report.costs:
        yield Section("Cost by model", tables=(_costs(report),))
    if report.full and report.agents:
        yield Section("Agents", tables=(_agents(report),))
    notes = ((f"Warning: {note.text}" if note.level == "warning" else note.text) for note in report.quality)
    yield Section("Data quality", tuple(notes))


def _comparison(report: Report, a: str, b: str) -> Table:
    rows = tuple(
        (
            f.label,
            quantity(f.mean_a, f.unit),
            quantity(f.mean_b, f.unit),
            _ratio(f),
            f"{count(f.n_a)} pairs" if f.paired else f"{count(f.n_a)}, {count(f.n_b)} {f.unit_of_analysis}s",
            p_text(f.p_adjusted),
            f.verdict,
            f.why,
        )
        for f in report.findings_of(a, b)
    )
    numbers = ("A mean", "B mean", "A / B", "n", "p")
    columns = (Column("measure"), *(Column(n, True) for n in numbers), Column("A is"), Column("why"))
    note = "Ratios are A / B of the means with their 95 % interval; p is corrected over all tests of the report (Holm)."
    return Table("comparison", f"A = {a}, B = {b}", columns, rows, note)


def _ratio(f: Finding) -> str:
    if f.ratio_low is not None:
        return f"{number(f.ratio)} [{number(f.ratio_low)}, {number(f.ratio_high)}]"
    if f.difference_low is not None:
        low, high = (difference(x, f.unit) for x in (f.difference_low, f.difference_high))
        return f"{difference(f.difference, f.unit)} [{low}, {high}]"
    return "–" if f.ratio is None else f"{number(f.ratio)}, no interval"


def _facts(report: Report) -> Table:
    rows = [("first event", *(short(s.first_ms) for s in report.summaries))]
    rows += [
        (label, *(_fact(fact) for fact in report.facts(name)))
        for name, label in report.fact_names
        if report.full or name in EXECUTIVE_FACTS
    ]
    rows += [
        (f"configuration: {key}", *(s.setting(key) for s in report.summaries)) for key in report.configuration_keys
    ]
    columns = (Column("fact"), *(Column(s.swarm_id, True) for s in report.summaries))
    return Table("swarms", "Facts of each swarm", columns, tuple(rows), "Of everything in the time range.")


def _fact(fact: Fact | None) -> str:
    if fact is None:
        return "–"
    n = f" (n = {count(fact.n)})" if fact.low is not None else ""
    return f"{fact_text(fact)}{n}"


def _anomalies(report: Report) -> Table:
    shown = report.anomalies if report.full else report.anomalies[:EXECUTIVE_ANOMALIES]
    rows = tuple(
        (
            short(x.window_start_ms).removesuffix(" UTC"),
            ", ".join(filter(None, (x.swarm_id, x.agent_id))),
            x.severity,
            score(x.score),
            f"{quantity(x.value, x.unit)} (expected {quantity(x.expected_low, x.unit)} to "
            f"{quantity(x.expected_high, x.unit)})",
            x.metric,
        )
        for x in shown
    )
    columns = (
        Column("window (UTC)"),
        Column("swarm, agent"),
        Column("severity"),
        Column("score", True),
        Column("value"),
        Column("metric"),
    )
    title = f"The {len(shown)} highest scores of {count(report.anomalies_total)}"
    return Table("anomalies", title, columns, rows, query="anomalies")


def _costs(report: Report) -> Table:
    rows = tuple(
        (
            c.model or "not named",
            c.swarm_id,
            count(c.calls),
            count(c.priced),
            quantity(c.cost_usd, "USD") if c.cost_usd != 0 else "not reported (all 0)",
            count(c.output_tokens),
            ", ".join(c.cost_provenances) or "none",
        )
        for c in report.costs
    )
    numbers = ("calls", "priced", "cost", "output tokens")
    columns = (Column("model"), Column("swarm"), *(Column(n, True) for n in numbers), Column("provenance"))
    return Table("cost", "Model calls", columns, rows, query="cost_by_model")


def _agents(report: Report) -> Table:
    rows = tuple(
        (
            g.agent_id,
            g.swarm_id,
            g.role or "–",
            *(count(v) for v in (g.tasks, g.failed, g.tool_calls, g.model_calls)),
            *("–" if v is None else quantity(v, "ms") for v in (g.task_p50_ms, g.task_p95_ms)),
        )
        for g in report.agents[:AGENTS_SHOWN]
    )
    numbers = ("tasks", "failed", "tool calls", "model calls", "task p50", "task p95")
    columns = (Column("agent"), Column("swarm"), Column("role"), *(Column(n, True) for n in numbers))
    left = len(report.agents) - len(rows)
    note = f"{len(rows)} of {count(len(report.agents))} agents; the JSON has all." if left else ""
    return Table("agents", "Work of each agent", columns, rows, note, "agents")
