"""What each agent did when: the tasks, calls and phases of a run as bars.

In: bars of one run. Out: `Chart`, or None without a bar. Never: an end that the events do not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.charts.heatmap import natural
from reports.numbers import count, quantity
from reports.queries.port import BarRow
from reports.render.times import short
from reports.render.view import Chart, table_of

AGENTS_MAX: Final = 30  # rows, those with the most bars
ROW_PX: Final = 22
LANES_MAX: Final = 3  # of tasks side by side in one agent's row; what overlaps more is drawn over one another
TASK_PX: Final = 14.0
CALL_PX: Final = 4.0
PHASES: Final = "(phases)"
_INKS: Final = {
    "task": theme.PALETTE[0],
    "model_call": theme.PALETTE[2],
    "tool_call": theme.PALETTE[3],
    "phase": theme.RULE,
}
_WORDS: Final = {"task": "task", "model_call": "model call", "tool_call": "tool call", "phase": "phase"}
FAILED: Final = "M-4,-4L4,4M4,-4L-4,4"


def timeline(bars: Sequence[BarRow], *, name: str = "timeline") -> Chart | None:
    """One row an agent. Tasks are the tall bars, calls the thin ones under them; a cross ends what failed."""
    if not bars:
        return None
    rows = rows_of(bars)
    order = list(rows)
    drawn = [bar for row in order for bar in rows[row]]
    failed = sum(bar.status == "failed" for bar in drawn)
    kinds = [kind for kind in _INKS if any(bar.kind == kind for bar in drawn)]
    keys = [plot.Key(_WORDS[kind], _INKS[kind], shape="M-8,-4h16v8h-16Z", opacity=0.8) for kind in kinds]
    if failed:
        keys.append(plot.Key("failed", theme.WORSE, shape="M-4,-4h8v8h-8Z"))
    legend, top = plot.legend(keys)
    left = plot.room_for(order)
    frame = plot.Frame(left, top + 6, theme.WIDTH_PX - left - theme.EDGE_PX - 8, ROW_PX * len(order))
    x = scales.utc([t for bar in drawn for t in (bar.started_ms, bar.ended_ms)], frame.left, frame.right)
    centres = [frame.top + ROW_PX * (i + 0.5) for i in range(len(order))]
    marks = [mark for row, y in zip(order, centres, strict=True) for mark in _bars(rows[row], x, y)]
    axes = plot.row_labels(order, frame, centres) + plot.x_axis(x, frame, "event time (UTC)")
    title = f"Who did what when{f' in run {drawn[0].run_id}' if drawn[0].run_id else ''}"
    description = _description(bars, drawn, len({_row(bar) for bar in bars}), len(order), failed)
    table = table_of(
        ("start (UTC)", "agent", "what", "name", "status", "duration"),
        [
            (
                short(bar.started_ms).removesuffix(" UTC"), bar.agent_id, _WORDS.get(bar.kind, bar.kind), bar.name,
                bar.status, quantity(bar.ended_ms - bar.started_ms, "ms"),
            )
            for bar in sorted(drawn, key=lambda b: (b.started_ms, b.agent_id, b.name))
        ],
    )  # fmt: skip
    drawing = [legend, plot.panel(x, None, frame, axes, "".join(marks))]
    picture = svg.picture(name, title, description, frame.bottom + plot.BELOW_PX, drawing, keys="marks")
    return Chart(name, title, description, picture, table)


def rows_of(bars: Sequence[BarRow]) -> dict[str, list[BarRow]]:
    """The bars of each row that is drawn: phases first, then agents in the order of their names."""
    rows: dict[str, list[BarRow]] = {}
    for bar in bars:
        rows.setdefault(_row(bar), []).append(bar)
    most = sorted(rows, key=lambda row: (row != PHASES, -len(rows[row]), row))[:AGENTS_MAX]
    return {row: rows[row] for row in sorted(most, key=lambda row: (row != PHASES, natural(row)))}


def _bars(own: Sequence[BarRow], x: scales.Scale, y: float) -> list[str]:
    tasks = sorted((b for b in own if b.kind in {"task", "phase"}), key=lambda b: (b.started_ms, -b.ended_ms, b.name))
    calls = [b for b in own if b.kind not in {"task", "phase"}]
    lanes = _lanes(tasks)
    lane_px = TASK_PX / max(1, min(LANES_MAX, max(lanes, default=0) + 1))
    top = y - (TASK_PX + (CALL_PX if calls else 0)) / 2
    parts = []
    for bar, lane in zip(tasks, lanes, strict=True):
        parts.append(_bar(bar, x, top + lane_px * (lane % LANES_MAX), lane_px))
    under = top + TASK_PX if tasks else y - CALL_PX
    parts += [_bar(bar, x, under, CALL_PX if tasks else 2 * CALL_PX) for bar in calls]
    return parts


def _bar(bar: BarRow, x: scales.Scale, top: float, high: float) -> str:
    begin, end = x.px(bar.started_ms), x.px(bar.ended_ms)
    bad = bar.status == "failed"
    words = (
        f"{bar.agent_id or bar.swarm_id}, {_WORDS.get(bar.kind, bar.kind)} {bar.name}: "
        f"{quantity(bar.ended_ms - bar.started_ms, 'ms')}, {bar.status}"
    )
    ink = theme.WORSE if bad else _INKS.get(bar.kind, theme.NEUTRAL)
    drawn = svg.tag(
        "rect",
        class_="mark",
        x=begin,
        y=top,
        width=max(end - begin, 1),
        height=max(high - 0.7, 1),
        fill=ink,
        fill_opacity=0.8,
        stroke=theme.PAGE,
        stroke_width=0.5,
        data_v=words,
    )
    if bad and bar.kind == "task":
        at = f"translate({svg.px(max(end - 5, begin + 1))},{svg.px(top + high / 2)})"
        drawn += svg.tag("path", d=FAILED, transform=at, stroke=theme.INK, stroke_width=1.5, fill="none")
    return drawn


def _lanes(tasks: Sequence[BarRow]) -> list[int]:
    """The first lane that is free again when a task begins."""
    free: list[int] = []
    found = []
    for task in tasks:
        lane = next((i for i, until in enumerate(free) if until <= task.started_ms), len(free))
        if lane == len(free):
            free.append(task.ended_ms)
        else:
            free[lane] = task.ended_ms
        found.append(lane)
    return found


def _row(bar: BarRow) -> str:
    return PHASES if bar.kind == "phase" else bar.agent_id or "(no agent)"


def _description(bars: Sequence[BarRow], drawn: Sequence[BarRow], rows: int, shown: int, failed: int) -> str:
    span = max(b.ended_ms for b in drawn) - min(b.started_ms for b in drawn)
    words = f"{count(len(drawn))} activities of {shown} rows within {quantity(span, 'ms')}, {count(failed)} failed"
    total = bars[0].total
    if total > len(bars):
        words += f"; the tasks and phases first, then the longest calls, of {count(total)} with an end"
    return words + (f"; the {shown} rows with the most bars of {rows}" if rows > shown else "")
