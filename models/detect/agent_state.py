"""Tells apart agents that are stuck, waiting, paused and dead, and reports the ones somebody should look at.

In: activities of any status. Out: findings. Never: a wall clock. Silence counts in the event time of the swarm's
other agents: where all are silent, nothing is known, and nothing is said.

Of an agent with unfinished work: *waiting* when some of it is `blocked`; *paused* when it said so; *dead* when it is
silent while the others go on; *stuck* when it still speaks but one piece of work takes far too long. An agent without
unfinished work is idle, however long it is silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import EVERY_KIND, DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

CHECK_MS: Final = 10_000
SILENCE_MIN_MS: Final = 600_000
SILENCE_GAPS: Final = 20.0
CONFIRM_MS: Final = 60_000
WAIT_MAX_MS: Final = 1_800_000
STUCK_MS: Final = {"task": 7_200_000, "tool_call": 1_800_000, "model_call": 600_000}
STUCK_USUALS: Final = 10.0
OPEN_MAX: Final = 16
AGENTS_MAX: Final = 256
SWARMS_MAX: Final = 500  # of a partition, 256 agents of 300 bytes each at worst
MEAN_WEIGHT: Final = 0.1
PAUSES: Final = frozenset({"pause", "paused", "suspend", "suspended"})
ENDS: Final = frozenset({"stop", "stopped", "end", "ended", "exit", "shutdown", "terminated", "session_end"})

SPEC: Final = DetectorSpec(
    name="agent_state",
    version=1,
    finds="An agent with unfinished work that is dead, stuck, or has waited too long; a paused or idle one is none.",
    reads="activities: `status` (running, blocked, ended), `kind`; `lifecycle` with tag `event` (pause, stop, ...)",
    limits=(
        Limit("silence", SILENCE_MIN_MS, "ms", "while others go on: longer than any model call of the transcripts"),
        Limit("silence in gaps", SILENCE_GAPS, "times its mean gap", "who speaks rarely may be silent for longer"),
        Limit("confirmation", CONFIRM_MS, "ms", "more, after the first doubt: a swarm that slept wakes one by one"),
        Limit("waiting", WAIT_MAX_MS, "ms", "a person answers within half an hour, or does not know of it"),
        Limit("task", STUCK_MS["task"], "ms", "F10: a task above 120 min; and ten times the usual task"),
        Limit(
            "tool call", STUCK_MS["tool_call"], "ms", "tools end themselves after ten minutes; approvals take longer"
        ),
        Limit("model call", STUCK_MS["model_call"], "ms", "the default time-out of model clients"),
        Limit("usual", STUCK_USUALS, "times the usual", "of the same kind in the same swarm"),
    ),
    delay="the limit, and one minute more for dead; counted when the swarm's next activity arrives",
    blind="Agents that publish only ended activities are idle between them; the last agent of a silent swarm (a rule "
    "on absence sees it); heartbeats (see `agent_offline`).",
    action="restart",
)


class _Agent(Struct, array_like=True, gc=False):
    open: dict[str, tuple[str, str, int, int]] = field(default_factory=dict)  # id: kind, status, since, offset
    last_ms: int = 0
    last_offset: int = 0
    gap_ms: float = 0.0  # fading mean between two activities
    doubted_ms: int = 0  # when it was first found silent
    paused: bool = False
    told: str = ""  # the state that was told last and still stands


class _Swarm(Struct, array_like=True, gc=False):
    agents: dict[str, _Agent] = field(default_factory=dict)
    usual_ms: dict[str, float] = field(default_factory=dict)  # kind: fading mean of its durations
    clock_ms: int = 0
    checked_ms: int = 0


class AgentStateDetector:
    """One memory a swarm."""

    spec = SPEC
    kinds = EVERY_KIND

    def __init__(self) -> None:
        self._swarms = Keyed(_Swarm, SWARMS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows, of its own agent and of those that are silent meanwhile."""
        swarm = self._swarms.of(activity.swarm_id)
        swarm.clock_ms = max(swarm.clock_ms, place.at_ms)
        _note(swarm, activity, place, ended=ended)
        if swarm.clock_ms >= swarm.checked_ms + CHECK_MS:
            swarm.checked_ms = swarm.clock_ms
            for name, agent in swarm.agents.items():
                if agent.open and not agent.paused:
                    yield from _judge(swarm, activity.swarm_id, name, agent, place)

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._swarms.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._swarms.restore(state)


