"""Where the time of a run or an agent went: model API, local tools, waiting for agents or people, anything else,
nothing.

In: activities with both ends. Out: `TimeSplit`. Never: a millisecond twice, however many activities cover it; a wait
as known that the events do not show.

Each millisecond between the first start and the last end goes to the first of these that covers it: a model call; a
tool call or edit; a message or a tool call that holds a whole sub-agent (waiting for agents); a tool that asks a
person, or the time between two turns (waiting for people); a task or turn in which nothing finer was recorded;
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from reports.analysis.run_shape import TOUCHING_MS
from reports.queries.measured import TimeSpanRow

# Tools whose whole duration is a person's: dialogues of Claude Code, and usual names of others.
ASKING_TOOLS: Final = frozenset({"AskUserQuestion", "ExitPlanMode", "ask_user", "request_user_input"})
MODEL, TOOL, APPROVED, AGENTS, PEOPLE, OTHER, IDLE = range(7)  # in order: the first that covers a millisecond gets it
_OF_KIND: Final = {
    "model_call": MODEL,
    "tool_call": TOOL,
    "edit": TOOL,
    "message": AGENTS,
    "task": OTHER,
    "turn": OTHER,
}

Ints = npt.NDArray[np.int64]
Key = tuple[str, str, str, str]  # side, swarm, run, agent
By = Literal["run", "agent"]


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """wall_ms is the sum of model, tool, agents, people, other and idle. Ratios are of wall_ms; None: it is 0."""

    side: str
    swarm_id: str
    run_id: str
    agent_id: str  # '' where the run is split as a whole
    activities: int
    wall_ms: int
    model_ms: int
    tool_ms: int
    tool_approval_ms: int  # the part of tool_ms in calls whose duration may hold a person's approval
    agents_ms: int  # waiting for other agents
    people_ms: int  # waiting for people
    other_ms: int  # in a task or turn, nothing finer recorded
    idle_ms: int  # nothing recorded at all
    model_ratio: float | None
    tool_ratio: float | None
    waiting_ratio: float | None  # for agents and people
    idle_ratio: float | None
    measured_ratio: float | None  # share of the time that is not idle which rests on measured activities


def time_splits(rows: Sequence[TimeSpanRow], by: By) -> tuple[TimeSplit, ...]:
    """One a run, or one an agent of a run; the longest first."""
    if not rows:
        return ()
    agents, names = _numbered([(row.side, row.swarm_id, row.run_id, row.agent_id) for row in rows])
    start = np.array([row.started_ms for row in rows], dtype=np.int64)
    end = np.array([row.ended_ms for row in rows], dtype=np.int64)
    kind = _categories(rows, start, end)
    measured = np.array([row.provenance == "measured" for row in rows])
    gaps = _between_turns(agents, start, end, np.array([row.kind == "turn" for row in rows]))
    group, keys = agents, names
    if by == "run":
        of_agent, keys = _numbered([(*name[:3], "") for name in names])
        group, gaps = of_agent[agents], (of_agent[gaps[0]], *gaps[1:])
    activities = np.bincount(group, minlength=len(keys))
    codes = np.concatenate([2 * kind + ~measured, np.full(len(gaps[0]), 2 * PEOPLE + 1)])
    group, start, end = (np.concatenate([a, b]) for a, b in zip((group, start, end), gaps, strict=True))
    total = _split(group, start, end, codes, len(keys))
    found = [_row(key, int(n), ms) for key, n, ms in zip(keys, activities, total, strict=True)]
    return tuple(sorted(found, key=lambda one: (-one.wall_ms, one.side, one.swarm_id, one.run_id, one.agent_id)))


def _numbered(keys: Sequence[Key]) -> tuple[Ints, list[Key]]:
    """Each key's number, and the keys by number."""
    numbers: dict[Key, int] = {}
    found = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
    return found, list(numbers)


def _categories(rows: Sequence[TimeSpanRow], start: Ints, end: Ints) -> Ints:
    kind = np.array([_OF_KIND[row.kind] for row in rows], dtype=np.int64)
    for place, row in enumerate(rows):
        if row.kind == "tool_call":
            if row.tool in ASKING_TOOLS:
                kind[place] = PEOPLE
            elif row.approval:
                kind[place] = APPROVED
    for place in _holding(rows, start, end):
        kind[place] = AGENTS
    return kind


