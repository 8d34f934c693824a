"""Agents against time: how large a measure was for each agent in each stretch of time.

In: cells of one metric. Out: `Chart`, or None without a cell. Never: a colour where nothing was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.compare.measures import measure_of
from reports.numbers import count, quantity
from reports.queries.port import CellRow
from reports.render.times import short
from reports.render.view import Chart, table_of

COLUMNS_MAX: Final = 48  # stretches of time: a cell is then as wide as a fingertip is exact
AGENTS_MAX: Final = 36  # rows, shared by the swarms, those with the most events; the others are counted
SWARMS_MAX: Final = 3  # one under the other
ROW_PX: Final = 17
SWATCHES: Final = 5


def bucket_ms(spans: Sequence[tuple[int, int]]) -> int:
    """The stretch of time of one column: a step of the clock, at most COLUMNS_MAX of them in any axis.

    `spans` are first and last moment of each swarm, epoch ms. Swarms that did not run at the same time have axes of
    their own, so the longest decides and not the time between them.
    """
    if not spans:
        return 1
    longest = max(last - first for first, last in spans)
    if _at_once(spans):
        longest = max(last for _, last in spans) - min(first for first, _ in spans)
    return int(scales.time_step(max(longest, 1), COLUMNS_MAX - 1))


def heatmap(cells: Sequence[CellRow], metric: str, size_ms: int, *, name: str = "heatmap") -> Chart | None:
    """One row an agent; the more ink, the higher the mean of the stretch. Empty: nothing was measured."""
    if not cells:
        return None
    measure = measure_of(metric, cells[0].unit)
    swarms = list(dict.fromkeys(cell.swarm_id for cell in cells))
    rows = rows_of(cells)
    drawn = [c for c in cells if c.agent_id in rows.get(c.swarm_id, ())]
    tone = Tone([c.mean for c in drawn])
    parts, top = _legend(tone, measure.label, measure.unit)
    together = _overlap(drawn)
    for swarm, agents in rows.items():
        own = [c for c in drawn if c.swarm_id == swarm]
        left = plot.room_for([agent or swarm for agent in agents])
        frame = plot.Frame(left, top + 24, theme.WIDTH_PX - left - theme.EDGE_PX - 8, ROW_PX * len(agents))
        starts = [c.start_ms for c in (drawn if together else own)]
        x = scales.utc([min(starts), max(starts) + size_ms], frame.left, frame.right)
        centre = {agent: frame.top + ROW_PX * (i + 0.5) for i, agent in enumerate(agents)}
        marks = [
            svg.tag(
                "rect",
                class_="mark",
                x=x.px(c.start_ms),
                y=centre[c.agent_id] - ROW_PX / 2 + 0.5,
                width=max(x.px(c.start_ms + size_ms) - x.px(c.start_ms) - 0.5, 0.5),
                height=ROW_PX - 1,
                fill=theme.HEAT,
                fill_opacity=tone.of(c.mean),
                data_v=_words(c, measure.unit, size_ms),
            )
            for c in own
        ]
        axes = (
            svg.text(svg.shortened(f"{swarm} · agents", theme.WIDTH_PX - 12), theme.EDGE_PX, frame.top - 9)
            + plot.row_labels([agent or swarm for agent in agents], frame, list(centre.values()))
            + plot.x_axis(x, frame, "event time (UTC)")
        )
        parts.append(plot.panel(x, None, frame, axes, "".join(marks)))
        top = frame.bottom + plot.BELOW_PX
    title = f"{measure.label[:1].upper()}{measure.label[1:]} by agent and time"
    description = _description(cells, rows, drawn, measure.unit, size_ms, len(swarms))
    table = table_of(
        ("from (UTC)", "swarm", "agent", "mean", "n"),
        [
            (short(c.start_ms).removesuffix(" UTC"), c.swarm_id, c.agent_id, quantity(c.mean, measure.unit), count(c.n))
            for c in drawn
        ],
    )
    return Chart(name, title, description, svg.picture(name, title, description, top, parts, keys="marks"), table)


class Tone:
    """How much ink a value gets: by its logarithm where the values span more than LOG_SPAN_MIN times."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = min(values), max(values)
        self.logarithmic = self.low > 0 and self.high >= scales.LOG_SPAN_MIN * self.low

    def of(self, value: float) -> float:
        """Opacity HEAT_FAINTEST..1."""
        return theme.HEAT_FAINTEST + (1 - theme.HEAT_FAINTEST) * self.share(value)

    def share(self, value: float) -> float:
        """0 for the lowest value, 1 for the highest; a half where all are the same."""
        if self.high <= self.low:
            return 0.5
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def at(self, share: float) -> float:
        """The value that gets this share of the ink."""
        if self.logarithmic:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)


def _legend(tone: Tone, label: str, unit: str) -> tuple[list[str], float]:
    shares = [0.0, 0.5, 1.0] if tone.high > tone.low else [0.0]
    keys = [
        plot.Key(quantity(tone.at(share), unit), theme.HEAT, shape="M-6,-6h12v12h-12Z", opacity=tone.of(tone.at(share)))
        for share in shares
    ]
    drawn, top = plot.legend(keys, title=f"mean {label}{', log' if tone.logarithmic else ''}")
    return [drawn], top


def rows_of(cells: Sequence[CellRow]) -> dict[str, list[str]]:
    """The agents that are drawn of each swarm that is, in the order of their names."""
    swarms = list(dict.fromkeys(cell.swarm_id for cell in cells))[:SWARMS_MAX]
    most = AGENTS_MAX // len(swarms)
    return {s: _agents([c for c in cells if c.swarm_id == s], most) for s in swarms}


def _agents(cells: Sequence[CellRow], most: int) -> list[str]:
    events: dict[str, int] = {}
    for cell in cells:
        events[cell.agent_id] = events.get(cell.agent_id, 0) + cell.n
    return sorted(sorted(events, key=lambda agent: (-events[agent], agent))[:most], key=natural)


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """agent-2 before agent-10."""
    import re

    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part)


def _words(cell: CellRow, unit: str, size_ms: int) -> str:
    at = scales.clock(cell.start_ms, max(size_ms * COLUMNS_MAX, 6_000))
    return f"{cell.agent_id or cell.swarm_id}, {at}: {quantity(cell.mean, unit)} (n = {count(cell.n)})"


def _description(
    cells: Sequence[CellRow], rows: dict[str, list[str]], drawn: Sequence[CellRow], unit: str, size_ms: int, swarms: int
) -> str:
    highest = max(drawn, key=lambda c: (c.mean, c.agent_id))
    words = f"means of {quantity(size_ms, 'ms')} each; the highest is {_words(highest, unit, size_ms)}"
    for swarm, agents in rows.items():
        known = len({c.agent_id for c in cells if c.swarm_id == swarm})
        if known > len(agents):
            words += f"; {swarm}: the {len(agents)} agents with the most events of {count(known)}"
    return f"{words}; the first {len(rows)} of {swarms} swarms are drawn" if swarms > len(rows) else words


def _overlap(cells: Sequence[CellRow]) -> bool:
    spans: dict[str, tuple[int, int]] = {}
    for c in cells:
        first, last = spans.get(c.swarm_id, (c.start_ms, c.start_ms))
        spans[c.swarm_id] = (min(first, c.start_ms), max(last, c.start_ms))
    return _at_once(list(spans.values()))


def _at_once(spans: Sequence[tuple[int, int]]) -> bool:
    """Whether there is a moment that lies in all of them."""
    return max(first for first, _ in spans) <= min(last for _, last in spans)
