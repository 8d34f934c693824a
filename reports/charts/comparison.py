"""Charts of a comparison: ratios with their intervals, and how the task durations are distributed.

In: concluded findings, task rows. Out: `Chart`, or None when there is nothing to draw. Never: a claim of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reports.charts import theme
from reports.charts.svg import to_svg
from reports.compare.finding import Finding
from reports.numbers import number
from reports.queries.port import TaskRow
from reports.render.view import Chart

ROWS_MAX: Final = 40  # of a forest plot; more do not fit a page
ROW_PX: Final = 30
TICKS_MAX: Final = 8  # labels that fit the width of the plot
LOG_SPAN_MIN: Final = 10  # slowest / fastest task; below it a linear axis has better labels
STEPS_MAX: Final = 400  # points of one distribution line: more than the pixels it is drawn on
_SHOWN: Final = {"better": "better", "worse": "worse", "higher": "differs", "lower": "differs"}


def forest(findings: Sequence[Finding]) -> Chart | None:
    """Ratios A / B with their 95 % intervals; an interval that crosses 1 shows no difference."""
    drawn = [f for f in findings if f.ratio is not None and f.ratio_low is not None and f.ratio_high is not None]
    drawn = [f for f in drawn if 0 < (f.ratio_low or 0) < (f.ratio_high or 0)][:ROWS_MAX]
    if not drawn:
        return None
    import altair as alt

    pairs = {(f.a, f.b) for f in drawn}
    rows = [
        {
            "measure": f.label if len(pairs) == 1 else f"{f.label}, {f.a} / {f.b}",
            "ratio": f.ratio,
            "low": f.ratio_low,
            "high": f.ratio_high,
            "verdict": _SHOWN.get(f.verdict, "no difference shown"),
            "text": f"{number(f.ratio)} [{number(f.ratio_low)}, {number(f.ratio_high)}]",
        }
        for f in drawn
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("measure:N", sort=None, title=None, axis=alt.Axis(grid=False, ticks=False, domain=False))
    )
    low, high = min(f.ratio_low or 1 for f in drawn), max(f.ratio_high or 1 for f in drawn)
    bounds = [min(low, 0.8) * 0.95, max(high, 1.25) * 1.05]
    axis = alt.Axis(values=_ticks(*bounds), format="~g", title="A / B of the means, 95 % interval (log scale)")

    def x_of(field: str) -> Any:
        return alt.X(f"{field}:Q", scale=alt.Scale(type="log", domain=bounds, nice=False), axis=axis)

    order = ["better", "worse", "differs", "no difference shown"]
    shown = [word for word in order if any(row["verdict"] == word for row in rows)]
    inks = dict(zip(order, (theme.BETTER, theme.WORSE, theme.PALETTE[2], theme.NEUTRAL), strict=True))
    shapes = dict(zip(order, ("circle", "square", "triangle-up", "diamond"), strict=True))
    colour = alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=shown, range=[inks[w] for w in shown]),
        legend=alt.Legend(title="A is"),
    )
    shape = alt.Shape(
        "verdict:N",
        scale=alt.Scale(domain=shown, range=[shapes[w] for w in shown]),
        legend=alt.Legend(title="A is"),
    )
    one = alt.Chart(alt.Data(values=[{"one": 1}])).mark_rule(color=theme.RULE, strokeDash=[4, 3]).encode(x=x_of("one"))
    chart = alt.layer(
        one,
        base.mark_rule(strokeWidth=2).encode(x=x_of("low"), x2="high:Q", color=colour),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=x_of("ratio"), color=colour, shape=shape),
    ).properties(
        width=theme.WIDTH_PX - 260,
        height=ROW_PX * len(rows),
        padding=theme.padding(str(row["measure"]) for row in rows),
    )
    description = "; ".join(f"{row['measure']}: {row['text']}, {row['verdict']}" for row in rows)
    title = "How large the differences are"
    return Chart("ratios", title, description, to_svg(chart, name="ratios", title=title))


def durations(tasks: Sequence[TaskRow], swarm_ids: Sequence[str]) -> Chart | None:
    """Share of tasks finished within a time, one step line a swarm."""
    values = {
        s: sorted(row.duration_ms for row in tasks if row.swarm_id == s and row.duration_ms is not None)
        for s in swarm_ids
    }
    values = {s: v for s, v in values.items() if len(v) > 1}
    if not values:
        return None
    import altair as alt

    rows = [
        {"swarm": s, "seconds": value / 1000, "share": share} for s, v in values.items() for value, share in _steps(v)
    ]
    order = list(values)
    fastest, slowest = min(v[0] for v in values.values()), max(v[-1] for v in values.values())
    logarithmic = fastest > 0 and slowest >= LOG_SPAN_MIN * fastest
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X(
                "seconds:Q",
                scale=alt.Scale(type="log" if logarithmic else "linear", nice=False),
                axis=alt.Axis(
                    format="~g", title=f"task duration (s{', log scale' if logarithmic else ''})", tickCount=6
                ),
            ),
            y=alt.Y(
                "share:Q",
                axis=alt.Axis(format="%", title="share of tasks done within"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            **_by_swarm(alt, order),
        )
        .properties(width=theme.WIDTH_PX - 90, height=260)
    )
    medians = ", ".join(
        f"{s}: half within {number(v[(len(v) - 1) // 2] / 1000)} s of {len(v)} tasks" for s, v in values.items()
    )
    title = "How long tasks take"
    return Chart("durations", title, medians, to_svg(chart, name="durations", title=title))


def _by_swarm(alt: Any, order: Sequence[str]) -> dict[str, Any]:
    """Colour and dash say the same, so the lines stay apart in grey too."""
    colours = [theme.PALETTE[i % len(theme.PALETTE)] for i in range(len(order))]
    dashes = [theme.DASHES[i % len(theme.DASHES)] for i in range(len(order))]
    legend = alt.Legend(title="swarm")
    return {
        "color": alt.Color(
            "swarm:N", sort=list(order), scale=alt.Scale(domain=list(order), range=colours), legend=legend
        ),
        "strokeDash": alt.StrokeDash(
            "swarm:N", sort=list(order), scale=alt.Scale(domain=list(order), range=dashes), legend=legend
        ),
    }


def _steps(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """The empirical distribution, thinned evenly in share; first and last point always stay."""
    n = len(ordered)
    picks = range(n) if n <= STEPS_MAX else sorted({round(i * (n - 1) / (STEPS_MAX - 1)) for i in range(STEPS_MAX)})
    return [(ordered[i], (i + 1) / n) for i in picks]


def _ticks(low: float, high: float) -> list[float]:
    """Round ratios inside the bounds, 1 always."""
    fine = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 10, 20, 50, 100)
    coarse = (0.01, 0.1, 0.5, 1, 2, 10, 100)
    inside = [tick for tick in fine if low <= tick <= high]
    return inside if len(inside) <= TICKS_MAX else [tick for tick in coarse if low <= tick <= high]
