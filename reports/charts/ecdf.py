"""The empirical distribution of a measure: one step line a side.

In: a `Distribution`. Out: `Chart`, or None without enough values. Never: a smoothed curve; sides pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.charts.distribution import Distribution, quantile, quartile_table, shown_values, with_left_out
from reports.numbers import count, quantity
from reports.render.view import Chart

STEPS_MAX: Final = 400  # points of one line: nearly one a pixel


def ecdf(data: Distribution, *, name: str = "ecdf", title: str = "") -> Chart | None:
    """Share of the units with at most a value, one step line a side."""
    sides = {side: values for side, values in data.sides.items() if len(values) > 1}
    if not sides:
        return None
    shown, x_values = shown_values(data, sides)
    parts, top = plot.legend([plot.Key(side, theme.ink(i), theme.dash(i)) for i, side in enumerate(sides)])
    y = scales.Scale("linear", 0.0, 100.0, 1, 0, "%")
    left = plot.room_beside(y)
    frame = plot.Frame(left, top + 26, theme.WIDTH_PX - left - theme.EDGE_PX - 8, 220)
    x = scales.fitting(x_values, frame.left, frame.right, unit=shown.unit)
    y = scales.Scale("linear", 0.0, 100.0, frame.bottom, frame.top, "%")
    lines = []
    for i, (side, values) in enumerate(sides.items()):
        points: list[tuple[float, float]] = []
        for value, share in _steps(values):
            at = x.px(value * shown.factor)
            points += [(at, points[-1][1] if points else y.px(0)), (at, y.px(100 * share))]
        lines.append(
            svg.tag(
                "path",
                class_="line",
                d=svg.path(points),
                fill="none",
                stroke=theme.ink(i),
                stroke_width=2,
                stroke_dasharray=theme.dash(i),
                data_s=side,
                data_k="step",
            )
        )
    axes = plot.y_axis(y, frame, f"share of {data.of}s with at most this (%)") + plot.x_axis(
        x, frame, scales.title(data.label, x)
    )
    medians = ", ".join(
        f"{s}: half within {quantity(quantile(v, 0.5), data.unit)} of {count(len(v))} {data.of}s"
        for s, v in sides.items()
    )
    reduced = [s for s, v in sides.items() if len(v) > STEPS_MAX]
    if reduced:
        medians += f"; {STEPS_MAX} steps drawn of {', '.join(f'{s} {count(len(sides[s]))}' for s in reduced)}"
    said = title or f"How {data.label} is distributed"
    picture = svg.picture(
        name,
        said,
        with_left_out(medians, data.left_out),
        frame.bottom + plot.BELOW_PX,
        [parts, plot.panel(x, y, frame, axes, "".join(lines))],
        keys="zoom",
    )
    return Chart(name, said, with_left_out(medians, data.left_out), picture, quartile_table(data, sides))


def _steps(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """The empirical distribution, thinned evenly in share; first and last point always stay."""
    n = len(ordered)
    picks = range(n) if n <= STEPS_MAX else sorted({round(i * (n - 1) / (STEPS_MAX - 1)) for i in range(STEPS_MAX)})
    return [(ordered[i], (i + 1) / n) for i in picks]
