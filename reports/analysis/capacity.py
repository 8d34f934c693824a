"""How busy agents are, how long work would wait, and how many agents a stated load needs.

In: tasks with start and duration. Out: `AgentLoad`, `Capacity`. Never: a queue that was not measured as if it had
been; a number of agents without its interval.

The estimate takes a pool of like agents, each at work on `slots_per_agent` tasks at once, that share one queue, first
come first served, with a load that stays as it is: Erlang's C, times (ca2 + cs2) / 2 for how irregular arrivals and
durations are (Allen and Cunneen). A start is taken for an arrival, so a pool that is always busy hides how much more
there was to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from reports.analysis.run_shape import covered
from reports.analysis.slope import FloatArray
from reports.queries.measured import WorkTimeRow

TASKS_MIN: Final = 20  # with a duration; below it the spread of durations is not known
HOUR_MS: Final = 3_600_000
DRAWS: Final = 2_000
BATCHES: Final = 500  # of neighbouring tasks, which are alike: more tasks are resampled in these
SEED: Final = 20_261_121
UTILISATION_MAX: Final = 0.8  # beyond it waits grow steeply: at 0.9 they are more than twice as long
SATURATED: Final = 0.9

By = Literal["swarm", "role"]


@dataclass(frozen=True, slots=True)
class AgentLoad:
    """One agent's tasks. utilisation_ratio: time with at least one of them / the time its pool was observed."""

    side: str
    of: str  # the pool: '' for all, or a role
    agent_id: str  # swarm/agent where the side holds several swarms
    tasks: int
    busy_ms: int
    utilisation_ratio: float | None
    parallel: float | None  # tasks at once, while at work
    tasks_per_hour: float | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """One pool. *_low, *_high: 95 % by resampling its tasks, in batches where there are many.

    wait_ms is an estimate by the named model, not measured. load_per_hour: the load asked about, else the arrivals.
    """

    side: str
    of: str
    agents: int
    tasks: int
    measured: int  # tasks with a duration
    observed_ms: int
    arrivals_per_hour: float | None = None
    service_ms: float | None = None  # mean duration
    service_low_ms: float | None = None
    service_high_ms: float | None = None
    arrival_cv2: float | None = None  # squared coefficient of variation of the times between starts; 1: at random
    service_cv2: float | None = None
    utilisation_ratio: float | None = None  # busy time of all agents / (agents * observed)
    slots_per_agent: float | None = None
    load_per_hour: float | None = None
    load_ratio: float | None = None  # of what the agents there are could do; 1 and more: work piles up
    wait_ms: float | None = None  # mean, at this load with the agents there are; None: it grows without end
    agents_needed: int | None = None  # so that load_ratio is at most utilisation_max
    agents_needed_low: int | None = None
    agents_needed_high: int | None = None
    wait_then_ms: float | None = None
    verdict: str = "not enough data"  # enough | too few | not enough data
    why: str = ""


def capacities(
    rows: Sequence[WorkTimeRow], by: By, *, tasks_per_hour: float | None, utilisation_max: float = UTILISATION_MAX
) -> tuple[tuple[Capacity, ...], tuple[AgentLoad, ...]]:
    """Pools in the order of sides, and their agents, the busiest first."""
    name: Callable[[WorkTimeRow], str] = (lambda row: row.role) if by == "role" else (lambda row: "")
    pools: dict[tuple[str, str], list[WorkTimeRow]] = {}
    for row in rows:
        pools.setdefault((row.side, name(row)), []).append(row)
    found, loads = [], []
    for (side, of), own in sorted(pools.items()):
        observed = _observed_ms(own)
        agents = _agents(side, of, own, observed)
        loads += sorted(agents, key=lambda one: (-(one.utilisation_ratio or 0.0), one.agent_id))
        found.append(_capacity(side, of, own, agents, observed, tasks_per_hour, utilisation_max))
    return tuple(found), tuple(loads)


def erlang_c(servers: int, offered: float) -> float:
    """The chance that work has to wait; `offered` is arrivals * duration, and less than `servers`."""
    if offered <= 0:
        return 0.0
    blocked = 1.0
    for number in range(1, servers + 1):  # Erlang's B by its recursion: no factorials, no overflow
        blocked = offered * blocked / (number + offered * blocked)
    busy = offered / servers
    return blocked / (1 - busy * (1 - blocked))


def wait_ms(servers: int, per_hour: float, service_ms: float, cv2: float) -> float | None:
    """Mean wait in ms by Allen and Cunneen; `cv2` is (ca2 + cs2) / 2. None where the load is not carried."""
    offered = per_hour * service_ms / HOUR_MS
    if offered >= servers:
        return None
    return erlang_c(servers, offered) * service_ms / (servers - offered) * cv2


def _observed_ms(rows: Sequence[WorkTimeRow]) -> int:
    first = min(row.started_ms for row in rows)
    return max(row.started_ms + round(row.duration_ms or 0.0) for row in rows) - first


