"""What holds for all detectors: no chunking and no restart changes what is found, and no memory grows without bound."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codecs.records import RawRecord
from models.detect.catalogue import NAMES, SPECS
from models.detect.keyed import Keyed
from models.detect.unpriced import _Model
from models.settings import Settings
from tests.support.detecting import Event, activity, found_by, records_of
from tests.support.folds import config, new_fold, run


def _busy(seed: int, count: int) -> list[RawRecord]:
    """A swarm in which nearly everything goes wrong at some time."""
    chance = random.Random(seed)
    events: list[Event] = []
    second = 0.0
    for i in range(count):
        second += chance.choice([0.0, 1.0, 1.0, 30.0, 700.0])
        agent = f"a{chance.randrange(6)}"
        kind = chance.choice(["tool_call", "tool_call", "model_call", "message", "task", "edit", "lifecycle"])
        status = chance.choice(["completed", "completed", "failed", "failed", "running", "blocked"])
        fields: dict[str, Any] = {"agent_id": agent, "status": status, "id": f"e{chance.randrange(count)}"}
        fields["parent_agent_id"] = f"a{chance.randrange(6)}" if chance.random() < 0.8 else ""
        if kind == "tool_call":
            fields |= {
                "tool": "Bash",
                "input_hash": chance.choice("aab"),
                "error_type": "e" if status == "failed" else "",
            }
        if kind == "model_call":
            fields |= {"model": chance.choice(["x", "y"]), "input_tokens": 50_000, "output_tokens": 1}
        if kind == "message":
            other = f"a{chance.randrange(3)}"
            fields |= {"from_agent_id": agent, "to_agent_id": other, "message_type": "handoff"}
        events.append(activity(second, kind, lasted=chance.choice([0.0, 1.0]), **fields))
        if chance.random() < 0.1:
            events += [activity(second + k / 10, tool="Bash", input_hash="z", id=f"l{i}-{k}") for k in range(6)]
    return records_of(events, batch=chance.choice([1, 3]))


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(-1, 60))
def test_any_chunking_and_any_restart_find_the_same(seed: int, cuts: list[int], restart: int) -> None:
    log = _busy(seed, 90)
    state, rows = run(log, [len(log)], topic="swarm.activities")
    again, again_rows = run(log, cuts, topic="swarm.activities", restart_at=restart)
    assert rows["anomalies"]
    assert again_rows["anomalies"] == rows["anomalies"]
    assert again == state


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_every_record_says_what_it_rests_on(seed: int) -> None:
    log = _busy(seed, 90)
    _, rows = run(log, [10], topic="swarm.activities")
    assert len({row["anomaly_id"] for row in rows["anomalies"]}) == len(rows["anomalies"])
    for row in rows["anomalies"]:
        assert row["detector"] in NAMES
        assert row["reason"]
        assert row["evidence"]
        assert 0 <= row["evidence_from_offset"] <= row["evidence_to_offset"] < len(log)
        assert 0.999 <= row["score"] < 1
        assert row["value"] > row["expected_high"]


def test_the_memory_of_a_detector_forgets_the_longest_untouched_key() -> None:
    memory = Keyed(_Model, 3)
    for key in ("a", "b", "c", "a", "d"):
        memory.of(key).calls += 1
    assert [key for key, _ in memory] == [("c",), ("a",), ("d",)]
    again = Keyed(_Model, 3)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(memory.state())))
    assert msgspec.msgpack.encode(again.state()) == msgspec.msgpack.encode(memory.state())


def test_a_detector_that_is_off_finds_nothing_and_is_part_of_the_configuration() -> None:
    loop = [activity(i, tool="Bash", input_hash="z") for i in range(9)]
    off = config(detectors_off="loop, token_burn")
    assert found_by(loop, fold=new_fold("swarm.activities", using=off)) == []
    assert found_by(loop)
    assert off.fingerprint() != config().fingerprint()
    assert off.fingerprint() == config(detectors_off="token_burn,loop").fingerprint()


def test_an_unknown_detector_in_the_settings_is_said_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="'lop' is not a detector; did you mean loop"):
        Settings(detectors_off="lop")


def test_the_catalogue_gives_each_detector_its_reasons() -> None:
    assert len(set(NAMES)) == len(SPECS)
    for spec in SPECS:
        assert all((spec.finds, spec.reads, spec.delay, spec.blind)), spec.name
        assert spec.limits, spec.name
        assert all(limit.reason and limit.unit for limit in spec.limits), spec.name
