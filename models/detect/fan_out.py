"""Finds a swarm that multiplies: agents that spawn agents, too deep, too fast, too many at once.

In: activities with `agent_id` and `parent_agent_id`. Out: findings. Never: takes a large start for a runaway: agents
of the first generation count for depth and number only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import EVERY_KIND, DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

DEPTH_MAX: Final = 3
SPAWNS_MAX: Final = 20
SPAWN_WINDOW_MS: Final = 60_000
LIVE_MAX: Final = 100
LIVE_WINDOW_MS: Final = 300_000
AGENTS_MAX: Final = 512  # of a swarm; long before, the number of live agents has been told
SWARMS_MAX: Final = 500  # of a partition; 512 agents of 100 bytes each at worst

SPEC: Final = DetectorSpec(
    name="runaway_fan_out",
    version=1,
    finds="Agents that spawn agents: too deep, too fast, or too many at once.",
    reads="activities of any status: `agent_id`, `parent_agent_id`",
    limits=(
        Limit("depth", DEPTH_MAX, "generations", "a coordinator, its leads and their workers are three"),
        Limit(
            "spawns", SPAWNS_MAX, "agents", "spawned by spawned agents within the spawn window; a person starts fewer"
        ),
        Limit("spawn window", SPAWN_WINDOW_MS, "ms", "short enough to act before the next generation is at work"),
        Limit("live agents", LIVE_MAX, "agents", "of one swarm; the largest published topologies run 64 to 100"),
        Limit("live window", LIVE_WINDOW_MS, "ms", "an agent silent for longer than most model calls is not counted"),
    ),
    delay="with the first activity of the agent that passes a limit",
    blind="Agents whose events name no `parent_agent_id` count as the first generation.",
    action="pause_spawning",
)


class _Swarm(Struct, array_like=True, gc=False):
    agents: dict[str, tuple[int, int]] = field(default_factory=dict)  # agent: generation (0 has no parent), last seen
    spawns: list[tuple[int, int]] = field(default_factory=list)  # event time, offset of agents of generation >= 2
    first: tuple[int, int] = (0, 0)  # event time, offset of the first activity
    told: dict[str, int] = field(default_factory=dict)  # what was told -> the value then


class FanOutDetector:
    """One memory a swarm."""

    spec = SPEC
    kinds = EVERY_KIND

    def __init__(self) -> None:
        self._swarms = Keyed(_Swarm, SWARMS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not activity.agent_id:
            return
        swarm = self._swarms.of(activity.swarm_id)
        if not swarm.first[0]:
            swarm.first = (place.at_ms, place.offset)
        known = swarm.agents.pop(activity.agent_id, None)
        if known is not None:
            swarm.agents[activity.agent_id] = (known[0], max(known[1], place.at_ms))
            return
        parent = activity.parent_agent_id
        generation = 0 if not parent else swarm.agents.get(parent, (0, 0))[0] + 1
        if len(swarm.agents) >= AGENTS_MAX:
            del swarm.agents[next(iter(swarm.agents))]
        swarm.agents[activity.agent_id] = (generation, place.at_ms)
        if generation >= 2:
            swarm.spawns.append((place.at_ms, place.offset))
            del swarm.spawns[: -4 * SPAWNS_MAX]
        yield from self._judge(swarm, activity, generation, place)

    def _judge(self, swarm: _Swarm, activity: ActivityRecord, generation: int, place: Place) -> Iterator[Finding]:
        recent = [s for s in swarm.spawns if s[0] > place.at_ms - SPAWN_WINDOW_MS]
        live = sum(1 for _, last_ms in swarm.agents.values() if last_ms > place.at_ms - LIVE_WINDOW_MS)
        measures: tuple[tuple[str, str, int, int, tuple[int, int], str], ...] = (
            (
                *("spawn_depth", "generations", generation, DEPTH_MAX, (place.at_ms, place.offset)),
                f"agent {short(activity.agent_id)} is of generation {generation}, spawned by "
                f"{short(activity.parent_agent_id)}; {DEPTH_MAX} are usual at most",
            ),
            (
                *("spawn_rate", "agents", len(recent), SPAWNS_MAX, recent[0] if recent else swarm.first),
                f"spawned agents spawned {len(recent)} agents within {SPAWN_WINDOW_MS // 1000} s; "
                f"{SPAWNS_MAX} are usual at most",
            ),
            (
                *("live_agents", "agents", live, LIVE_MAX, swarm.first),
                f"{live} agents were active within {LIVE_WINDOW_MS // 1000} s; {LIVE_MAX} are usual at most",
            ),
        )
        for metric, unit, value, limit, since, reason in measures:
            told = swarm.told.get(metric, 0)
            if value <= limit // 2:
                swarm.told.pop(metric, None)  # it has calmed down: the next time is a new event
            if value <= limit or (told and value < 2 * told):
                continue
            swarm.told[metric] = value
            severity: Severity = "critical" if value > 4 * limit else "high"
            yield Finding(
                detector=SPEC.name,
                swarm_id=activity.swarm_id,
                agent_id="",
                metric=metric,
                unit=unit,
                began=(since[0], since[1]),
                place=place,
                value=float(value),
                high=float(limit),
                severity=severity,
                reason=reason,
                subject=metric,
                evidence={
                    "newest_agent": short(activity.agent_id),
                    "its_parent": short(activity.parent_agent_id),
                    "generation": str(generation),
                    "live_agents": str(live),
                },
            )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._swarms.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._swarms.restore(state)
