"""Capacity: Erlang's C against its factorials, waits against a simulated queue, needs recounted by hand."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from reports.analysis.capacity import HOUR_MS, TASKS_MIN, capacities, erlang_c, wait_ms
from reports.analysis.told import told_of_capacity
from reports.queries.measured import WorkTimeRow


def tasks(starts: np.ndarray, durations: np.ndarray, agents: int, *, role: str = "") -> list[WorkTimeRow]:
    return [
        WorkTimeRow("s", "s", f"a{n % agents}", role, int(start), float(length))
        for n, (start, length) in enumerate(zip(starts, durations, strict=True))
    ]


@pytest.mark.parametrize(("servers", "offered"), [(1, 0.5), (3, 2.0), (10, 9.0), (4, 0.01)])
def test_erlangs_c_is_its_series(servers: int, offered: float) -> None:
    top = offered**servers / math.factorial(servers) * servers / (servers - offered)
    series = sum(offered**k / math.factorial(k) for k in range(servers)) + top
    assert erlang_c(servers, offered) == pytest.approx(top / series)


def simulated_wait(servers: int, between: np.ndarray, service: np.ndarray) -> float:
    """The mean wait of one queue with several servers, task by task."""
    free = [0.0] * servers
    waits = []
    for arrival, length in zip(np.cumsum(between), service, strict=True):
        begin = max(arrival, heapq.heappop(free))
        waits.append(begin - arrival)
        heapq.heappush(free, begin + length)
    return float(np.mean(waits))


@pytest.mark.parametrize(("spread", "tolerance"), [("exponential", 0.1), ("constant", 0.2), ("wide", 0.35)])
def test_the_estimated_wait_is_that_of_a_simulated_queue(spread: str, tolerance: float) -> None:
    random = np.random.default_rng(11)
    n, servers, mean = 300_000, 4, 1_000.0
    service = {
        "exponential": random.exponential(mean, n),
        "constant": np.full(n, mean),
        "wide": random.lognormal(math.log(mean) - 0.5, 1.0, n),
    }[spread]
    between = random.exponential(mean / (servers * 0.8), n)
    cv2 = (between.var() / between.mean() ** 2 + service.var() / service.mean() ** 2) / 2
    estimate = wait_ms(servers, HOUR_MS / between.mean(), service.mean(), cv2)
    assert estimate == pytest.approx(simulated_wait(servers, between, service), rel=tolerance)


def test_a_load_beyond_the_agents_waits_without_end() -> None:
    assert wait_ms(2, 100.0, HOUR_MS / 40, 1.0) is None


def test_agents_needed_are_the_offered_work_over_the_share_to_plan_for() -> None:
    random = np.random.default_rng(12)
    starts = np.cumsum(random.exponential(60_000, 400))  # 60 an hour
    rows = tasks(starts, random.exponential(90_000, 400), agents=6)
    ((pool,), loads) = capacities(rows, "swarm", tasks_per_hour=200.0)
    assert pool.service_ms is not None
    assert pool.slots_per_agent is not None
    assert pool.arrivals_per_hour == pytest.approx(60, rel=0.15)
    offered = 200 * pool.service_ms / HOUR_MS
    assert pool.agents_needed == math.ceil(offered / (0.8 * pool.slots_per_agent))
    assert pool.agents_needed_low is not None
    assert pool.agents_needed_high is not None
    assert pool.agents_needed_low <= pool.agents_needed <= pool.agents_needed_high
    assert pool.load_ratio == pytest.approx(offered / (6 * pool.slots_per_agent))
    assert len(loads) == 6
    assert loads[0].utilisation_ratio is not None
    assert sum(one.busy_ms for one in loads) / (6 * pool.observed_ms) == pytest.approx(pool.utilisation_ratio)
    (text,) = [one.text for one in told_of_capacity((pool,))]
    assert "if like agents share one queue and the load stays as it is" in text


def test_the_interval_of_the_agents_needed_holds_in_most_samples() -> None:
    random = np.random.default_rng(13)
    right = math.ceil(500 * 100_000 / HOUR_MS / 0.8)
    held = 0
    for _ in range(60):
        starts = np.arange(80) * 200_000.0  # far apart: one task at a time
        ((pool,), _) = capacities(tasks(starts, random.exponential(100_000, 80), 4), "swarm", tasks_per_hour=500.0)
        assert pool.agents_needed_low is not None
        assert pool.agents_needed_high is not None
        assert pool.slots_per_agent is not None
        held += pool.agents_needed_low * pool.slots_per_agent <= right + 1 and pool.agents_needed_high >= right - 1
    assert held >= 0.88 * 60


def test_an_agent_that_works_on_two_tasks_at_once_is_busy_once() -> None:
    rows = tasks(np.arange(40) * 1_000.0, np.full(40, 2_000.0), agents=1)
    ((pool,), (agent,)) = capacities(rows, "swarm", tasks_per_hour=None)
    assert agent.utilisation_ratio == 1.0
    assert agent.parallel == pytest.approx(80_000 / 41_000)
    assert pool.slots_per_agent == pytest.approx(agent.parallel)
    assert pool.verdict == "not enough data", "always busy: the starts hide how much more there was to do"


def test_too_little_is_said_and_roles_are_pools_of_their_own() -> None:
    few = tasks(np.arange(5) * 1_000.0, np.full(5, 10.0), agents=2, role="tester")
    many = tasks(np.arange(40) * 1_000.0, np.full(40, 100.0), agents=2, role="coder")
    pools, _ = capacities([*few, *many], "role", tasks_per_hour=None)
    found = {one.of: one for one in pools}
    assert found["tester"].why == f"5 tasks have a duration: at least {TASKS_MIN} are needed"
    assert found["tester"].agents_needed is None
    assert found["coder"].verdict == "enough"
    at_once = [WorkTimeRow("s", "s", "a", "", 0, 10.0)] * 30
    ((pool,), _) = capacities(at_once, "swarm", tasks_per_hour=None)
    assert pool.why == "all tasks began at one moment, or took no time"
