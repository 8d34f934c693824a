"""Chart of one measure over periods, each with its 95 % interval.

In: a trend line. Out: `Chart`, or None when there is nothing to draw. Never: a line over a period without a value.
"""

from __future__ import annotations

from typing import Final

from reports.analysis.trend import TrendLine
from reports.charts import plot, scales, svg, theme
from reports.numbers import quantity
from reports.render.view import Chart, table_of

HEIGHT_PX: Final = 170


def over_periods(line: TrendLine) -> Chart | None:
    """Points with their intervals, joined where neighbours have both a value."""
    known = [p for p in line.points if p.value is not None]
    if len(known) < 2:
        return None
    bounds = [v for p in known for v in (p.value, p.low, p.high) if v is not None]
    shown = scales.shown(line.unit, max(bounds))
    drawn = [v * shown.factor for v in bounds]
    left = plot.room_beside(scales.linear(drawn, 1, 0, unit=shown.unit))
    frame = plot.Frame(left, 32, theme.WIDTH_PX - left - theme.EDGE_PX - 8, HEIGHT_PX)
    y = scales.linear(drawn, frame.bottom, frame.top, unit=shown.unit)
    step = frame.width / len(line.points)
    x = [frame.left + step * (i + 0.5) for i in range(len(line.points))]
    marks, before = [], None
    for at, p in zip(x, line.points, strict=True):
        if p.value is None:
            before = None
            continue
        here = (at, y.px(p.value * shown.factor))
        words = f"{p.period}: {quantity(p.value, line.unit)}, n = {p.n:,}"
        if p.low is not None and p.high is not None:
            words = f"{p.period}: {quantity(p.value, line.unit)} {_interval(p.low, p.high, line.unit)}, n = {p.n:,}"
            ends: svg.Attributes = {"y1": y.px(p.low * shown.factor), "y2": y.px(p.high * shown.factor)}
            marks.append(svg.tag("line", x1=at, x2=at, stroke=theme.RULE, stroke_width=2, **ends))
        if before:
            joined = svg.path([before, here])
            marks.append(svg.tag("path", d=joined, fill="none", stroke=theme.PALETTE[0], stroke_width=2))
        marks.append(plot.dot(*here, words, ink=theme.PALETTE[0]))
        before = here
    axes = plot.y_axis(y, frame, scales.title(line.label, y)) + _periods([p.period for p in line.points], x, frame)
    title = f"{line.label[0].upper()}{line.label[1:]} by period"
    words = "; ".join(
        f"{p.period}: {quantity(p.value, line.unit)}"
        + (f" {_interval(p.low, p.high, line.unit)}" if p.low is not None and p.high is not None else "")
        + f", n = {p.n:,}"
        for p in line.points
    )
    name = "trend-" + line.metric.replace("_", "-")
    table = table_of(
        ("period (UTC)", line.label, "95 % interval", "n, tasks"),
        [
            (
                p.period,
                quantity(p.value, line.unit),
                "–" if p.low is None or p.high is None else _interval(p.low, p.high, line.unit),
                f"{p.n:,}",
            )
            for p in line.points
        ],
    )
    across = scales.Scale("linear", 0, len(line.points), frame.left, frame.right, "period")
    drawing = [plot.panel(across, y, frame, axes, "".join(marks))]
    picture = svg.picture(name, title, words, frame.bottom + plot.BELOW_PX, drawing, keys="marks")
    return Chart(name, title, words, picture, table)


def _interval(low: float, high: float, unit: str) -> str:
    return f"[{quantity(low, unit)}, {quantity(high, unit)}]"


def _periods(names: list[str], x: list[float], frame: plot.Frame) -> str:
    """Every k-th name, as many as stand apart."""
    wide = max(svg.text_px(name) for name in names) + plot.TICK_GAP_PX
    every = max(1, round(wide / (frame.width / len(names)) + 0.499))
    parts = [svg.tag("line", x1=frame.left, x2=frame.right, y1=frame.bottom, y2=frame.bottom, stroke=theme.RULE)]
    for i, (name, at) in enumerate(zip(names, x, strict=True)):
        parts.append(svg.tag("line", x1=at, x2=at, y1=frame.bottom, y2=frame.bottom + 4, stroke=theme.RULE))
        if i % every == 0:
            half = svg.text_px(name) / 2
            inside = min(max(at, theme.EDGE_PX + half), theme.WIDTH_PX - theme.EDGE_PX - half)
            parts.append(svg.text(name, inside, frame.bottom + 18, anchor="middle"))
    parts.append(svg.text("period (UTC)", (frame.left + frame.right) / 2, frame.bottom + 36, anchor="middle"))
    return "".join(parts)