def _agents(side: str, of: str, rows: Sequence[WorkTimeRow], observed_ms: int) -> list[AgentLoad]:
    several = len({row.swarm_id for row in rows}) > 1
    own: dict[str, list[WorkTimeRow]] = {}
    for row in rows:
        own.setdefault(f"{row.swarm_id}/{row.agent_id}" if several else row.agent_id, []).append(row)
    found = []
    for agent, tasks in own.items():
        spans = [(t.started_ms, t.started_ms + round(t.duration_ms)) for t in tasks if t.duration_ms is not None]
        busy, whole = covered(spans), sum(stop - start for start, stop in spans)
        found.append(
            AgentLoad(
                *(side, of, agent, len(tasks), busy),
                utilisation_ratio=busy / observed_ms if observed_ms and spans else None,
                parallel=whole / busy if busy else None,
                tasks_per_hour=len(tasks) * HOUR_MS / observed_ms if observed_ms else None,
            )
        )
    return found


def _capacity(
    side: str,
    of: str,
    rows: Sequence[WorkTimeRow],
    agents: Sequence[AgentLoad],
    observed_ms: int,
    tasks_per_hour: float | None,
    utilisation_max: float,
) -> Capacity:
    service = np.array([row.duration_ms for row in rows if row.duration_ms is not None], dtype=np.float64)
    starts = np.sort(np.array([row.started_ms for row in rows], dtype=np.float64))
    base = Capacity(side, of, len(agents), len(rows), len(service), observed_ms)
    between = np.diff(starts)
    why = ""
    if len(service) < TASKS_MIN:
        why = f"{len(service)} tasks have a duration: at least {TASKS_MIN} are needed"
    elif not between.sum() or not service.sum():
        why = "all tasks began at one moment, or took no time"
    if why:
        return Capacity(side, of, base.agents, base.tasks, base.measured, observed_ms, why=why)
    arrivals = len(between) * HOUR_MS / float(between.sum())
    mean = float(service.mean())
    cv2 = [float(values.var(ddof=1)) / float(values.mean()) ** 2 for values in (between, service)]
    busy = sum(one.busy_ms for one in agents)
    slots = max(1.0, float(service.sum()) / busy) if busy else 1.0
    load = tasks_per_hour if tasks_per_hour is not None else arrivals
    offered = load * mean / HOUR_MS
    needed = _needed(offered, slots, utilisation_max)
    means, loads = _resampled(service, between, load if tasks_per_hour is not None else None)
    low, high = (
        _needed(float(q), slots, utilisation_max) for q in np.quantile(loads * means / HOUR_MS, (0.025, 0.975))
    )
    irregular = sum(cv2) / 2
    utilisation = busy / (len(agents) * observed_ms)
    verdict, why = _verdict(len(agents), needed, low, high, utilisation if tasks_per_hour is None else 0.0)
    return Capacity(
        *(side, of, len(agents), len(rows), len(service), observed_ms, arrivals, mean),
        service_low_ms=float(np.quantile(means, 0.025)),
        service_high_ms=float(np.quantile(means, 0.975)),
        arrival_cv2=cv2[0],
        service_cv2=cv2[1],
        utilisation_ratio=utilisation,
        slots_per_agent=slots,
        load_per_hour=load,
        load_ratio=offered / (len(agents) * slots),
        wait_ms=wait_ms(_slots(len(agents), slots), load, mean, irregular),
        agents_needed=needed,
        agents_needed_low=low,
        agents_needed_high=high,
        wait_then_ms=wait_ms(_slots(needed, slots), load, mean, irregular),
        verdict=verdict,
        why=why,
    )


def _slots(agents: int, slots_per_agent: float) -> int:
    return max(1, math.floor(agents * slots_per_agent + 1e-9))


def _needed(offered: float, slots: float, utilisation_max: float) -> int:
    """Agents so that the offered work is at most this share of what they can do."""
    return max(1, math.ceil(offered / (utilisation_max * slots) - 1e-9))


def _resampled(service: FloatArray, between: FloatArray, load: float | None) -> tuple[FloatArray, FloatArray]:
    """Mean durations and loads of resamples of the tasks; a stated load is not resampled."""
    random = np.random.default_rng(SEED)

    def means(values: FloatArray) -> FloatArray:
        edges = np.unique(np.linspace(0, len(values), min(len(values), BATCHES) + 1).astype(np.int64))[:-1]
        sums, sizes = np.add.reduceat(values, edges), np.diff([*edges, len(values)])
        counts = random.poisson(1.0, (DRAWS, len(sums)))
        return np.asarray((counts @ sums) / np.maximum(counts @ sizes, 1), dtype=np.float64)

    rates = np.full(DRAWS, load) if load is not None else HOUR_MS / np.maximum(means(between), 1e-9)
    return means(service), rates


def _verdict(agents: int, needed: int, low: int, high: int, utilisation: float) -> tuple[str, str]:
    if utilisation >= SATURATED:
        return "not enough data", "agents are always busy: starts say what was done, not how much there was to do"
    why = f"{needed} [{low}, {high}] needed, {agents} there"
    if agents >= high:
        return "enough", why
    if agents < low:
        return "too few", why
    return "not enough data", f"{why}: the interval holds it"