def _holding(rows: Sequence[TimeSpanRow], start: Ints, end: Ints) -> list[int]:
    """Places of tool calls that hold the whole recorded work of a sub-agent: they wait for it."""
    children: dict[Key, dict[str, list[int]]] = {}
    for row in rows:
        if row.parent_agent_id and row.kind != "turn":
            own = children.setdefault((row.side, row.swarm_id, row.run_id, row.parent_agent_id), {})
            span = own.setdefault(row.agent_id, [row.started_ms, row.ended_ms])
            span[:] = min(span[0], row.started_ms), max(span[1], row.ended_ms)
    calls: dict[Key, list[int]] = {}
    for place, row in enumerate(rows):
        key = (row.side, row.swarm_id, row.run_id, row.agent_id)
        if row.kind == "tool_call" and key in children:
            calls.setdefault(key, []).append(place)
    found: list[int] = []
    for key, places in calls.items():
        spans = np.array(sorted(children[key].values()), dtype=np.int64)
        # The earliest end of all that begin no earlier: a call holds one of them when that end is not after its own.
        earliest = np.append(np.minimum.accumulate(spans[::-1, 1])[::-1], np.iinfo(np.int64).max)
        first = np.searchsorted(spans[:, 0], start[places] - TOUCHING_MS)
        found += [
            place for place, holds in zip(places, earliest[first] <= end[places] + TOUCHING_MS, strict=True) if holds
        ]
    return found


def _between_turns(agents: Ints, start: Ints, end: Ints, turn: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """(agent, start, end) of the times between one agent's turns: then it waited for what a person would say."""
    order = np.flatnonzero(turn)
    order = order[np.lexsort((start[order], agents[order]))]
    own, begin = agents[order], start[order]
    # The latest end so far within each agent: agents lie further apart than any epoch.
    far = own * np.int64(1 << 44)
    until = np.maximum.accumulate(end[order] + far) - far
    gap = (own[1:] == own[:-1]) & (begin[1:] > until[:-1])
    return own[1:][gap], until[:-1][gap], begin[1:][gap]


def _split(group: Ints, start: Ints, end: Ints, codes: Ints, groups: int) -> npt.NDArray[Any]:
    """Milliseconds by group and code; the last column is what no activity covers."""
    moment = np.concatenate([start, end])
    own = np.concatenate([group, group])
    order = np.lexsort((moment, own))
    moment, own = moment[order], own[order]
    length = np.where(own[1:] == own[:-1], np.diff(moment), 0)
    code_of = np.concatenate([codes, codes])[order]
    step = np.where(order < len(start), 1, -1)
    got = np.full(len(length), 2 * IDLE, dtype=np.int64)
    for code in np.unique(codes)[::-1]:  # the first in the order of codes is written last
        # Every activity of a group ends within it, so the running count is 0 where the next group begins.
        got[np.cumsum(np.where(code_of == code, step, 0))[:-1] > 0] = code
    size = 2 * IDLE + 1
    return np.bincount(own[:-1] * size + got, weights=length, minlength=groups * size).reshape(groups, size)


def _row(key: Key, activities: int, ms: npt.NDArray[Any]) -> TimeSplit:
    parts = [round(ms[2 * k] + (ms[2 * k + 1] if k < IDLE else 0)) for k in range(IDLE + 1)]
    wall, idle = sum(parts), parts[IDLE]
    tool = parts[TOOL] + parts[APPROVED]
    worked = wall - idle

    def share(part: float, whole: int = wall) -> float | None:
        return float(part) / whole if whole else None

    return TimeSplit(
        *(*key, activities, wall),
        model_ms=parts[MODEL],
        tool_ms=tool,
        tool_approval_ms=parts[APPROVED],
        agents_ms=parts[AGENTS],
        people_ms=parts[PEOPLE],
        other_ms=parts[OTHER],
        idle_ms=idle,
        model_ratio=share(parts[MODEL]),
        tool_ratio=share(tool),
        waiting_ratio=share(parts[AGENTS] + parts[PEOPLE]),
        idle_ratio=share(idle),
        measured_ratio=share(float(ms[: 2 * IDLE : 2].sum()), worked),
    )
