"""Heartbeats that stop, records that never arrive, memory that only grows: found, and the quiet left alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.codecs.records import HEADER_PRODUCER, RawRecord
from models.detect.heartbeat import HeartbeatDetector, first_of_each_step
from models.detect.memory_leak import theil_sen
from models.detect.telemetry_gap import CONFIRM_RECORDS
from tests.support.detecting import S, named, second_of, told
from tests.support.folds import T0, config, new_fold, record

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "claude_flow"
PRODUCER = "0123456789abcdef0123456789abcdef"


def _metric(second: float, metric: str, value: float, agent: str = "a") -> RawRecord:
    at = T0 + round(second * S)
    event = {"swarm_id": "s", "agent_id": agent, "metric": metric, "value": value, "timestamp": at}
    return RawRecord(0, at, (), json.dumps(event).encode())


def _numbered(records: Iterable[RawRecord]) -> list[RawRecord]:
    """In the order of their time, with offsets."""
    ordered = sorted(records, key=lambda r: r.timestamp_ms)
    return [RawRecord(i, r.timestamp_ms, r.headers, r.value) for i, r in enumerate(ordered)]


def _found(records: Iterable[RawRecord], **settings: Any) -> list[dict[str, Any]]:
    fold = new_fold(using=config(**({"windows": "10s"} | settings)))
    fold.fold(_numbered(records))
    return named(fold)


def _beats(agent: str, every: float, until: float, *, since: float = 0.0, seed: int = 0) -> list[RawRecord]:
    chance, at, beats = random.Random(f"{agent}{seed}"), since, []
    while at < until:
        beats.append(_metric(at, "agent_heartbeat", 1, agent))
        at += every * chance.uniform(0.9, 1.1)
    return beats


def test_an_agent_whose_heartbeats_stop_is_offline_and_told_once() -> None:
    for seed in range(10):
        rows = _found([*_beats("a", 5, 200, seed=seed), *_beats("b", 5, 900, seed=seed)])
        assert told(rows) == [("agent_offline", "heartbeat_gap", rows[0]["value"], "high")], seed
        assert rows[0]["agent_id"] == "a"
        assert 200 + 5 < second_of(rows[0]) < 200 + 3 * 8 + 6  # twice the wait of 5 + 5.6 * 0.5 s, and one beat of b
        assert "phi" in rows[0]["reason"]


def test_each_agent_is_judged_by_its_own_interval() -> None:
    rows = _found([*_beats("fast", 1, 60), *_beats("slow", 60, 1_800), *_beats("b", 5, 1_800)])
    assert [row["agent_id"] for row in rows] == ["fast"]
    assert second_of(rows[0]) < 70


def test_regular_agents_are_never_offline() -> None:
    agents = [beat for i in range(20) for beat in _beats(f"a{i}", 2 + i, 3_600)]
    assert _found(agents) == []


def test_a_log_that_stopped_for_an_hour_takes_no_agent_for_offline() -> None:
    before = [beat for i in range(10) for beat in _beats(f"a{i}", 5, 300)]
    after = [beat for i in range(10) for beat in _beats(f"a{i}", 5, 4_200, since=3_900 + i / 2, seed=1)]
    assert _found([*before, *after]) == []


def test_an_agent_that_signs_off_is_not_offline() -> None:
    off = _metric(201, "agent_heartbeat", 0, "a")
    assert _found([*_beats("a", 5, 200), off, *_beats("b", 5, 900)]) == []


def test_an_agent_that_comes_back_and_goes_again_is_told_again() -> None:
    rows = _found([*_beats("a", 5, 200), *_beats("a", 5, 700, since=500), *_beats("b", 5, 1_200)])
    assert [row["agent_id"] for row in rows] == ["a", "a"]


def test_an_agent_that_beats_many_times_a_second_is_judged_by_its_seconds() -> None:
    """Batches of several agents come one after the other: 50 beats in a second, then those of another agent."""
    bursts = [
        _metric(second + n / 50, "agent_heartbeat", 1, agent)
        for second in range(120)
        for agent in "ab"
        for n in range(50)
        if second < 100 or agent == "b"
    ]
    rows = _found(bursts)
    assert [(row["agent_id"], row["detector"]) for row in rows] == [("a", "agent_offline")]
    assert 100 < second_of(rows[0]) < 110


def test_what_is_left_out_before_the_memory_is_what_it_would_pass_over() -> None:
    random_ = random.Random(3)
    for trial in range(200):
        count = random_.randrange(1, 60)
        series = np.array([random_.randrange(3) for _ in range(count)])
        times = np.array([random_.randrange(4_000) for _ in range(count)])  # not in order of their time
        values = np.array([random_.choice([1.0, 1.0, 1.0, 0.0 if trial % 3 == 0 else 1.0]) for _ in range(count)])
        every, kept = HeartbeatDetector(), HeartbeatDetector()
        for detector, at in ((every, range(count)), (kept, first_of_each_step(series, values, times).tolist())):
            for i in at:
                detector.beat("s", str(series[i]), values[i], int(times[i]), i)
        assert kept.state() == every.state(), trial


def _stamped(numbers: Iterable[int]) -> list[RawRecord]:
    value = {"swarm_id": "s", "agent_id": "a", "metric": "cpu_usage", "value": 0.5}
    return [
        record(
            i,
            json.dumps(value | {"timestamp": T0 + i * 10}).encode(),
            at_ms=T0 + i * 10,
            headers=[(HEADER_PRODUCER, f"{PRODUCER}:0:{number}".encode())],
        )
        for i, number in enumerate(numbers)
    ]


def test_numbers_that_never_come_are_a_gap_with_their_range() -> None:
    fold = new_fold()
    fold.fold(_stamped([*range(100), *range(130, 130 + CONFIRM_RECORDS + 50)]))
    (row,) = named(fold)
    assert told([row]) == [("telemetry_gap", "missing_records", 30.0, "medium")]
    assert row["swarm_id"] == "s"
    evidence = dict(row["evidence"])
    assert (evidence["first_missing"], evidence["last_missing"]) == ("100", "129")
    assert row["evidence_from_offset"] == 100


def test_records_out_of_order_repeated_or_from_the_middle_of_a_log_are_no_gap() -> None:
    chance = random.Random(5)
    numbers = sorted(range(7_000, 9_000), key=lambda n: n + chance.uniform(0, 400))
    numbers += chance.sample(range(8_000, 9_000), 200)
    fold = new_fold()
    fold.fold(_stamped(numbers))
    assert named(fold) == []


def _memory(levels: Iterable[float]) -> list[RawRecord]:
    """One sample in ten seconds."""
    return [_metric(i * 10, "memory_usage", level) for i, level in enumerate(levels)]


def _noise(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, count)


@pytest.mark.parametrize("seed", range(5))
def test_memory_that_only_grows_is_a_leak_and_the_same_without_growth_is_none(seed: int) -> None:
    noise = 2e6 * _noise(seed, 720)
    steady = _found(_memory(300e6 + noise))
    (row,) = _found(_memory(300e6 + noise + np.arange(720) * 0.3e6))  # 108 MB an hour: 20 % within 33 minutes
    assert steady == []
    assert (row["detector"], row["unit"]) == ("memory_leak", "bytes")
    assert 1_800 <= second_of(row) <= 3_000
    evidence = {name: float(value) for name, value in row["evidence"]}
    assert evidence["slope_low"] < 108e6 < evidence["slope_high"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda i: 300e6 + 200e6 * min(1.0, i / 90),  # a start: fifteen minutes of growth, then level
        lambda i: 300e6 + 1e6 * (i % 120),  # a sawtooth of twenty minutes
        lambda i: 300e6 + (200e6 if i > 400 else 0.0),  # a step
        lambda i: 500e6 - 0.3e6 * i,  # it falls
    ],
    ids=["start", "sawtooth", "step", "fall"],
)
def test_starts_sawteeth_and_steps_are_no_leaks(shape: Any) -> None:
    noise = 2e6 * _noise(7, 1_440)
    assert _found(_memory([shape(i) + noise[i] for i in range(1_440)])) == []


def test_the_slope_and_its_interval_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    at = np.arange(60.0)
    level = 3.0 * at + 10 * _noise(11, 60)
    slope, low, high, tau = theil_sen(at, level)
    expected = stats.theilslopes(level, at, alpha=0.999)
    assert slope == pytest.approx(expected.slope)
    assert (low, high) == pytest.approx((expected.low_slope, expected.high_slope), rel=0.02)
    assert tau == pytest.approx(stats.kendalltau(at, level).statistic)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/data/claude_flow is not here")
def test_real_hosts_and_what_is_said_of_their_memory(record_property: Any) -> None:
    found = {}
    for path in sorted(SAMPLES.rglob("*system-metrics*.json")):
        samples = json.loads(path.read_text())
        records = [
            RawRecord(
                0,
                int(sample["timestamp"]),
                (),
                json.dumps(
                    {
                        "swarm_id": path.parent.name,
                        "metric": "memory_usage",
                        "value": sample["memoryUsed"],
                        "timestamp": int(sample["timestamp"]),
                    }
                ).encode(),
            )
            for sample in samples
        ]
        found[str(path.relative_to(SAMPLES))] = [row["reason"] for row in _found(records)]
    assert found
    record_property("figures", f"memory_leak on real hosts: {found}")
    assert sum(map(len, found.values())) <= 2


def _batch(second: float, swarm: str, metric: str, agents: Iterable[str]) -> RawRecord:
    at = T0 + round(second * S)
    events = [{"swarm_id": swarm, "agent_id": a, "metric": metric, "value": 1, "timestamp": at} for a in agents]
    return RawRecord(0, at, (), json.dumps(events).encode())


def test_a_flood_of_made_up_names_is_found_where_it_comes_from_and_told_once_while_it_lasts() -> None:
    honest = [f"honest-{n}" for n in range(100)]
    records = []
    for step in range(12):  # six minutes
        names = [f"{step}-{n}" for n in range(1_200)]
        records += [
            _batch(step * 30, "s", "cost_usd", honest[:50]),
            _batch(step * 30 + 1, "noisy", "request_duration", names),
            _batch(step * 30 + 2, "s", "cost_usd", honest),  # the first that finds no room may be one of them
        ]
    rows = _found(records, open_windows_max=1_000)
    assert told(rows) == [("name_flood", "open_windows", 1_001, "high")]
    (row,) = rows
    assert (row["swarm_id"], row["agent_id"]) == ("noisy", "")
    assert dict(row["evidence"]) == {
        "flooding_metric": "request_duration",
        "windows_of_it": "950",
        "windows_open": "1000",
        "first_agent_without_room": "0-950",
    }
    assert second_of(row) == 1
    later = [_batch(700, "noisy", "request_duration", (f"later-{n}" for n in range(1_200)))]
    assert len(_found([*records, *later], open_windows_max=1_000)) == 2


def test_series_whose_last_and_next_window_find_room_together_are_no_flood() -> None:
    agents = [f"a{n}" for n in range(500)]
    assert _found([_batch(step * 30, "s", "cost_usd", agents) for step in range(10)], open_windows_max=1_000) == []
