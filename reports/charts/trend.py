"""Chart of one measure over periods, each with its 95 % interval.

In: a trend line. Out: `Chart`, or None when there is nothing to draw. Never: a line over a period without a value.
"""

from __future__ import annotations

from typing import Any, Final

from reports.analysis.trend import TrendLine
from reports.charts import theme
from reports.charts.svg import to_svg
from reports.numbers import quantity
from reports.render.view import Chart

SECONDS_FROM_MS: Final = 2_000  # from here on seconds read better than milliseconds
HEIGHT_PX: Final = 200


def over_periods(line: TrendLine) -> Chart | None:
    """Points with their intervals, joined where neighbours have both a value; the fitted line where one is claimed."""
    known = [p for p in line.points if p.value is not None]
    if len(known) < 2:
        return None
    import altair as alt

    factor, unit = _shown(line)
    rows: list[dict[str, Any]] = [
        {
            "period": p.period,
            "value": None if p.value is None else p.value * factor,
            "low": None if p.low is None else p.low * factor,
            "high": None if p.high is None else p.high * factor,
        }
        for p in line.points
    ]
    axis = alt.Axis(title=f"{line.label} ({unit})", tickCount=5, format="~%" if unit == "%" else ",~f")
    order = [p.period for p in line.points]  # said twice: a layer without intervals would sort its periods anew
    x_axis = alt.Axis(title="period (UTC)", labelAngle=-40, grid=False)
    x = alt.X("period:N", sort=order, scale=alt.Scale(domain=order), axis=x_axis)
    y = alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=False))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    drawn = alt.layer(
        base.mark_rule(strokeWidth=2, color=theme.RULE).encode(y=alt.Y("low:Q", axis=axis), y2="high:Q"),
        base.mark_line(strokeWidth=2, color=theme.PALETTE[0], invalid="break-paths-show-domains").encode(y=y),
        base.mark_point(filled=True, size=60, opacity=1, color=theme.PALETTE[0]).encode(y=y),
    ).properties(width=theme.WIDTH_PX - 90, height=HEIGHT_PX)
    title = f"{line.label[0].upper()}{line.label[1:]} by period"
    words = "; ".join(
        f"{p.period}: {quantity(p.value, line.unit)}"
        + (f" [{quantity(p.low, line.unit)}, {quantity(p.high, line.unit)}]" if p.low is not None else "")
        + f", n = {p.n:,}"
        for p in line.points
    )
    name = "trend-" + line.metric.replace("_", "-")
    return Chart(name, title, words, to_svg(drawn, name=name, title=title))


def _shown(line: TrendLine) -> tuple[float, str]:
    if line.unit == "ms" and max(p.value or 0 for p in line.points) >= SECONDS_FROM_MS:
        return 1 / 1000, "s"
    return 1.0, "%" if line.unit == "ratio" else line.unit
