"""Finds agents that wait for each other in a circle, so that none can ever go on.

In: blocked messages and tasks that name whom they wait for; what ends them. Out: findings. Never: takes a message
that is only on its way for a wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import EVERY_KIND, DetectorSpec, Finding, Limit, Place, short
from models.detect.keyed import Keyed

WAITS_MAX: Final = 256
TOLD_MAX: Final = 64
SWARMS_MAX: Final = 1_000  # of a partition, 256 waits of 150 bytes each at worst

SPEC: Final = DetectorSpec(
    name="wait_cycle",
    version=1,
    finds="Agents that wait for each other in a circle.",
    reads="`message` and `task` with status `blocked`: `from_agent_id` (else `agent_id`) waits for `to_agent_id`, "
    "until the same id ends or the waiting agent ends other work that it began later",
    limits=(
        Limit("agents", 1, "agents", "any closed circle is one too many: it cannot open by itself"),
        Limit("waits", WAITS_MAX, "waits", "of a swarm at once; the oldest is forgotten"),
    ),
    delay="with the wait that closes the circle",
    blind="Waits that no event reports; waits for one of several agents count as waits for each of them.",
    action="break_wait",
)


class _Swarm(Struct, array_like=True, gc=False):
    waits: dict[str, tuple[str, str, int, int]] = field(default_factory=dict)  # id: who, for whom, since, offset
    told: list[list[str]] = field(default_factory=list)  # circles that were told and still stand


class WaitCycleDetector:
    """One memory a swarm."""

    spec = SPEC
    kinds = EVERY_KIND

    def __init__(self) -> None:
        self._swarms = Keyed(_Swarm, SWARMS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        waiter = activity.from_agent_id or activity.agent_id
        blocked = activity.status == "blocked" and activity.kind in ("message", "task")
        if blocked and waiter and activity.to_agent_id:
            swarm = self._swarms.of(activity.swarm_id)
            swarm.waits.setdefault(activity.id, (waiter, activity.to_agent_id, place.at_ms, place.offset))
            if len(swarm.waits) > WAITS_MAX:
                del swarm.waits[next(iter(swarm.waits))]
            circle = _circle(swarm, waiter)
            if circle and sorted(circle) not in swarm.told:
                swarm.told.append(sorted(circle))
                del swarm.told[:-TOLD_MAX]
                yield _finding(swarm, circle, activity.swarm_id, place)
        elif ended and (known := self._swarms.get(activity.swarm_id)) is not None and known.waits:
            _end(known, activity)

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._swarms.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._swarms.restore(state)


def _end(swarm: _Swarm, activity: ActivityRecord) -> None:
    over = {
        activity_id
        for activity_id, (who, _, since_ms, _) in swarm.waits.items()
        if activity_id == activity.id or (who == activity.agent_id and activity.started_at > since_ms)
    }
    if over:
        free = {swarm.waits.pop(activity_id)[0] for activity_id in sorted(over)}
        swarm.told = [circle for circle in swarm.told if not free.intersection(circle)]


def _circle(swarm: _Swarm, start: str) -> list[str]:
    """The agents of a circle through `start`, in the order in which each waits for the next; [] when there is none."""
    after: dict[str, list[str]] = {}
    for who, whom, _, _ in swarm.waits.values():
        after.setdefault(who, []).append(whom)
    before: dict[str, str] = {}  # agent -> who waits for it on the way from `start`
    due = [start]
    while due:
        agent = due.pop()
        for whom in after.get(agent, ()):
            if whom == start:
                circle = [agent]
                while circle[-1] != start:
                    circle.append(before[circle[-1]])
                return circle[::-1]
            if whom not in before:
                before[whom] = agent
                due.append(whom)
    return []


def _finding(swarm: _Swarm, circle: list[str], swarm_id: str, place: Place) -> Finding:
    members = set(circle)
    waits = [w for w in swarm.waits.values() if w[0] in members and w[1] in members]
    since_ms, from_offset = min((w[2], w[3]) for w in waits)
    names = " -> ".join(short(name) for name in [*circle[:8], *(["..."] if len(circle) > 8 else []), circle[0]])
    return Finding(
        detector=SPEC.name,
        swarm_id=swarm_id,
        agent_id=circle[0],
        metric="wait_cycle",
        unit="agents",
        began=(since_ms, from_offset),
        place=place,
        value=float(len(circle)),
        high=0.0,
        severity="critical",
        reason=f"{len(circle)} agents wait for each other in a circle: {names}; none of them can go on",
        subject="\0".join(sorted(circle)),
        evidence={"circle": short(names), "agents": str(len(circle)), "first_wait_ms": str(since_ms)},
    )
