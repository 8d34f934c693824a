"""What the fold refuses, drops as repeated, and adds to an event; each rule on its edge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.windows.operator import LATE_HOLD_OFFSETS
from tests.support.folds import T0, config, new_fold, record

STAMP = [("murmur-producer", b"0123456789abcdef0123456789abcdef:0:7")]
SKEW_MS = 5_000


def metric(**fields: Any) -> dict[str, Any]:
    return {"swarm_id": "s", "agent_id": "a", "metric": "task_duration", "value": 1, "timestamp": T0} | fields


def activity(**fields: Any) -> dict[str, Any]:
    return {"id": "1", "swarm_id": "s", "kind": "task", "status": "completed", "started_at": T0 - 10} | fields


@pytest.mark.parametrize(("ahead_ms", "codes"), [(SKEW_MS, []), (SKEW_MS + 1, ["E_TIME_IN_FUTURE"])])
@pytest.mark.parametrize("topic", ["swarm.metrics", "swarm.activities"])
def test_an_event_may_be_ahead_of_its_record_by_the_skew_and_no_further(
    topic: str, ahead_ms: int, codes: list[str]
) -> None:
    at = T0 + ahead_ms
    event = metric(timestamp=at) if topic == "swarm.metrics" else activity(ended_at=at, duration_ms=1.0)
    fold = new_fold(topic, using=config(future_skew_ms=SKEW_MS))
    fold.fold([record(0, json.dumps([event]).encode(), at_ms=T0)])
    batch = fold.take_outputs().batch()
    letters = batch["dead_letters"].to_pylist() if "dead_letters" in batch else []
    assert [letter["error_code"] for letter in letters] == codes
    assert [letter["idx"] for letter in letters] == [0] * len(codes)
    assert ("windows" in batch) == (not codes)
    assert fold.watermark_ms == (-1 if codes else at)  # one fast clock makes no honest event late


def test_a_record_sent_again_counts_once_with_its_errors() -> None:
    fold = new_fold()
    half_bad = json.dumps([metric(), metric(value=None)]).encode()
    fold.fold([record(0, half_bad, headers=STAMP), record(1, half_bad, headers=STAMP)])
    fold.fold([record(2, half_bad, headers=STAMP)])
    batch = fold.take_outputs().batch()
    assert [row["offset"] for row in batch["metrics"].to_pylist()] == [0]
    assert [(row["offset"], row["idx"]) for row in batch["dead_letters"].to_pylist()] == [(0, 1)]
    assert fold.counters.duplicate_records == 2


def test_an_event_id_counts_once_a_swarm_and_metric() -> None:
    fold = new_fold()
    events = [
        metric(id="x"),
        metric(id="x"),
        metric(id="x", metric="cpu_usage"),
        metric(id="x", swarm_id="t"),
        metric(),
    ]
    fold.fold([record(0, json.dumps(events).encode())])
    fold.fold([record(1, json.dumps([metric(id="x", value=2), metric()]).encode())])
    rows = fold.take_outputs().batch()["metrics"].to_pylist()
    assert sorted((row["offset"], row["idx"]) for row in rows) == [(0, 0), (0, 2), (0, 3), (0, 4), (1, 1)]
    assert fold.counters.duplicate_events == 2


def test_an_activity_is_projected_once_and_each_of_its_versions_is_stored() -> None:
    fold = new_fold("swarm.activities")
    for offset, status in enumerate(("running", "completed", "completed")):
        ended = {} if status == "running" else {"ended_at": T0, "duration_ms": 10.0}
        fold.fold([record(offset, json.dumps(activity(status=status, **ended)).encode())])
    batch = fold.take_outputs().batch()
    assert [(row["offset"], row["ver"]) for row in batch["activities"].to_pylist()] == [
        (offset, 1 << 48 | offset) for offset in range(3)
    ]
    assert {(row["offset"], row["metric"]) for row in batch["metrics"].to_pylist()} == {
        (1, "task_duration"),
        (1, "error_rate"),
    }


def test_the_unit_is_the_events_own_else_the_catalogues_else_none() -> None:
    fold = new_fold()
    events = [
        metric(),
        metric(unit="s", agent_id="b"),
        metric(metric="my.metric"),
        metric(metric="my.metric", unit="x"),
    ]
    fold.fold([record(0, json.dumps(events).encode())])
    batch = fold.take_outputs().batch()
    assert {row["idx"]: row["unit"] for row in batch["metrics"].to_pylist()} == {0: "ms", 1: "s", 2: "", 3: "x"}
    assert {row["unit"] for row in batch["windows"].to_pylist() if row["agent_id"] == "b"} == {"s"}


@pytest.mark.parametrize(
    ("given", "cost_usd", "provenance"),
    [
        ({"model": "claude-opus-4-6", "output_tokens": 1_000_000}, 25.0, "estimated"),
        (
            {"model": "claude-opus-4-6", "output_tokens": 5, "cost_usd": 7.0, "cost_provenance": "measured"},
            7.0,
            "measured",
        ),
        ({"model": "unheard-of", "output_tokens": 1_000_000}, None, ""),
        ({"model": "claude-opus-4-6"}, None, ""),
    ],
)
def test_a_reported_cost_stands_and_a_missing_one_is_estimated_only_from_a_known_price(
    given: dict[str, Any], cost_usd: float | None, provenance: str
) -> None:
    fold = new_fold("swarm.activities")
    at = 1_770_700_000_000  # February 2026: the price list knows the model
    call = activity(kind="model_call", started_at=at, ended_at=at + 5, **given)
    fold.fold([record(0, json.dumps(call).encode(), at_ms=at + 5)])
    (row,) = fold.take_outputs().batch()["activities"].to_pylist()
    assert (row["cost_usd"], row["cost_provenance"]) == (cost_usd, provenance)


@pytest.mark.parametrize("chunk", [1, 4])
def test_a_late_generation_is_closed_from_its_first_row_and_versioned_by_its_newest_event(chunk: int) -> None:
    fold = new_fold(using=config(windows="1s"))
    far = 3 + LATE_HOLD_OFFSETS
    log = [(0, T0), (1, T0 + 60_000), (2, T0 + 1), (far, T0 + 60_000)]  # offset, event time: the third is late
    records = [record(offset, json.dumps(metric(timestamp=at)).encode(), at_ms=T0 + 60_000) for offset, at in log]
    found = []
    for start in range(0, len(records), chunk):
        fold.fold(records[start : start + chunk])
        found += [row for row in fold.take_outputs().batch()["windows"].to_pylist() if row["gen"]]
    assert [(row["gen"], row["events"], row["closed"], row["ver"]) for row in found] == [(3, 1, 1, 1 << 48 | 2)]


def test_late_events_are_counted_and_still_folded() -> None:
    fold = new_fold(using=config(windows="1s", allowed_lateness_ms=2_000))
    for offset, at in enumerate((T0, T0 + 3_000, T0 + 999, T0 + 1_000)):
        fold.fold([record(offset, json.dumps(metric(timestamp=at)).encode(), at_ms=T0 + 3_000)])
    assert fold.counters.late_events == 1  # only the first window had closed
    assert sum(row["events"] for row in fold.take_outputs().batch()["windows"].to_pylist() if row["gen"]) == 1
    assert fold.counters.events == 4


def test_names_that_only_refused_events_used_never_reach_the_state() -> None:
    fold = new_fold()
    refused = [metric(swarm_id="gone", value=None), metric(swarm_id="gone", unit="gone", timestamp=T0 + 10**9)]
    fold.fold([record(0, json.dumps([*refused, metric()]).encode())])
    assert fold.counters.dead_letters == 2
    assert b"gone" not in fold.state()
