"""Each chart in characters: the same data as in the picture, laid out by `terminal`.

In: the data of a chart, a width in columns. Out: text. Never: another reduction than the picture's without a word.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from reports.charts import scales, terminal
from reports.charts.distribution import Distribution, quantile, shown_values
from reports.charts.graph import ARCS_MAX, STARTED, Row, pairs_of, rows_of
from reports.charts.heatmap import Tone
from reports.charts.heatmap import rows_of as agent_rows
from reports.charts.histogram import bin_edges, counted
from reports.charts.line import pieces, window_size
from reports.charts.scatter import Points
from reports.charts.timeline import rows_of as timeline_rows
from reports.compare.measures import measure_of
from reports.numbers import count, quantity
from reports.queries.port import AnomalyRow, BarRow, CellRow, LinkRow, ModelCostRow, WindowRow

BINS_MAX: Final = 16  # lines of one side's histogram
UTC: Final = "event time (UTC)"
BAR_WORDS: Final = {"█": "task", "░": "call", "═": "phase", "×": "failed"}


def line(windows: Sequence[WindowRow], anomalies: Sequence[AnomalyRow], metric: str, width: int) -> str:
    """One grid a swarm: mean, p95, anomalies; a gap stays empty."""
    size = window_size(windows)
    rows = [row for row in windows if row.window_ms == size]
    measure = measure_of(metric, rows[0].unit)
    shown = scales.shown_of(measure.unit, [row.p95 for row in rows])
    lines: list[str] = []
    for swarm in dict.fromkeys(row.swarm_id for row in rows):
        own = [row for row in rows if row.swarm_id == swarm]
        found = [a for a in anomalies if a.swarm_id == swarm and a.metric == metric]
        series = {
            "p95": _joined(own, [row.p95 * shown.factor for row in own], width),
            "mean": _joined(own, [row.mean * shown.factor for row in own], width),
            "anomaly": [(float(a.window_start_ms), a.value * shown.factor) for a in found],
        }
        x = scales.utc([row.window_start_ms for row in own] + [a.window_start_ms for a in found], 0, 1)
        y = scales.linear([v for points in series.values() for _, v in points], 0, 1, unit=shown.unit)
        titles = (UTC, f"{swarm} · {scales.title(measure.label, y)}")
        lines += terminal.grid(series if found else _without(series, "anomaly"), x, y, width=width, titles=titles)
    return "\n".join(lines)


def ecdf(data: Distribution, width: int) -> str:
    """One series a side: share of the units with at most a value."""
    sides = {side: values for side, values in data.sides.items() if len(values) > 1}
    shown, values = shown_values(data, sides)
    x, y = scales.fitting(values, 0, 1, unit=shown.unit), scales.Scale("linear", 0, 100, 0, 1, "%")
    steps = width * 2
    series = {
        side: [(quantile(own, i / steps) * shown.factor, 100 * i / steps) for i in range(steps + 1)]
        for side, own in sides.items()
    }
    titles = (scales.title(data.label, x), f"share of {data.of}s with at most this (%)")
    return "\n".join(terminal.grid(series, x, y, width=width, titles=titles))


def histogram(data: Distribution, width: int) -> str:
    """A bar a bin, one block a side, over the same bins."""
    shown, values = shown_values(data, data.sides)
    x = scales.fitting(values, 0, 1, unit=shown.unit)
    edges = bin_edges(values, x, bins_max=BINS_MAX)
    lines: list[str] = []
    for side, own in data.sides.items():
        bins = counted([value * shown.factor for value in own], edges)
        lines += [*([""] if lines else []), terminal.cut(f"{side} · {data.label} ({shown.unit}), {data.of}s", width)]
        names = [f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(edges)]
        lines += terminal.bars([(n, k, count(k)) for n, k in zip(names, bins, strict=True)], width=width)
    return "\n".join(lines)


def box(data: Distribution, width: int) -> str:
    """Lowest, quartiles, highest of each side."""
    shown, values = shown_values(data, data.sides)
    x = scales.fitting(values, 0, 1, unit=shown.unit)
    rows = []
    for side, own in data.sides.items():
        low, q1, q2, q3, high = (quantile(own, share) * shown.factor for share in (0, 0.25, 0.5, 0.75, 1))
        rows.append((side, (low, q1, q2, q3, high)))
    return "\n".join(terminal.boxes(rows, x, f"{scales.title(data.label, x)}: lowest, quartiles, highest", width=width))


def scatter(data: Points, width: int) -> str:
    """A point a task, all of them: what falls into one character is one."""
    of_x, of_y = measure_of(data.x), measure_of(data.y)
    shown_x = scales.shown_of(of_x.unit, [x for own in data.sides.values() for _, x, _ in own])
    shown_y = scales.shown_of(of_y.unit, [y for own in data.sides.values() for _, _, y in own])
    series = {s: [(x * shown_x.factor, y * shown_y.factor) for _, x, y in own] for s, own in data.sides.items()}
    x = scales.fitting([x for own in series.values() for x, _ in own], 0, 1, unit=shown_x.unit)
    y = scales.fitting([y for own in series.values() for _, y in own], 0, 1, unit=shown_y.unit)
    titles = (scales.title(of_x.label, x), scales.title(of_y.label, y))
    return "\n".join(terminal.grid(series, x, y, width=width, titles=titles))


def heatmap(cells: Sequence[CellRow], metric: str, size_ms: int, width: int) -> str:
    """One row an agent; the darker, the higher."""
    measure = measure_of(metric, cells[0].unit)
    lines: list[str] = []
    rows = agent_rows(cells)
    drawn = [c for c in cells if c.agent_id in rows.get(c.swarm_id, ())]
    tone = Tone([c.mean for c in drawn])
    first, last = min(c.start_ms for c in drawn), max(c.start_ms for c in drawn)
    x = scales.utc([first, last + size_ms], 0, 1)
    for swarm, agents in rows.items():
        of = {
            agent or swarm: [
                (float(c.start_ms), float(c.start_ms + size_ms), tone.share(c.mean))
                for c in drawn
                if (c.swarm_id, c.agent_id) == (swarm, agent)
            ]
            for agent in agents
        }
        lines += [terminal.cut(f"{swarm} · mean {measure.label}", width)]
        lines += terminal.shades(of, x, UTC, width=width)
    low, high = (quantity(value, measure.unit) for value in (tone.low, tone.high))
    ends = f"{terminal.SHADES[0]} {low}   {terminal.SHADES[-1]} {high}"
    return "\n".join([*lines, ends + ("   (log scale)" if tone.logarithmic else "")])


def timeline(bars: Sequence[BarRow], width: int) -> str:
    """One row an agent: tasks full, calls light, failures crossed."""
    rows = timeline_rows(bars)
    x = scales.utc([t for own in rows.values() for bar in own for t in (bar.started_ms, bar.ended_ms)], 0, 1)
    drawn: dict[str, list[tuple[float, float, str]]] = {}
    for row, own in rows.items():
        order = sorted(own, key=lambda b: (b.kind in {"task", "phase"}, b.status == "failed"))
        drawn[row] = [(b.started_ms, b.ended_ms, _glyph(b)) for b in order]
    lines = terminal.spans(drawn, x, UTC, width=width)
    seen = [f"{glyph} {word}" for glyph, word in BAR_WORDS.items() if any(glyph in line for line in lines)]
    return "\n".join([*lines, "   ".join(seen)])


def graph(links: Sequence[LinkRow], width: int) -> str:
    """The tree of who started whom, then the most frequent messages."""
    lines: list[str] = []
    for swarm in dict.fromkeys(link.swarm_id for link in links):
        own = [link for link in links if link.swarm_id == swarm]
        rows, left_out = rows_of(own)
        lines += [*([""] if lines else []), terminal.cut(f"{swarm} · agents", width)]
        lines += _branches(rows, width)
        if left_out:
            lines.append(f"and {count(left_out)} more")
        pairs = pairs_of(k for k in own if k.kind != STARTED)
        busiest = sorted(pairs, key=lambda pair: (-sum(k.n for k in pairs[pair]), pair))[:ARCS_MAX]
        bars = []
        for source, target in busiest:
            told = pairs[source, target]
            kinds = ", ".join(f"{count(k.n)} {k.kind}" for k in told)
            bars.append((f"{source} → {target}", sum(k.n for k in told), terminal.cut(kinds, width // 3)))
        lines += terminal.bars(bars, width=width)
    return "\n".join(lines)


def _branches(rows: Sequence[Row], width: int) -> list[str]:
    """Each agent under the one that started it; deep ones keep room for their names."""
    last = {row.parent: i for i, row in enumerate(rows)}  # the youngest of each parent ends its line
    before: list[str] = []  # what the lines of a row's children begin with
    lines = []
    for i, row in enumerate(rows):
        ended = last[row.parent] == i
        own = "" if row.parent is None else before[row.parent]
        before.append("" if row.parent is None else own + ("   " if ended else "│  "))
        indent = "" if row.parent is None else own + ("└─ " if ended else "├─ ")
        indent = indent[-3 * (width // 8) :]
        lines.append(indent + terminal.cut(row.agent, width - len(indent)))
    return lines


def cost(costs: Sequence[ModelCostRow], width: int) -> str:
    """A bar a swarm and model."""
    priced = sorted((c for c in costs if c.cost_usd), key=lambda c: -(c.cost_usd or 0))
    rows = [(f"{c.swarm_id}, {c.model or 'not named'}", c.cost_usd or 0.0, quantity(c.cost_usd, "USD")) for c in priced]
    return "\n".join(terminal.bars(rows, width=width))


def _joined(rows: Sequence[WindowRow], values: Sequence[float], width: int) -> list[tuple[float, float]]:
    """The windows' points, and between neighbours points on the line that joins them; none over a gap."""
    by_start = dict(zip((row.window_start_ms for row in rows), values, strict=True))
    span = max(rows[-1].window_start_ms - rows[0].window_start_ms, 1)
    found: list[tuple[float, float]] = []
    for piece in pieces(rows):
        starts = [row.window_start_ms for row in piece]
        found.append((starts[0], by_start[starts[0]]))
        for a, b in itertools.pairwise(starts):
            between = max(1, round((b - a) / span * width))
            found += [
                (a + (b - a) * i / between, by_start[a] + (by_start[b] - by_start[a]) * i / between)
                for i in range(1, between + 1)
            ]
    return found


def _glyph(bar: BarRow) -> str:
    if bar.status == "failed":
        return "×"
    return {"task": "█", "phase": "═"}.get(bar.kind, "░")


def _without(series: Mapping[str, list[tuple[float, float]]], name: str) -> dict[str, list[tuple[float, float]]]:
    return {key: points for key, points in series.items() if key != name}
