"""How many units have a value in each bin: one panel a side over the same bins.

In: a `Distribution`. Out: `Chart`, or None without enough values. Never: bins of different width on the drawn axis.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.charts.distribution import Distribution, quantile, shown_values, with_left_out
from reports.numbers import count, quantity
from reports.render.view import Chart, table_of

BINS_MAX: Final = 30
HEIGHT_PX: Final = 90  # height of one side's histogram


def histogram(data: Distribution) -> Chart | None:
    """Units a bin, one panel a side over the same bins; bins of equal width on the axis that is drawn."""
    sides = data.sides
    if not sides:
        return None
    shown, values = shown_values(data, sides)
    left = plot.room_for(["0,000"])
    frame = plot.Frame(left, 0, theme.WIDTH_PX - left - theme.EDGE_PX - 8, HEIGHT_PX)
    x = scales.fitting(values, frame.left, frame.right, unit=shown.unit)
    edges = bin_edges(values, x)
    by_side = {s: counted([v * shown.factor for v in own], edges) for s, own in sides.items()}
    top, parts = 0.0, []
    for i, (side, bins) in enumerate(by_side.items()):
        frame = plot.Frame(left, top + 32, frame.width, HEIGHT_PX)
        y = scales.linear([0, max(bins)], frame.bottom, frame.top, unit=scales.COUNT, zero=True)
        bars = [
            svg.tag(
                "rect",
                x=x.px(low),
                y=y.px(n),
                width=max(x.px(high) - x.px(low) - 1, 0.5),
                height=frame.bottom - y.px(n),
                fill=theme.ink(i),
                data_v=f"{scales.plain(_short(low))} to {scales.plain(_short(high))} {shown.unit}: "
                f"{count(n)} {data.of}s",
                class_="mark",
            )
            for low, high, n in zip(edges, edges[1:], bins, strict=False)
            if n
        ]
        axes = plot.y_axis(y, frame, f"{side} · {data.of}s a bin (n = {count(sum(bins))})") + plot.x_axis(
            x, frame, scales.title(data.label, x)
        )
        parts.append(plot.panel(x, y, frame, axes, "".join(bars)))
        top = frame.bottom + plot.BELOW_PX
    description = "; ".join(
        f"{s}: {count(len(v))} {data.of}s, half between {quantity(quantile(v, 0.25), data.unit)} and "
        f"{quantity(quantile(v, 0.75), data.unit)}"
        for s, v in sides.items()
    )
    title = f"Histogram of {data.label}"
    said = with_left_out(f"{description}; {len(edges) - 1} bins", data.left_out)
    picture = svg.picture("histogram", title, said, top, parts, keys="marks")
    rows = [
        (f"{scales.plain(_short(low))} to {scales.plain(_short(high))}", *(count(bins[i]) for bins in by_side.values()))
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    return Chart("histogram", title, said, picture, table_of((f"{data.label} ({shown.unit})", *sides), rows))


def bin_edges(values: Sequence[float], x: scales.Scale, *, bins_max: int = BINS_MAX) -> list[float]:
    """Freedman and Diaconis' width on the drawn axis (logarithms on a logarithmic one), at most `bins_max` bins."""
    drawn = sorted(math.log(v) for v in values) if x.kind == "log" else sorted(values)
    low, high = drawn[0], drawn[-1]
    if high <= low:
        reach = abs(low) * 0.05 or 0.5
        return [values[0] - reach, values[0] + reach] if x.kind != "log" else [values[0] * 0.95, values[0] * 1.05]
    width = 2 * (quantile(drawn, 0.75) - quantile(drawn, 0.25)) / len(drawn) ** (1 / 3)
    bins = min(bins_max, max(1, math.ceil((high - low) / width))) if width > 0 else bins_max
    edges = [low + (high - low) * i / bins for i in range(bins + 1)]
    return [math.exp(edge) for edge in edges] if x.kind == "log" else edges


def counted(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Values a bin; the highest belongs to the last bin, and rounding of the outer edges loses none."""
    bins = [0] * (len(edges) - 1)
    for value in values:
        bins[min(max(bisect_right(edges, value) - 1, 0), len(bins) - 1)] += 1
    return bins


def _short(value: float) -> float:
    return float(f"{value:.3g}")
