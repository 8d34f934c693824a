"""Two measures of each task against one another, with Spearman's rank correlation of each side.

In: points, correlations. Out: `Chart`, or None with fewer than two points. Never: a line through the points that nobody
fitted; a cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports.analysis.correlation import MEASURES, Correlation
from reports.charts import plot, scales, svg, theme
from reports.compare.measures import measure_of
from reports.numbers import count, number, quantity
from reports.queries.port import TaskRow
from reports.render.view import Chart, table_of

POINTS_MAX: Final = 900  # drawn, all sides together: more is a blot, and 150 bytes each
SIDES_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Points:
    """(task, x, y) of every task of a side that has both measures."""

    x: str
    y: str
    sides: Mapping[str, Sequence[tuple[str, float, float]]]


def points_of(sides: Sequence[str], tasks: Sequence[TaskRow], x: str, y: str) -> Points:
    """x and y are measures of reports.analysis.correlation."""
    found: dict[str, list[tuple[str, float, float]]] = {side: [] for side in sides}
    for row in tasks:
        a, b = MEASURES[x](row), MEASURES[y](row)
        if a is not None and b is not None and row.swarm_id in found:
            found[row.swarm_id].append((row.task_id, float(a), float(b)))
    return Points(x, y, {side: own for side, own in found.items() if own})


def scatter(data: Points, found: Sequence[Correlation], *, name: str = "scatter") -> Chart | None:
    """A point a task; `found` are the correlations of the two measures, one a side."""
    sides = dict(list(data.sides.items())[:SIDES_MAX])
    drawn = {side: thinned(own, POINTS_MAX // len(sides)) for side, own in sides.items()}
    if sum(map(len, drawn.values())) < 2:
        return None
    of_x, of_y = measure_of(data.x), measure_of(data.y)
    shown_x = scales.shown_of(of_x.unit, [x for own in sides.values() for _, x, _ in own])
    shown_y = scales.shown_of(of_y.unit, [y for own in sides.values() for _, _, y in own])
    keys = [plot.Key(side, theme.ink(i), shape=plot.SHAPES[i]) for i, side in enumerate(sides)]
    parts, top = plot.legend(keys)
    ys = [y * shown_y.factor for own in drawn.values() for _, _, y in own]
    left = plot.room_beside(scales.fitting(ys, 1, 0, unit=shown_y.unit))
    frame = plot.Frame(left, top + 26, theme.WIDTH_PX - left - theme.EDGE_PX - 8, 240)
    xs = [x * shown_x.factor for own in drawn.values() for _, x, _ in own]
    x_scale = scales.fitting(xs, frame.left, frame.right, unit=shown_x.unit)
    y_scale = scales.fitting(ys, frame.bottom, frame.top, unit=shown_y.unit)
    marks = [
        plot.dot(
            x_scale.px(x * shown_x.factor), y_scale.px(y * shown_y.factor),
            f"{task}: {quantity(x, of_x.unit)}, {quantity(y, of_y.unit)}",
            ink=theme.ink(i), shape=plot.SHAPES[i], opacity=0.55,
        )
        for i, own in enumerate(drawn.values())
        for task, x, y in own
    ]  # fmt: skip
    axes = plot.y_axis(y_scale, frame, scales.title(of_y.label, y_scale)) + plot.x_axis(
        x_scale, frame, scales.title(of_x.label, x_scale)
    )
    title = f"{of_y.label[:1].upper()}{of_y.label[1:]} against {of_x.label}"
    description = "; ".join(_said(side, len(own), len(drawn[side]), found) for side, own in sides.items())
    if len(data.sides) > len(sides):
        description += f"; the first {len(sides)} of {len(data.sides)} sides are drawn"
    table = table_of(
        ("task", "side", of_x.label, of_y.label),
        [
            (task, side, quantity(x, of_x.unit), quantity(y, of_y.unit))
            for side, own in drawn.items()
            for task, x, y in own
        ],
    )
    drawing = [parts, plot.panel(x_scale, y_scale, frame, axes, "".join(marks))]
    picture = svg.picture(name, title, description, frame.bottom + plot.BELOW_PX, drawing, keys="marks")
    return Chart(name, title, description, picture, table)


def thinned(own: Sequence[tuple[str, float, float]], most: int) -> list[tuple[str, float, float]]:
    """Every k-th in the order of x, so that what is drawn covers the same range; all while they are few."""
    if len(own) <= most:
        return list(own)
    ordered = sorted(own, key=lambda point: (point[1], point[2], point[0]))
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]


def _said(side: str, n: int, drawn: int, found: Sequence[Correlation]) -> str:
    one = next((c for c in found if c.side == side), None)
    few = f" ({count(drawn)} of {count(n)} tasks drawn, evenly in the order of the first measure)" if drawn < n else ""
    if one is None:
        return f"{side}: {count(n)} tasks, no correlation: the two are parts of one another{few}"
    if one.rho is None or one.low is None or one.high is None:
        return f"{side}: no correlation: {one.why}{few}"
    interval = f"Spearman's rho {number(one.rho)} [{number(one.low)}, {number(one.high)}]"
    return f"{side}: {interval}, {one.why}{few}"
