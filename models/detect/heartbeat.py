"""Finds agents whose heartbeats stop, by phi accrual over each agent's own intervals.

In: heartbeats, and the partition's event time. Out: findings. Never: a fixed time-out: who beats every minute may be
silent for longer than who beats every second.

phi = -log10 P(an interval at least this long), intervals normal with the agent's own mean and deviation
(Hayashibara et al., 2004). At phi 8 an agent is doubted; the event time must then pass the same wait once more, so that
agents that all come back from an outage of the log are not taken for dead while they come back one by one.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from models.detect.finding import DetectorSpec, Finding, Limit, Place, short
from models.detect.keyed import Keyed

PHI_MIN: Final = 8.0
DEVIATIONS: Final = 5.612  # of the normal law at phi 8: P = 1e-8
DEVIATION_MIN_RATIO: Final = 0.1
BEATS_MIN: Final = 10
WEIGHT: Final = 0.05
CHECK_MS: Final = 1_000
RESOLUTION_MS: Final = 1_000  # silences are looked for once a second: more beats than one in it say nothing more
PHI_SHOWN_MAX: Final = 99.0
AGENTS_MAX: Final = 20_000  # of a partition, 150 bytes each
METRIC: Final = "agent_heartbeat"

SPEC: Final = DetectorSpec(
    name="agent_offline",
    version=2,
    finds="An agent whose heartbeats stop.",
    reads="metric `agent_heartbeat` (value 0: the agent signs off), in the event time of its partition",
    limits=(
        Limit("phi", PHI_MIN, "-log10 P", "one false doubt in 1e8 heartbeats, were intervals normal"),
        Limit(
            "smallest deviation", DEVIATION_MIN_RATIO, "of the mean interval", "timers are regular, networks are not"
        ),
        Limit("beats", BEATS_MIN, "heartbeats", "before its own interval is known"),
        Limit("memory", 1 / WEIGHT, "intervals", "mean and deviation follow a changed interval"),
        Limit("resolution", RESOLUTION_MS, "ms", "of the heartbeats in one such step of event time the first counts"),
        Limit("look", CHECK_MS, "ms", "of event time between two looks at all agents"),
    ),
    delay="twice the mean interval and 5.6 deviations each, when another agent's event moves the time on",
    blind="Agents without heartbeats; all agents of a partition falling silent at once (a rule on absence sees it).",
    action="restart",
)


class _Agent(Struct, array_like=True, gc=False):
    last_ms: int = 0
    last_offset: int = 0
    beats: int = 0
    mean_ms: float = 0.0
    variance: float = 0.0
    due_ms: int = 0  # event time from which it is doubted, or found when it is already
    doubted: bool = False
    told: bool = False


class HeartbeatDetector:
    """One memory an agent. `look_ms`: event time from which `look` may find something."""

    spec = SPEC

    def __init__(self) -> None:
        self._agents = Keyed(_Agent, AGENTS_MAX)
        self.look_ms = 0

    def __len__(self) -> int:
        return len(self._agents)

    def beat(self, swarm_id: str, agent_id: str, value: float, at_ms: int, offset: int) -> None:
        """Takes one heartbeat."""
        if value <= 0:
            self._agents.drop(swarm_id, agent_id)
            return
        known = self._agents.get(swarm_id, agent_id)
        if known is not None and at_ms // RESOLUTION_MS <= known.last_ms // RESOLUTION_MS:
            return  # not even touched: whoever leaves it out beforehand must come to the same state
        agent = self._agents.of(swarm_id, agent_id)
        interval_ms = float(at_ms - agent.last_ms)
        # An interval that was found too long is no sample of the usual ones.
        if agent.beats == 1:
            agent.mean_ms = interval_ms
        elif agent.beats > 1 and not agent.doubted:
            apart = interval_ms - agent.mean_ms
            weight = max(WEIGHT, 1 / agent.beats)
            agent.mean_ms += weight * apart
            agent.variance = (1 - weight) * (agent.variance + weight * apart * apart)
        agent.beats += 1
        agent.last_ms, agent.last_offset = at_ms, offset
        agent.doubted = agent.told = False
        agent.due_ms = at_ms + _wait_ms(agent)

    def look(self, place: Place) -> list[Finding]:
        """Who is silent for too long when event time has reached `place.at_ms`."""
        now_ms = place.at_ms
        if now_ms < self.look_ms:
            return []
        self.look_ms = now_ms + CHECK_MS
        found: list[Finding] = []
        for (swarm_id, agent_id), agent in self._agents:
            if agent.told or agent.beats < BEATS_MIN or now_ms < agent.due_ms:
                continue
            if not agent.doubted:
                agent.doubted, agent.due_ms = True, now_ms + _wait_ms(agent)
                continue
            agent.told = True
            found.append(_finding(swarm_id, agent_id, agent, place))
        return found

    def state(self) -> list[Any]:
        """For snapshots."""
        return [self.look_ms, self._agents.state()]

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self.look_ms, agents = state or (0, [])
        self._agents.restore(agents)


def first_of_each_step(
    series: npt.NDArray[np.integer[Any]], values: npt.NDArray[np.float64], times_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """Positions, ascending, of the heartbeats that `beat` would not pass over for an earlier one among these.

    All of them when one signs off: what follows counts anew.
    """
    if len(values) < 2 or values.min() <= 0:
        return np.arange(len(values))
    step = times_ms // RESOLUTION_MS
    order = np.lexsort((step, series))  # stable, so the first of equal ones is the first in the log
    series, step = series[order], step[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (series[1:] != series[:-1]) | (step[1:] != step[:-1])
    return np.sort(order[new])


def _deviation_ms(agent: _Agent) -> float:
    return max(math.sqrt(agent.variance), DEVIATION_MIN_RATIO * agent.mean_ms)


def _wait_ms(agent: _Agent) -> int:
    return math.ceil(agent.mean_ms + DEVIATIONS * _deviation_ms(agent))


def _finding(swarm_id: str, agent_id: str, agent: _Agent, place: Place) -> Finding:
    silence_ms = place.at_ms - agent.last_ms
    chance = math.erfc((silence_ms - agent.mean_ms) / _deviation_ms(agent) / math.sqrt(2)) / 2
    phi = PHI_SHOWN_MAX if chance <= 0 else min(PHI_SHOWN_MAX, -math.log10(chance))
    return Finding(
        detector=SPEC.name,
        swarm_id=swarm_id,
        agent_id=agent_id,
        metric="heartbeat_gap",
        unit="ms",
        began=(agent.last_ms, agent.last_offset),
        place=place,
        value=float(silence_ms),
        high=float(_wait_ms(agent)),
        severity="high",
        reason=f"{short(agent_id) or 'the swarm itself'} sent no heartbeat for {silence_ms / 1000:.1f} s; it sends one "
        f"every {agent.mean_ms / 1000:.1f} s (phi {phi:.1f})",
        evidence={
            "phi": f"{phi:.1f}",
            "mean_interval_ms": f"{agent.mean_ms:.0f}",
            "deviation_ms": f"{_deviation_ms(agent):.0f}",
            "heartbeats": str(agent.beats),
            "last_ms": str(agent.last_ms),
        },
    )
