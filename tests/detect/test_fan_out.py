"""A swarm that multiplies is found by depth, by rate and by number; a large start is not."""

from __future__ import annotations

from tests.support.detecting import Event, activity, found_by, second_of, told


def _agent(second: float, name: str, parent: str = "") -> Event:
    return activity(second, "lifecycle", agent_id=name, parent_agent_id=parent, status="running")


def test_a_chain_of_spawns_is_told_with_the_first_agent_too_deep() -> None:
    chain = [_agent(i, f"a{i}", f"a{i - 1}" if i else "") for i in range(6)]
    rows = found_by(chain)
    assert told(rows) == [("runaway_fan_out", "spawn_depth", 4.0, "high")]
    assert second_of(rows[0]) == 4.0
    assert dict(rows[0]["evidence"])["newest_agent"] == "a4"


def test_spawned_agents_that_spawn_more_than_twenty_in_a_minute_are_told_once() -> None:
    leads = [_agent(0, "root"), *(_agent(1, f"lead{i}", "root") for i in range(4))]
    burst = [_agent(10 + i, f"w{i}", f"lead{i % 4}") for i in range(35)]
    rows = found_by([*leads, *burst])
    assert told(rows) == [("runaway_fan_out", "spawn_rate", 21.0, "high")]
    assert second_of(rows[0]) == 30.0


def test_a_coordinator_that_starts_eighty_agents_at_once_is_no_runaway() -> None:
    assert found_by([_agent(0, "root"), *(_agent(1 + i / 10, f"w{i}", "root") for i in range(80))]) == []


def test_the_same_workers_over_an_hour_are_no_runaway() -> None:
    slow = [_agent(60 * i, f"w{i}", "lead") for i in range(60)]
    assert found_by([_agent(0, "root"), _agent(1, "lead", "root"), *slow]) == []


def test_more_than_a_hundred_live_agents_are_told_and_again_when_they_double() -> None:
    rows = found_by([_agent(0, "root"), *(_agent(1 + i / 10, f"w{i}", "root") for i in range(250))])
    assert told(rows) == [
        ("runaway_fan_out", "live_agents", 101.0, "high"),
        ("runaway_fan_out", "live_agents", 202.0, "high"),
    ]


def test_what_an_agent_does_later_spawns_nothing() -> None:
    work = [activity(i, agent_id=f"a{i % 3}", parent_agent_id="root" if i % 3 else "") for i in range(200)]
    assert found_by(work) == []
