"""Quartiles, whiskers and what lies beyond, one box a side.

In: a `Distribution`. Out: `Chart`, or None without enough values. Never: a value beyond the whiskers left out silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.charts.distribution import Distribution, quantile, quartile_table, shown_values, with_left_out
from reports.numbers import count, quantity
from reports.render.view import Chart

ROW_PX: Final = 34
OUTLIERS_MAX: Final = 40  # drawn a side: the furthest; how many there are is said
WHISKER: Final = 1.5  # times the distance between the quartiles (Tukey 1977)


def box(data: Distribution, *, name: str = "box") -> Chart | None:
    """Quartiles as a box, whiskers to the furthest value within 1.5 box lengths, what lies beyond as dots."""
    sides = data.sides
    if not sides:
        return None
    shown, values = shown_values(data, sides)
    left = plot.room_for(list(sides))
    frame = plot.Frame(left, 10, theme.WIDTH_PX - left - theme.EDGE_PX - 8, ROW_PX * len(sides))
    x = scales.fitting(values, frame.left, frame.right, unit=shown.unit)
    centres = [frame.top + ROW_PX * (i + 0.5) for i in range(len(sides))]
    marks, said = [], []
    for i, (side, own) in enumerate(sides.items()):
        drawn, beyond = _box(own, x, shown.factor, centres[i], i, data)
        marks.append(drawn)
        q1, q2, q3 = (quantity(quantile(own, share), data.unit) for share in (0.25, 0.5, 0.75))
        far = f", {count(beyond)} beyond the whiskers" if beyond else ""
        if beyond > OUTLIERS_MAX:
            far += f" ({OUTLIERS_MAX} furthest drawn)"
        said.append(f"{side}: median {q2}, half between {q1} and {q3}, {count(len(own))} {data.of}s{far}")
    axes = plot.row_labels(list(sides), frame, centres) + plot.x_axis(x, frame, scales.title(data.label, x))
    title = f"Quartiles of {data.label}"
    words = with_left_out("; ".join(said), data.left_out)
    drawing = [plot.panel(x, None, frame, axes, "".join(marks))]
    picture = svg.picture(name, title, words, frame.bottom + plot.BELOW_PX, drawing, keys="marks")
    return Chart(name, title, words, picture, quartile_table(data, sides))


def _box(
    own: Sequence[float], x: scales.Scale, factor: float, y: float, number: int, data: Distribution
) -> tuple[str, int]:
    q1, q2, q3 = (quantile(own, share) for share in (0.25, 0.5, 0.75))
    reach = WHISKER * (q3 - q1)
    inside = [v for v in own if q1 - reach <= v <= q3 + reach]
    outside = [v for v in own if not q1 - reach <= v <= q3 + reach]
    ink = theme.ink(number)
    line: svg.Attributes = {"stroke": ink, "stroke_width": 2}

    def at(value: float) -> float:
        return x.px(value * factor)

    words = f"median {quantity(q2, data.unit)}, quartiles {quantity(q1, data.unit)} and {quantity(q3, data.unit)}"
    parts = [
        svg.tag("line", x1=at(inside[0]), x2=at(inside[-1]), y1=y, y2=y, **line),
        svg.tag(
            "rect",
            class_="mark",
            x=at(q1),
            y=y - 9,
            width=max(at(q3) - at(q1), 1),
            height=18,
            fill=ink,
            fill_opacity=0.35,
            data_v=words,
            **line,
        ),
        svg.tag("line", x1=at(q2), x2=at(q2), y1=y - 9, y2=y + 9, stroke=theme.INK, stroke_width=2.5),
    ]
    furthest = sorted(outside, key=lambda v: -max(q1 - v, v - q3))[:OUTLIERS_MAX]
    parts += [
        svg.tag("circle", class_="mark", cx=at(v), cy=y, r=3, fill=ink, fill_opacity=0.6, data_v=quantity(v, data.unit))
        for v in sorted(furthest)
    ]
    return "".join(parts), len(outside)
