"""Who started whom and who handed to whom: agents in rows, the tree at the left, messages as arcs at the right.

In: links between agents. Out: `Chart`, or None without a link. Never: a layout that depends on chance; an agent that no
event names.

One row an agent keeps every name readable on a phone, where a drawing in all directions lets them overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reports.charts import plot, svg, theme
from reports.charts.heatmap import natural
from reports.numbers import count
from reports.queries.port import LinkRow
from reports.render.view import Chart, table_of

AGENTS_MAX: Final = 36  # rows a swarm, those with the most links; the others are counted
SWARMS_MAX: Final = 3
ROW_PX: Final = 22
INDENT_PX: Final = 14
DEPTH_MAX: Final = 6  # indents; deeper agents stand under one another
NAMES_PX: Final = 190  # at most, of the names with their indents
ARCS_MAX: Final = 24  # pairs a swarm, the busiest: more arcs are a ball of wool; the table has all
NUMBERED_MAX: Final = 8  # arcs with their number beside them: more numbers cover one another
WIDEST_PX: Final = 5.0
REACH_PX: Final = 10.0
STARTED: Final = "started"


@dataclass(frozen=True, slots=True)
class Row:
    """One agent: how deep in the tree, under which row."""

    agent: str
    depth: int
    parent: int | None  # index of the row


def graph(links: Sequence[LinkRow], *, name: str = "graph") -> Chart | None:
    """Trees of who started whom; arcs of messages and hand-offs, down solid, up dashed, wider for more."""
    if not links:
        return None
    swarms = list(dict.fromkeys(link.swarm_id for link in links))
    keys = [
        plot.Key("started", theme.RULE),
        plot.Key("message downwards", theme.PALETTE[0]),
        plot.Key("upwards", theme.PALETTE[1], "6 3"),
    ]
    messages = any(link.kind != STARTED for link in links)
    drawn, top = plot.legend(keys if messages else keys[:1])
    parts, said = [drawn], []
    for swarm in swarms[:SWARMS_MAX]:
        own = [link for link in links if link.swarm_id == swarm]
        rows, left_out = rows_of(own)
        parts.append(svg.text(svg.shortened(f"{swarm} · agents", theme.WIDTH_PX - 12), theme.EDGE_PX, top + 16))
        parts.append(_swarm(own, rows, top + 24))
        top += 24 + ROW_PX * len(rows) + 10
        said.append(_said(swarm, own, len(rows), left_out))
    if len(swarms) > SWARMS_MAX:
        said.append(f"the first {SWARMS_MAX} of {len(swarms)} swarms are drawn")
    title = "Who started whom, and who handed to whom" if messages else "Who started whom"
    description = "; ".join(said)
    ordered = sorted(links, key=lambda k: (k.swarm_id, -k.n, k.kind, k.source, k.target))
    table = table_of(
        ("from", "to", "swarm", "what", "number"),
        [(k.source, k.target, k.swarm_id, k.kind, count(k.n)) for k in ordered],
    )
    return Chart(name, title, description, svg.picture(name, title, description, top, parts, keys="marks"), table)


def rows_of(links: Sequence[LinkRow]) -> tuple[list[Row], int]:
    """Agents in the order of their tree, siblings by name; and how many had no room."""
    weight: dict[str, int] = {}
    for link in links:
        for agent in (link.source, link.target):
            weight[agent] = weight.get(agent, 0) + link.n
    kept = set(sorted(weight, key=lambda agent: (-weight[agent], agent))[:AGENTS_MAX])
    parents: dict[str, str] = {}
    for link in sorted(links, key=lambda k: (-k.n, k.source)):
        if link.kind == STARTED and {link.source, link.target} <= kept and link.source != link.target:
            parents.setdefault(link.target, link.source)
    rows: list[Row] = []
    seen: set[str] = set()

    def add(agent: str, depth: int, parent: int | None) -> None:
        if agent in seen:
            return
        seen.add(agent)
        rows.append(Row(agent, depth, parent))
        place = len(rows) - 1
        for child in sorted((c for c, p in parents.items() if p == agent), key=natural):
            add(child, depth + 1, place)

    for agent in sorted(kept - parents.keys(), key=natural):
        add(agent, 0, None)
    for agent in sorted(kept, key=natural):  # agents that started one another in a circle
        add(agent, 0, None)
    return rows, len(weight) - len(kept)


def _swarm(links: Sequence[LinkRow], rows: Sequence[Row], top: float) -> str:
    y = {row.agent: top + ROW_PX * (i + 0.5) for i, row in enumerate(rows)}
    names = max(_indent(row.depth) + 9 + svg.text_px(row.agent) for row in rows)
    column = min(names, theme.EDGE_PX + NAMES_PX) + 12
    parts = []
    for row in rows:
        x = _indent(row.depth)
        if row.parent is not None:
            above = rows[row.parent]
            elbow = (
                f"M{svg.px(_indent(above.depth))},{svg.px(y[above.agent] + 5)}V{svg.px(y[row.agent])}H{svg.px(x - 6)}"
            )
            parts.append(svg.tag("path", d=elbow, fill="none", stroke=theme.RULE, stroke_width=1.5))
        named = svg.shortened(row.agent, column - 8 - (x + 9))
        parts.append(svg.tag("circle", cx=x, cy=y[row.agent], r=4, fill=theme.INK_SOFT))
        parts.append(svg.text(named, x + 9, y[row.agent] + 4.5, ink=theme.INK))
    parts += _arcs([link for link in links if link.kind != STARTED], y, column)
    return "".join(parts)


def _arcs(links: Iterable[LinkRow], y: dict[str, float], column: float) -> list[str]:
    pairs = pairs_of(link for link in links if link.source in y and link.target in y)
    total = {pair: sum(link.n for link in own) for pair, own in pairs.items()}
    busiest = sorted(total, key=lambda pair: (-total[pair], pair))[:ARCS_MAX]
    most = max(total.values(), default=1)
    numbered = busiest[:NUMBERED_MAX]
    furthest = max((abs(y[a] - y[b]) for a, b in busiest), default=1.0) or 1.0
    room = min(theme.WIDTH_PX - theme.EDGE_PX - column - 52, 40 + furthest)
    parts = []
    for source, target in busiest:
        own, n, from_y, to_y = pairs[source, target], total[source, target], y[source], y[target]
        down = to_y >= from_y
        if source == target:
            from_y, to_y = from_y - 5, to_y + 5
        reach = (18 if down else 30) + (room - 18) * math.sqrt(abs(y[source] - y[target]) / furthest)
        curve = (
            f"M{svg.px(column)},{svg.px(from_y)}C{svg.px(column + reach * 4 / 3)},{svg.px(from_y)} "
            f"{svg.px(column + reach * 4 / 3)},{svg.px(to_y)} {svg.px(column + 6)},{svg.px(to_y)}"
        )
        ink = theme.PALETTE[0] if down else theme.PALETTE[1]
        words = f"{source} to {target}: " + ", ".join(f"{count(link.n)} {link.kind}" for link in own)
        wide = 1 + (WIDEST_PX - 1) * math.log1p(n) / math.log1p(most)
        look: svg.Attributes = {"stroke": ink, "stroke_width": wide, "stroke_dasharray": None if down else "6 3"}
        parts.append(svg.tag("path", d=curve, fill="none", stroke_opacity=0.75, **look))
        # What a pointer meets: without the gaps of a dashed line, and wide enough for a finger.
        reached: svg.Attributes = {"stroke": "transparent", "stroke_width": REACH_PX, "data_v": words}
        parts.append(svg.tag("path", class_="mark", d=curve, fill="none", **reached))
        head = f"M{svg.px(column)},{svg.px(to_y)}l8,-4.5v9Z"
        parts.append(svg.tag("path", d=head, fill=ink))
        if (source, target) in numbered:
            at, anchor = (column + reach - 6, "end") if down else (column + reach + 5, "start")
            parts.append(svg.text(count(n), at, (from_y + to_y) / 2 + 4.5, anchor=anchor, ink=theme.INK))
    return parts


def pairs_of(links: Iterable[LinkRow]) -> dict[tuple[str, str], list[LinkRow]]:
    """The messages of each sender and receiver, whatever their type."""
    pairs: dict[tuple[str, str], list[LinkRow]] = {}
    for link in links:
        pairs.setdefault((link.source, link.target), []).append(link)
    return pairs


def _indent(depth: int) -> float:
    return theme.EDGE_PX + 6 + INDENT_PX * min(depth, DEPTH_MAX)


def _said(swarm: str, links: Sequence[LinkRow], shown: int, left_out: int) -> str:
    started = {link.target for link in links if link.kind == STARTED}
    messages = [link for link in links if link.kind != STARTED]
    words = f"{swarm}: {count(shown + left_out)} agents"
    if started:
        words += f", {count(len(started))} of them started by another"
    if messages:
        busiest = max(messages, key=lambda k: (k.n, k.source, k.target))
        words += f", {count(sum(k.n for k in messages))} messages, most from {busiest.source} to {busiest.target}"
        words += f" ({count(busiest.n)})"
        if (pairs := len(pairs_of(messages))) > ARCS_MAX:
            words += f"; the {ARCS_MAX} busiest of {count(pairs)} pairs are drawn"
    return words + (f"; the {shown} with the most links are drawn" if left_out else "")