def _note(swarm: _Swarm, activity: ActivityRecord, place: Place, *, ended: bool) -> None:
    agent = swarm.agents.pop(activity.agent_id, None) or _Agent()
    swarm.agents[activity.agent_id] = agent
    if len(swarm.agents) > AGENTS_MAX:
        del swarm.agents[next(iter(swarm.agents))]
    if place.at_ms > agent.last_ms:
        if agent.last_ms:
            gap_ms = float(place.at_ms - agent.last_ms)
            agent.gap_ms = gap_ms if not agent.gap_ms else agent.gap_ms + MEAN_WEIGHT * (gap_ms - agent.gap_ms)
        agent.last_ms, agent.last_offset, agent.doubted_ms = place.at_ms, place.offset, 0
        if agent.told == "dead":
            agent.told = ""
    event = activity.tags.get("event", "").lower() if activity.kind == "lifecycle" else ""
    agent.paused = event in PAUSES
    if ended:
        if agent.open.pop(activity.id, None):
            agent.told = ""
        if activity.kind in STUCK_MS and activity.duration_ms is not None:
            known = swarm.usual_ms.get(activity.kind)
            now_ms = float(activity.duration_ms)
            swarm.usual_ms[activity.kind] = now_ms if known is None else known + MEAN_WEIGHT * (now_ms - known)
    elif activity.status == "blocked" or activity.kind not in ("lifecycle", "session"):  # to exist is not work
        agent.open[activity.id] = (activity.kind, activity.status, activity.started_at, place.offset)
        if len(agent.open) > OPEN_MAX:
            del agent.open[next(iter(agent.open))]
    if event in ENDS or (ended and activity.kind == "session"):
        del swarm.agents[activity.agent_id]


def _judge(swarm: _Swarm, swarm_id: str, name: str, agent: _Agent, place: Place) -> Iterator[Finding]:
    now_ms = swarm.clock_ms
    silence_ms = now_ms - agent.last_ms
    blocked = [work for work in agent.open.values() if work[1] == "blocked"]
    if blocked:
        since_ms, offset = min((work[2], work[3]) for work in blocked)
        if now_ms - since_ms > WAIT_MAX_MS:
            yield from _tell(swarm_id, name, agent, "waiting", "low", since_ms, offset, now_ms, WAIT_MAX_MS, place)
        return
    limit_ms = max(float(SILENCE_MIN_MS), SILENCE_GAPS * agent.gap_ms)
    if silence_ms > limit_ms:
        agent.doubted_ms = agent.doubted_ms or now_ms
        if now_ms - agent.doubted_ms >= CONFIRM_MS:
            since = (agent.last_ms, agent.last_offset)
            yield from _tell(swarm_id, name, agent, "dead", "high", *since, now_ms, limit_ms, place)
        return
    for kind, _, since_ms, offset in agent.open.values():
        if kind in STUCK_MS:
            limit_ms = max(float(STUCK_MS[kind]), STUCK_USUALS * swarm.usual_ms.get(kind, 0.0))
            if now_ms - since_ms > limit_ms:
                yield from _tell(swarm_id, name, agent, "stuck", "medium", since_ms, offset, now_ms, limit_ms, place)
                return


def _tell(
    swarm_id: str,
    name: str,
    agent: _Agent,
    state: str,
    severity: Severity,
    since_ms: int,
    offset: int,
    now_ms: int,
    limit_ms: float,
    place: Place,
) -> Iterator[Finding]:
    if agent.told == state:
        return
    agent.told = state
    work_id, work = min(agent.open.items(), key=lambda item: item[1][2])
    how = {"dead": "said nothing", "stuck": f"has been at one {work[0]}", "waiting": "has waited"}[state]
    yield Finding(
        detector=SPEC.name,
        swarm_id=swarm_id,
        agent_id=name,
        metric="agent_silence" if state == "dead" else "work_age",
        unit="ms",
        began=(since_ms, offset),
        place=place._replace(at_ms=now_ms),
        value=float(now_ms - since_ms),
        high=limit_ms,
        severity=severity,
        reason=f"{short(name) or 'the swarm itself'} is {state}: it {how} for {(now_ms - since_ms) / 60_000:.1f} min, "
        f"with {len(agent.open)} unfinished; {limit_ms / 60_000:.1f} min are usual at most",
        subject=state,
        evidence={
            "state": state,
            "unfinished": str(len(agent.open)),
            "oldest_id": short(work_id),
            "oldest_kind": work[0],
            "oldest_status": work[1],
        },
    )
