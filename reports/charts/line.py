"""A metric over time: each swarm's windows, the anomalies on them, gaps left open.

In: window and anomaly rows of one metric. Out: `Chart`, or None where two windows of one size are not there.
Never: a line through a time in which nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.compare.measures import measure_of
from reports.numbers import number, quantity
from reports.queries.port import AnomalyRow, WindowRow
from reports.render.times import short
from reports.render.view import Chart, table_of

WINDOWS_MAX: Final = 1_500  # points of one line, 20 KB: three a pixel, so that a spike is still seen
WINDOWS_OF_CHART_MAX: Final = 4_000  # of all its lines: 100 KB, so that a page with many stays below 2 MB
GAP_FACTOR: Final = 2.5  # times the usual distance of two windows: two that are missing in a row are a gap, one is not
SWARMS_MAX: Final = 6  # panels under one another: a screen's height
HEIGHT_PX: Final = 130
ANOMALY: Final = "anomaly"


def over_time(windows: Sequence[WindowRow], anomalies: Sequence[AnomalyRow], metric: str) -> Chart | None:
    """Mean (solid) and p95 (dashed) of each window, one panel a swarm; anomalies are diamonds."""
    rows = [row for row in windows if row.metric == metric]
    size_ms = window_size(rows)
    rows = [row for row in rows if row.window_ms == size_ms]
    if len(rows) < 2:
        return None
    named = list(dict.fromkeys(row.swarm_id for row in rows))
    drawn = named[:SWARMS_MAX]
    marks = [a for a in anomalies if a.metric == metric and a.swarm_id in drawn]
    measure = measure_of(metric, rows[0].unit)
    shown = scales.shown_of(measure.unit, [row.p95 for row in rows])
    title = f"{measure.label[:1].upper()}{measure.label[1:]} over time"
    marked = f"{len(marks)} {'anomaly' if len(marks) == 1 else 'anomalies'} marked" if marks else "no anomalies"
    description = f"{len(rows)} windows of {_seconds(size_ms)}, {marked}; values in {shown.unit}"
    if gaps := sum(len(pieces(_of(rows, swarm))) - 1 for swarm in drawn):
        description += f"; {gaps} gap{'s' if gaps > 1 else ''} without a window left open"
    if len(named) > len(drawn):
        description += f"; the first {len(drawn)} of {len(named)} swarms are drawn"
    keys = [
        plot.Key(f"mean of {_seconds(size_ms)} windows", theme.PALETTE[0]),
        plot.Key("p95", theme.PALETTE[2], "6 3"),
    ]
    if marks:
        keys.append(plot.Key("anomaly of one agent's window", theme.ALERT, shape=plot.DIAMOND))
    parts, top = plot.legend(keys)
    values = [v * shown.factor for r in rows for v in (r.mean, r.p95)] + [a.value * shown.factor for a in marks]
    every_x = [row.window_start_ms for row in rows] + [a.window_start_ms for a in marks]
    drawing, together = [parts], _overlap(rows)
    for swarm in drawn:
        own, found = _of(rows, swarm), [a for a in marks if a.swarm_id == swarm]
        frame_y = scales.linear(values, 0, 1, unit=shown.unit)
        left = plot.room_beside(frame_y)
        frame = plot.Frame(left, top + 26, theme.WIDTH_PX - left - theme.EDGE_PX - 8, HEIGHT_PX)
        times = every_x if together else [r.window_start_ms for r in own] + [a.window_start_ms for a in found]
        x = scales.utc(times, frame.left, frame.right)
        y = scales.Scale("linear", frame_y.low, frame_y.high, frame.bottom, frame.top, shown.unit)
        marked = "".join(_marks(own, found, x, y, shown))
        axes = plot.y_axis(y, frame, f"{swarm} · {scales.title(measure.label, y)}") + plot.x_axis(
            x, frame, "event time (UTC)"
        )
        drawing.append(plot.panel(x, y, frame, axes, marked, grid=size_ms))
        top = frame.bottom + plot.BELOW_PX
    name = "time-" + metric.replace("_", "-").replace(".", "-")
    table = table_of(
        ("window (UTC)", "swarm", "mean", "p95", "events"),
        [
            (
                short(row.window_start_ms).removesuffix(" UTC"),
                row.swarm_id,
                quantity(row.mean, measure.unit),
                quantity(row.p95, measure.unit),
                f"{row.events:,}",
            )
            for row in rows
            if row.swarm_id in drawn
        ],
    )
    picture = svg.picture(name, title, description, top, drawing, keys="zoom")
    return Chart(name, title, description, picture, table)


def window_size(rows: Sequence[WindowRow]) -> int:
    """The smallest window that keeps every line and the chart within their points; else the largest there is."""
    sizes = sorted({row.window_ms for row in rows})
    for size in sizes:
        counts: dict[str, int] = {}
        for row in rows:
            if row.window_ms == size:
                counts[row.swarm_id] = counts.get(row.swarm_id, 0) + 1
        if max(counts.values()) <= WINDOWS_MAX and sum(counts.values()) <= WINDOWS_OF_CHART_MAX:
            return size
    return sizes[-1] if sizes else 0


def pieces(rows: Sequence[WindowRow]) -> list[list[WindowRow]]:
    """The windows of one swarm in runs without a gap.

    A source that measures every 30 s leaves two of three 10 s windows empty: that is its pace and no gap. A gap is
    longer than GAP_FACTOR times the usual (median) distance of its windows.
    """
    starts = [row.window_start_ms for row in rows]
    distances = [b - a for a, b in pairwise(starts)]
    limit = GAP_FACTOR * median(distances) if distances else 0
    found: list[list[WindowRow]] = []
    for row in rows:
        if found and row.window_start_ms - found[-1][-1].window_start_ms <= limit:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _marks(
    rows: Sequence[WindowRow], anomalies: Sequence[AnomalyRow], x: scales.Scale, y: scales.Scale, shown: scales.Shown
) -> Iterator[str]:
    for word, ink, dash in (("p95", theme.PALETTE[2], "6 3"), ("mean", theme.PALETTE[0], None)):
        for piece in pieces(rows):
            points = [
                (x.px(row.window_start_ms), y.px((row.mean if word == "mean" else row.p95) * shown.factor))
                for row in piece
            ]
            if len(points) == 1:  # a window between two gaps: a line of no length, with round ends a dot
                points *= 2
            yield svg.tag(
                "path",
                class_="line",
                d=svg.path(points),
                fill="none",
                stroke=ink,
                stroke_width=2,
                stroke_linecap="round" if len(piece) == 1 else None,
                stroke_dasharray=dash if len(piece) > 1 else None,
                data_s=word,
            )
    for a in anomalies:
        words = f"{ANOMALY}: {quantity(a.value, a.unit)}, score {number(a.score)}, {a.agent_id or a.swarm_id}"
        yield plot.dot(
            x.px(a.window_start_ms), y.px(a.value * shown.factor), words, ink=theme.ALERT, shape=plot.DIAMOND
        )


def _of(rows: Sequence[WindowRow], swarm_id: str) -> list[WindowRow]:
    return [row for row in rows if row.swarm_id == swarm_id]


def _overlap(rows: Sequence[WindowRow]) -> bool:
    """Swarms that ran at the same time share the time axis; others each get their own."""
    spans: dict[str, tuple[int, int]] = {}
    for r in rows:
        first, last = spans.get(r.swarm_id, (r.window_start_ms, r.window_start_ms))
        spans[r.swarm_id] = (min(first, r.window_start_ms), max(last, r.window_start_ms))
    return max(first for first, _ in spans.values()) < min(last for _, last in spans.values())


def _seconds(size_ms: int) -> str:
    for size, word in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "min"), (1000, "s")):
        if size_ms % size == 0:
            return f"{size_ms // size} {word}"
    return f"{size_ms} ms"
