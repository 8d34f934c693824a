"""Spikes of errors, cost and latency: found within the stated delay, and not where there is none."""

from __future__ import annotations

import random
from typing import Any

from models.detect.error_spike import binomial_tail
from tests.support.detecting import Event, activity, found_by, second_of, told

HOUR = 3_600


def _outcomes(shares: list[tuple[int, float]], *, seed: int = 1, every: float = 5.0) -> list[Event]:
    """So many tool calls of which such a share fails, one after the other."""
    chance = random.Random(seed)
    events: list[Event] = []
    for count, share in shares:
        for _ in range(count):
            failed = chance.random() < share
            fields = {"status": "failed", "error_type": "timeout"} if failed else {}
            events.append(
                activity(len(events) * every, tool=f"T{len(events) % 7}", input_hash=str(len(events)), **fields)
            )
    return events


def test_work_that_begins_to_fail_is_told_within_a_dozen_outcomes() -> None:
    for seed in range(20):
        rows = found_by(_outcomes([(200, 0.02), (60, 0.9), (100, 0.02)], seed=seed))
        spikes = [row for row in rows if row["detector"] == "error_rate_spike"]
        assert len(spikes) == 1, seed
        assert 200 * 5 <= second_of(spikes[0]) <= 212 * 5, seed
        assert dict(spikes[0]["evidence"])["most"].endswith("timeout")


def test_failures_at_the_usual_rate_are_silent() -> None:
    for seed in range(20):
        rows = found_by(_outcomes([(1_000, 0.15)], seed=seed))
        assert told(rows, "error_rate_spike") == [], seed


def _calls_of_one_tool(share: float, *, every: float, agents: int = 1) -> list[Event]:
    """Clean work of many tools, then 200 calls of one tool of which such a share fails."""
    chance = random.Random(2)
    events = _outcomes([(200, 0.02)])
    for i in range(200):
        fields = {"status": "failed", "error_type": "refused"} if chance.random() < share else {}
        events.append(activity(1_000 + i * every, tool="Fetch", input_hash=str(i), agent_id=f"a{i % agents}", **fields))
    return events


def test_parallel_calls_that_fail_of_one_cause_are_one_failure() -> None:
    events = _outcomes([(200, 0.02), (4, 1.0)])
    read = {"tool": "Read", "status": "failed", "error_type": "timeout"}
    events += [activity(1_020 + i * 0.2, input_hash=f"r{i}", **read) for i in range(8)]
    assert told(found_by(events), "error_rate_spike") == []


def test_a_tool_that_keeps_failing_is_told_however_fast_it_is_called() -> None:
    for share, every, agents in ((1.0, 0.1, 1), (0.5, 0.1, 1), (1.0, 0.01, 20)):
        spikes = [
            r for r in found_by(_calls_of_one_tool(share, every=every, agents=agents)) if r["metric"] == "error_rate"
        ]
        assert len(spikes) == 1, (share, every, agents)
        assert second_of(spikes[0]) <= 1_000 + 20


def test_the_tail_of_the_binomial_law_is_the_sum_of_its_terms() -> None:
    from math import comb, isclose

    for k, n, p in ((0, 5, 0.3), (5, 5, 0.1), (7, 50, 0.02), (20, 50, 0.5)):
        assert isclose(
            binomial_tail(k, n, p), sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), rel_tol=1e-9
        )


def _spending(usd_of_hour: list[float]) -> list[Event]:
    """Twenty calls an hour that cost so much together."""
    return [
        activity(
            hour * HOUR + i * 170,
            "model_call",
            model="m",
            cost_usd=usd / 20,
            cost_provenance="declared",
            input_tokens=1,
            duration_ms=1_000.0,
        )
        for hour, usd in enumerate(usd_of_hour)
        for i in range(20)
    ]


def test_an_hour_of_more_than_twice_the_usual_cost_is_told_as_soon_as_it_is_spent() -> None:
    rows = found_by(_spending([4.0, 5.0, 4.5, 4.2, 30.0, 5.0]))
    assert [(d, severity) for d, _, _, severity in told(rows)] == [("cost_spike", "medium"), ("cost_spike", "high")]
    row = rows[0]  # the second: twice as much again
    assert 4 * HOUR < second_of(row) < 4.5 * HOUR
    assert dict(row["evidence"])["usual_hour_usd"] == "4.6875"  # the dearest 60 minutes of each hour, their median
    assert row["value"] > 2 * 4.6875


def test_usual_hours_cheap_hours_and_the_first_hours_are_silent() -> None:
    assert found_by(_spending([4.0, 5.0, 4.5, 4.2, 7.5, 5.0])) == []
    assert found_by(_spending([0.04, 0.05, 0.04, 0.04, 0.9])) == []
    assert found_by(_spending([4.0, 30.0])) == []


def test_a_swarm_that_works_in_bursts_is_used_to_dear_hours() -> None:
    assert found_by(_spending([1.0, 9.0, 2.0, 10.0, 1.0, 8.0, 2.0, 9.0, 11.0])) == []


def _calls(medians: list[tuple[int, float]], *, seed: int) -> list[Event]:
    chance = random.Random(seed)
    durations = [median * chance.lognormvariate(0, 0.7) for count, median in medians for _ in range(count)]
    return [
        activity(i * 10, "model_call", model="claude", cost_usd=0.01, cost_provenance="declared", duration_ms=ms)
        for i, ms in enumerate(durations)
    ]


def test_a_model_that_answers_three_times_slower_is_told_within_thirty_calls() -> None:
    found = [found_by(_calls([(150, 4_000), (60, 12_000)], seed=seed)) for seed in range(20)]
    shifts = [[row for row in rows if row["detector"] == "latency_shift"] for rows in found]
    assert all(len(rows) <= 1 for rows in shifts)
    assert sum(1_500 < second_of(rows[0]) <= 1_800 for rows in shifts if rows) >= 17  # a scatter as wide as the shift
    assert "median went from" in shifts[0][0]["reason"]


def test_a_model_that_answers_five_times_slower_is_told_within_twenty_five_calls() -> None:
    for seed in range(20):
        (row,) = [r for r in found_by(_calls([(150, 4_000), (60, 20_000)], seed=seed)) if r["detector"] != "token_burn"]
        assert row["detector"] == "latency_shift", seed
        assert 1_500 < second_of(row) <= 1_750, seed


def test_durations_that_only_scatter_are_silent() -> None:
    silent = [told(found_by(_calls([(600, 4_000)], seed=seed)), "latency_shift") for seed in range(20)]
    assert silent == [[]] * 20


def test_a_handful_of_very_slow_calls_is_no_shift() -> None:
    calls: list[Any] = _calls([(150, 4_000), (5, 90_000), (100, 4_000)], seed=3)
    assert told(found_by(calls), "latency_shift") == []
