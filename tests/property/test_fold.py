"""The fold is a pure function of the log: chunks, restarts and repetition change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.codecs.records import RawRecord
from tests.support.folds import T0, config, new_fold, record, run
from tests.support.traffic import Traffic

cuts = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@settings(max_examples=30)
@given(st.integers(0, 2**32), cuts, st.integers(-1, 80), st.sampled_from([2, 1_000]))
def test_any_chunking_and_any_restart_give_the_same_bytes_and_rows(
    seed: int, sizes: list[int], restart: int, open_windows_max: int
) -> None:
    log = _log(seed, 80)
    using = replace(config(), open_windows_max=open_windows_max)  # fewer than a setting may be
    state, rows = run(log, [len(log)], using=using)
    again, again_rows = run(log, sizes, restart_at=restart, using=using)
    assert again == state
    for table in ("metrics", "windows", "anomalies", "dead_letters"):
        assert again_rows[table] == rows[table], table


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_records_delivered_again_change_nothing(seed: int, back: int) -> None:
    log = _log(seed, 80)
    once = new_fold()
    once.fold(log)
    twice = new_fold()
    twice.fold(log[:60])
    twice.fold(log[max(0, 60 - back) :])
    assert twice.state() == once.state()
    assert twice.counters.skipped_records == min(back, 60)


@settings(max_examples=15)
@given(st.integers(0, 2**32), cuts)
def test_activities_fold_the_same_in_any_chunking(seed: int, sizes: list[int]) -> None:
    log = _activities(seed, 60)
    state, rows = run(log, [len(log)], topic="swarm.activities")
    again, again_rows = run(log, sizes, topic="swarm.activities", restart_at=20)
    assert again == state
    assert again_rows == rows


def test_rows_of_open_windows_are_replaced_by_newer_versions_of_themselves() -> None:
    fold = new_fold()
    versions = []
    for offset in range(3):
        fold.fold([record(offset, _metric(value=offset))])
        (row,) = [r for r in fold.take_outputs().batch()["windows"].to_pylist() if r["window_ms"] == 1_000]
        versions.append((row["events"], row["closed"], row["ver"] & 0xFFFF_FFFF_FFFF))
    assert versions == [(1, 0, 0), (2, 0, 1), (3, 0, 2)]


def test_a_closed_row_carries_the_offset_that_closed_it() -> None:
    fold = new_fold()
    fold.fold([record(7, _metric()), record(9, _metric(timestamp=T0 + 3_000), at_ms=T0 + 3_000)])
    rows = fold.take_outputs().batch()["windows"].to_pylist()
    (closed,) = [r for r in rows if r["closed"]]
    assert (closed["window_ms"], closed["events"], closed["ver"] & 0xFFFF_FFFF_FFFF) == (1_000, 1, 9)


def test_a_series_that_jumps_is_an_anomaly_with_its_evidence() -> None:
    fold = new_fold(using=config(windows="1s"))
    values = [100.0 + (i * 7) % 5 for i in range(40)] + [1_000.0] * 5
    for i, value in enumerate(values):
        at = T0 + i * 1_000
        fold.fold([record(i, _metric(value=value, timestamp=at), at_ms=at)])
    (anomaly,) = fold.take_outputs().batch()["anomalies"].to_pylist()
    assert anomaly["value"] == 1_000.0
    assert anomaly["expected_high"] < 200
    assert anomaly["score"] >= 0.999
    assert (anomaly["evidence_from_offset"], anomaly["evidence_to_offset"]) == (40, 40)
    assert "1,000" in anomaly["reason"] or "1000" in anomaly["reason"]


def _metric(**fields: Any) -> bytes:
    event = {"swarm_id": "s", "agent_id": "a", "metric": "task_duration", "value": 1, "timestamp": T0}
    return json.dumps(event | fields).encode()


def _log(seed: int, count: int) -> list[RawRecord]:
    """Traffic of one partition with clock steps, gaps in the offsets, and everything that goes wrong."""
    traffic = Traffic(seed, partitions=1, poison_ratio=0.05, late_ratio=0.1)
    records = []
    offset, now_ms = 0, T0
    while len(records) < count:
        now_ms += traffic.random.choice([0, 100, 700, 5_000])
        for _, headers, value in traffic.records(now_ms, 1):
            offset += traffic.random.choice([1, 1, 1, 1, 50])
            records.append(record(offset, value, at_ms=now_ms, headers=headers))
    return records


def _activities(seed: int, count: int) -> list[RawRecord]:
    random = Traffic(seed).random
    records = []
    for offset in range(count):
        at = T0 + offset * random.choice([10, 1_000])
        status = random.choice(["running", "completed", "failed"])
        events = [
            {
                "id": f"a{random.randrange(30)}",
                "swarm_id": "s",
                "agent_id": random.choice(["", "x"]),
                "kind": random.choice(["session", "task", "model_call", "tool_call"]),
                "status": status,
                "started_at": at - 500,
                "ended_at": None if status == "running" else at,
                "duration_ms": None if status == "running" else random.randrange(1_000),
                "model": random.choice(["claude-opus-4-6", "unheard-of"]),
                "input_tokens": random.randrange(1_000),
                "output_tokens": 5,
                "tags": {"k": random.choice("ab")},
            }
            for _ in range(random.choice([1, 5]))
        ]
        records.append(record(offset, json.dumps(events).encode(), at_ms=at))
    return records
