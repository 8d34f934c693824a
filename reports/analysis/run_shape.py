"""The shape of a run: how much of its time agents worked side by side, and which chain of work decided its end.

In: activities with both ends. Out: `RunShape`, `PathPart`. Never: a dependency as known that the events do not name; an
agent's time counted twice where a tool call lies within a task.

An agent is busy in the union of its activities. The **path** goes back from the last end: each piece of work waited, as
far as the events show, for the last work that ended before it began, of its own agent where there is one. A tool call
that holds a whole sub-agent is that agent's work, not the caller's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reports.queries.analysis import SpanRow

LEAVES: Final = frozenset({"model_call", "tool_call", "message", "edit"})
TOUCHING_MS: Final = 5  # clocks and rounding: work that begins this much before another's end still follows it


@dataclass(frozen=True, slots=True)
class PathPart:
    """One kind and name of work on the path."""

    kind: str
    name: str
    agent_id: str
    n: int
    work_ms: int
    share_ratio: float  # of the run's time


@dataclass(frozen=True, slots=True)
class RunShape:
    """wall_ms = path_work_ms + path_wait_ms. Ratios 0..1; None where there is nothing to divide by."""

    side: str
    run_id: str
    agents: int
    activities: int
    wall_ms: int
    busy_ms: int  # of all agents together
    idle_ms: int  # nobody did anything that was recorded
    parallelism: float | None  # agents at work on average, while any was
    parallel_efficiency_ratio: float | None  # busy time / (agents * run's time)
    path_work_ms: int
    path_wait_ms: int  # coordination, thinking outside of recorded work, waiting for people
    coordination_ratio: float | None  # waits and messages on the path / run's time
    off_path_ratio: float | None  # busy time off the path / busy time: what already ran side by side
    path: tuple[PathPart, ...]


def run_shapes(rows: Sequence[SpanRow]) -> tuple[RunShape, ...]:
    """One for each run, the longest first."""
    runs: dict[tuple[str, str], list[SpanRow]] = {}
    for row in rows:
        runs.setdefault((row.side, row.run_id), []).append(row)
    shapes = [_shape(side, run_id, own) for (side, run_id), own in runs.items()]
    return tuple(sorted(shapes, key=lambda shape: (-shape.wall_ms, shape.side, shape.run_id)))


def _shape(side: str, run_id: str, rows: Sequence[SpanRow]) -> RunShape:
    first, last = min(row.started_ms for row in rows), max(row.ended_ms for row in rows)
    wall = last - first
    by_agent: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        by_agent.setdefault(row.agent_id, []).append((row.started_ms, row.ended_ms))
    busy = sum(covered(spans) for spans in by_agent.values())
    occupied = covered((row.started_ms, row.ended_ms) for row in rows)
    path = critical_path(rows)
    work = covered((row.started_ms, row.ended_ms) for row in path)
    talk = covered((row.started_ms, row.ended_ms) for row in path if row.kind == "message")
    return RunShape(
        side=side,
        run_id=run_id,
        agents=len(by_agent),
        activities=len(rows),
        wall_ms=wall,
        busy_ms=busy,
        idle_ms=wall - occupied,
        parallelism=busy / occupied if occupied else None,
        parallel_efficiency_ratio=busy / (len(by_agent) * wall) if wall else None,
        path_work_ms=work,
        path_wait_ms=wall - work,
        coordination_ratio=(wall - work + talk) / wall if wall else None,
        off_path_ratio=(busy - work) / busy if busy else None,
        path=_parts(path, wall),
    )


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """Milliseconds that at least one of the half-open spans covers."""
    total, end = 0, None
    for start, stop in sorted(spans):
        if end is None or start > end:
            total, end = total + stop - start, stop
        elif stop > end:
            total, end = total + stop - end, stop
    return total


def critical_path(rows: Sequence[SpanRow]) -> list[SpanRow]:
    """The chain that decided the end, earliest first."""
    work = sorted(_leaves(rows), key=lambda row: (row.ended_ms, row.started_ms))
    ends = [row.ended_ms for row in work]
    of_agent: dict[str, list[int]] = {}
    for place, row in enumerate(work):
        of_agent.setdefault(row.agent_id, []).append(place)
    path: list[SpanRow] = []
    place = len(work) - 1
    while place >= 0:
        row = work[place]
        path.append(row)
        before = min(bisect_right(ends, row.started_ms + TOUCHING_MS), place) - 1
        own = of_agent[row.agent_id]
        mine = bisect_right(own, before) - 1
        # The own agent's last work is what it followed, unless another's ended later and so may have held it up.
        if mine >= 0 and before >= 0 and ends[own[mine]] >= ends[before] - TOUCHING_MS:
            before = own[mine]
        place = before
    return path[::-1]


def _leaves(rows: Sequence[SpanRow]) -> list[SpanRow]:
    """The finest work there is, without tool calls that hold a sub-agent."""
    found = [row for row in rows if row.kind in LEAVES]
    if not found:
        return list(rows)
    children: dict[str, dict[str, tuple[int, int]]] = {}
    for row in found:
        if row.parent_agent_id:
            start, stop = children.setdefault(row.parent_agent_id, {}).get(row.agent_id, (row.started_ms, row.ended_ms))
            span = (min(start, row.started_ms), max(stop, row.ended_ms))
            children[row.parent_agent_id][row.agent_id] = span
    return [row for row in found if not _holds(row, children.get(row.agent_id, {}).values())]


def _holds(row: SpanRow, spans: Iterable[tuple[int, int]]) -> bool:
    return row.kind == "tool_call" and any(
        row.started_ms <= start + TOUCHING_MS and stop <= row.ended_ms + TOUCHING_MS for start, stop in spans
    )


def _parts(path: Sequence[SpanRow], wall_ms: int) -> tuple[PathPart, ...]:
    """What the path is made of, the longest first."""
    groups: dict[tuple[str, str, str], list[SpanRow]] = {}
    for row in path:
        groups.setdefault((row.kind, row.name, row.agent_id), []).append(row)
    parts = []
    for (kind, name, agent), own in groups.items():
        work = sum(row.ended_ms - row.started_ms for row in own)
        parts.append(PathPart(kind, name, agent, len(own), work, work / wall_ms if wall_ms else 0.0))
    return tuple(sorted(parts, key=lambda part: (-part.work_ms, part.kind, part.name, part.agent_id)))
