"""Charts of what the swarms did: windows over time with the anomalies on them, and cost by model.

In: window, anomaly and cost rows. Out: charts. Never: a line through a gap as if something had been measured there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.charts import theme
from reports.charts.svg import to_svg
from reports.compare.measures import measure_of
from reports.numbers import number
from reports.queries.port import AnomalyRow, ModelCostRow, WindowRow
from reports.render.view import Chart

WINDOWS_MAX: Final = 300  # points of one line: more than two a pixel column of a phone
SECONDS_FROM_MS: Final = 2_000  # from here on seconds read better than milliseconds
MODELS_MAX: Final = 12


def over_time(windows: Sequence[WindowRow], anomalies: Sequence[AnomalyRow], metric: str) -> Chart | None:
    """Mean (solid) and p95 (dashed) of each window, one panel a swarm; anomalies are diamonds."""
    rows = [row for row in windows if row.metric == metric]
    size_ms = window_size(rows)
    rows = [row for row in rows if row.window_ms == size_ms]
    if len(rows) < 2:
        return None
    import altair as alt

    measure = measure_of(metric)
    factor, unit = _shown_unit(measure.unit, rows)
    points = [
        {"swarm": r.swarm_id, "at": r.window_start_ms, "value": value * factor, "line": line}
        for r in rows
        for line, value in (("mean", r.mean), ("p95", r.p95))
    ]
    marks = [
        {"swarm": a.swarm_id, "at": a.window_start_ms, "value": a.value * factor, "line": "anomaly"}
        for a in anomalies
        if a.metric == metric
    ]
    lines = ["mean", "p95"]
    time_axis = alt.Axis(title="event time (UTC)", tickCount=6, labelOverlap=True, format=_time_format(rows))
    x = alt.X("at:T", scale=alt.Scale(type="utc"), axis=time_axis)
    y = alt.Y(
        "value:Q",
        axis=alt.Axis(title=f"{measure.label} ({unit})", tickCount=5, format="~s" if unit == "bytes" else ",~f"),
        scale=alt.Scale(zero=False),
    )
    legend = f"{size_ms // 1000} s windows" + (
        "; \N{BLACK DIAMOND} a window of one agent that is an anomaly" if marks else ""
    )
    base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
    layers = [
        base.mark_line(strokeWidth=2).encode(
            color=alt.Color(
                "line:N",
                scale=alt.Scale(domain=lines, range=[theme.PALETTE[0], theme.PALETTE[2]]),
                legend=alt.Legend(title=legend),
            ),
            strokeDash=alt.StrokeDash(
                "line:N",
                scale=alt.Scale(domain=lines, range=[[1, 0], [5, 3]]),
                legend=alt.Legend(title=legend),
            ),
        )
    ]
    if marks:
        layers.append(
            alt.Chart(alt.Data(values=marks))
            .mark_point(shape="diamond", filled=True, size=110, opacity=1, color=theme.ALERT)
            .encode(x=x, y=y)
        )
    swarms = list(dict.fromkeys(r.swarm_id for r in rows))
    panels = [
        alt.layer(*(layer.transform_filter(alt.datum.swarm == swarm) for layer in layers)).properties(
            width=theme.WIDTH_PX - 90,
            height=150,
            title=alt.TitleParams(swarm, anchor="start", fontSize=theme.FONT_PX, color=theme.INK, fontWeight="normal"),
        )
        for swarm in swarms
    ]
    chart = alt.vconcat(*panels).resolve_scale(x="shared" if _overlap(rows) else "independent", y="shared")
    found = f"{len(marks)} anomalies marked" if marks else "no anomalies"
    title = f"{measure.label[0].upper()}{measure.label[1:]} over time"
    description = f"{len(rows)} windows of {size_ms // 1000} s, {found}; values in {unit}"
    name = "time-" + metric.replace("_", "-").replace(".", "-")
    return Chart(name, title, description, to_svg(chart, name=name, title=title))


def cost_by_model(costs: Sequence[ModelCostRow]) -> Chart | None:
    """Cost of each swarm by model; what has no price is named in the description, not drawn as 0."""
    priced = [c for c in costs if c.cost_usd]
    if not priced:
        return None
    import altair as alt

    totals: dict[str, float] = {}
    for c in priced:
        totals[c.model] = totals.get(c.model, 0.0) + (c.cost_usd or 0.0)
    largest = sorted(totals, key=lambda m: (-totals[m], m))[:MODELS_MAX]
    rows = [
        {"swarm": c.swarm_id, "model": c.model if c.model in largest else "other models", "usd": c.cost_usd}
        for c in priced
    ]
    models = [*largest, *(["other models"] if len(totals) > len(largest) else [])]
    swarms = list(dict.fromkeys(c.swarm_id for c in costs))
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(stroke=theme.LINE)
        .encode(
            y=alt.Y("model:N", sort=models, title=None, axis=alt.Axis(grid=False, ticks=False)),
            yOffset=alt.YOffset("swarm:N", sort=swarms),
            x=alt.X("sum(usd):Q", axis=alt.Axis(title="cost (USD)", format=",~f", tickCount=6)),
            color=alt.Color(
                "swarm:N",
                sort=swarms,
                scale=alt.Scale(
                    domain=swarms, range=[theme.PALETTE[i % len(theme.PALETTE)] for i in range(len(swarms))]
                ),
                legend=alt.Legend(title="swarm"),
            ),
        )
        .properties(width=theme.WIDTH_PX - 190, height=alt.Step(22), padding=theme.padding(models))
    )
    unpriced = sum(c.calls - c.priced for c in costs)
    description = "; ".join(f"{c.swarm_id}, {c.model}: ${number(c.cost_usd)}" for c in priced)
    if unpriced:
        description += f"; {unpriced} calls have no price and are not drawn"
    title = "What the model calls cost"
    return Chart("cost", title, description, to_svg(chart, name="cost", title=title))


def window_size(rows: Sequence[WindowRow]) -> int:
    """The smallest window that keeps every line within WINDOWS_MAX points; else the largest there is."""
    sizes = sorted({row.window_ms for row in rows})
    for size in sizes:
        counts: dict[str, int] = {}
        for row in rows:
            if row.window_ms == size:
                counts[row.swarm_id] = counts.get(row.swarm_id, 0) + 1
        if max(counts.values()) <= WINDOWS_MAX:
            return size
    return sizes[-1] if sizes else 0


def _shown_unit(unit: str, rows: Sequence[WindowRow]) -> tuple[float, str]:
    """Milliseconds become seconds where the numbers would be long."""
    if unit == "ms" and max(row.p95 for row in rows) >= SECONDS_FROM_MS:
        return 1 / 1000, "s"
    return 1.0, unit or "value"


def _time_format(rows: Sequence[WindowRow]) -> str:
    """Seconds within ten minutes, minutes within a day, the day beyond."""
    span_ms = max(r.window_start_ms for r in rows) - min(r.window_start_ms for r in rows)
    return "%H:%M:%S" if span_ms <= 600_000 else "%H:%M" if span_ms <= 86_400_000 else "%b %d %H:%M"


def _overlap(rows: Sequence[WindowRow]) -> bool:
    """Swarms that ran at the same time share the time axis; others each get their own."""
    spans: dict[str, tuple[int, int]] = {}
    for r in rows:
        first, last = spans.get(r.swarm_id, (r.window_start_ms, r.window_start_ms))
        spans[r.swarm_id] = (min(first, r.window_start_ms), max(last, r.window_start_ms))
    return max(first for first, _ in spans.values()) < min(last for _, last in spans.values())
