"""A swarm is judged as a whole: several agents at once are told once, one alone is its own matter."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from models.codecs.records import RawRecord
from streams.fold import PartitionFold
from streams.swarm_scoring import SwarmBank
from tests.support.folds import T0, new_fold, record

AGENTS = 8
WINDOW_MS = 1_000
CHUNK = 20  # records


def log(seconds: int, faulty: set[int], *, fault_from: int) -> list[RawRecord]:
    """Every agent tells its queue once a second; from then on the faulty ones tell a tenfold one."""
    noise = random.Random(5)
    records = []
    for second in range(seconds):
        events = [
            {
                "swarm_id": "s",
                "agent_id": f"a{agent}",
                "metric": "queue_depth",
                "value": noise.gauss(100, 5) * (10 if agent in faulty and second >= fault_from else 1),
                "timestamp": T0 + second * WINDOW_MS,
            }
            for agent in range(AGENTS)
        ]
        records.append(record(second, msgspec.json.encode(events), at_ms=T0 + second * WINDOW_MS))
    return records


def anomalies(fold: PartitionFold, records: list[RawRecord]) -> list[dict[str, Any]]:
    for start in range(0, len(records), CHUNK):
        fold.fold(records[start : start + CHUNK])
    table = fold.take_outputs().batch().get("anomalies")
    return [] if table is None else table.to_pylist()


def whole(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["detector"] == "combination"]


def test_a_fault_that_several_agents_share_is_told_once_for_the_swarm() -> None:
    rows = whole(anomalies(new_fold(), log(120, {1, 4, 6}, fault_from=80)))
    (row,) = rows
    assert row["window_start"].timestamp() * 1_000 == T0 + 80 * WINDOW_MS
    assert (row["swarm_id"], row["agent_id"], row["metric"]) == ("s", "", "combined")
    assert row["value"] > row["expected_high"] == pytest.approx(3.0)
    assert all(f"a{agent} queue_depth" in row["reason"] for agent in (1, 4, 6))
    assert dict(row["evidence"])["agents"] == str(AGENTS)
    assert row["evidence_from_offset"] == row["evidence_to_offset"] == 80


def test_what_one_agent_does_alone_is_no_matter_of_the_swarm() -> None:
    rows = anomalies(new_fold(), log(120, {1}, fault_from=80))
    assert {row["agent_id"] for row in rows} == {"a1"}


def test_one_agent_is_one_voice_however_many_metrics_say_the_same() -> None:
    bank = SwarmBank(swarms_max=10, idle_ms=60_000, score_min=0.999)
    alone = {"a": [1 - 1e-9] * 5, "b": [0.9, 0.5]}
    assert bank.judge("s", alone, T0, WINDOW_MS) is None
    together = bank.judge("s", {"a": [1 - 1e-9] * 5, "b": [1 - 1e-8, 0.5]}, T0 + WINDOW_MS, WINDOW_MS)
    assert together is not None
    assert together.alarm


def test_a_quiet_swarm_is_left_alone() -> None:
    assert anomalies(new_fold(), log(300, set(), fault_from=0)) == []


def test_a_restored_state_goes_on_as_if_nothing_had_happened() -> None:
    records = log(120, {1, 4, 6}, fault_from=80)
    straight = anomalies(new_fold(), records)
    first, second = new_fold(), new_fold()
    before = anomalies(first, records[:83])
    second.restore(first.state())
    assert before + anomalies(second, records[83:]) == straight
