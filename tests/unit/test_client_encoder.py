"""From raw calls to records: wire forms, splitting, sampling, refusals. Read back by an independent decoder."""

from __future__ import annotations

import math
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from murmur.encoder import Encoder, RawMetric
from murmur.options import RECORD_BYTES_MAX, Options, PublisherOptions
from murmur.record import Record
from tests.support.wire import events_of

NOW_MS = 1_700_000_000_000


def raw(metric: Any = "cpu_usage", value: Any = 0.5, **changes: Any) -> RawMetric:
    fields: dict[str, Any] = {
        "timestamp_ms": NOW_MS,
        "agent_id": "a1",
        "run_id": "",
        "unit": "ratio",
        "tags": (),
        "priority": "medium",
        "category": "",
        "source": "agent",
        "provenance": "measured",
    }
    return RawMetric(metric, value, **{**fields, **changes})


def encoder(**options: Any) -> Encoder:
    return Encoder(Options(bootstrap="127.0.0.1:9", swarm_id="s1", **options))


def decoded(records: list[Record]) -> list[dict[str, Any]]:
    return [
        event
        for record in records
        for event in events_of(SimpleNamespace(value=record.value, headers=[("content-type", record.content_type)]))
    ]


def test_a_columnar_batch_gives_back_every_field_of_every_event() -> None:
    given = [
        raw(
            value=i * 0.1,
            agent_id=f"a{i % 3}",
            run_id="r",
            timestamp_ms=NOW_MS - i,
            tags=(("k", f"v{i % 2}"),),
        )
        for i in range(50)
    ]
    records = encoder(tags={"cluster": "east"}).metrics(given)
    assert [record.events for record in records] == [50]
    assert decoded(records) == [
        {
            "swarm_id": "s1",
            "agent_id": f"a{i % 3}",
            "metric": "cpu_usage",
            "run_id": "r",
            "unit": "ratio",
            "source": "agent",
            "priority": "medium",
            "category": "",
            "provenance": "measured",
            "tags": {"cluster": "east", "k": f"v{i % 2}"},
            "timestamp": NOW_MS - i,
            "value": i * 0.1,
            "weight": 1.0,
        }
        for i in range(50)
    ]


def test_the_json_forms_hold_the_same_events_and_leave_out_defaults() -> None:
    given = [raw(value=float(i)) for i in range(3)]
    expected = [
        {
            "swarm_id": "s1",
            "agent_id": "a1",
            "metric": "cpu_usage",
            "value": float(i),
            "timestamp": NOW_MS,
            "unit": "ratio",
        }
        for i in range(3)
    ]
    array, single = encoder(wire="json-array").metrics(given), encoder(wire="json").metrics(given)
    assert decoded(array) == decoded(single) == expected
    assert [record.events for record in array] == [3]
    assert [record.events for record in single] == [1, 1, 1]


def test_an_object_value_becomes_one_event_a_numeric_leaf() -> None:
    e = encoder()
    events = decoded(e.metrics([raw("cpu", {"User": 0.25, "nested": {"steal": 1}})]))
    assert [(event["metric"], event["value"]) for event in events] == [
        ("cpu.user", 0.25),
        ("cpu.nested.steal", 1.0),
    ]
    assert e.expanded == 1


def test_upper_case_metric_names_are_normalised() -> None:
    assert decoded(encoder().metrics([raw("TASK_DURATION")]))[0]["metric"] == "task_duration"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (raw(value=math.nan), "finite"),
        (raw(value=math.inf), "finite"),
        (raw(value=10**400), "finite"),
        (raw(value=True), "finite"),
        (raw(value="3"), "finite"),
        (raw(value=None), "finite"),
        (raw(value={}), "leaves"),
        (raw(value={"a": math.nan}), "finite"),
        (raw(metric="9lives"), "must match"),
        (raw(metric=""), "must match"),
        (raw(metric=7), "must match"),
        (raw(metric=["x"]), "must match"),
        (raw(timestamp_ms=1_700_000_000), "2000 and 2100"),
        (raw(timestamp_ms=1.7e12), "whole number"),
        (raw(agent_id="x" * 257), "agent_id"),
        (raw(agent_id=5), "agent_id"),
        (raw(agent_id="\ud800"), "agent_id"),
        (raw(unit="u" * 33), "unit"),
        (raw(tags=(("k", 1),)), "tag"),
        (raw(tags=(("k", ["x"]),)), "tag"),
        (raw(tags=5), "tags must be a mapping"),
        (raw(tags=tuple((f"k{i}", "v") for i in range(65))), "64 tags"),
        (raw(priority="urgent"), "priority"),
        (raw(source="martian"), "source"),
        (raw(provenance="guessed"), "provenance"),
    ],
)
def test_a_bad_event_is_counted_with_its_reason_and_the_rest_of_the_batch_goes_on(bad: RawMetric, words: str) -> None:
    e = encoder()
    records = e.metrics([raw(value=1.0), bad, raw(value=2.0)])
    assert [event["value"] for event in decoded(records)] == [1.0, 2.0]
    assert e.invalid == 1
    assert words in e.invalid_reason


def test_only_the_first_reason_is_kept() -> None:
    e = encoder()
    e.metrics([raw(value=math.nan), raw(metric="9")])
    assert e.invalid == 2
    assert "finite" in e.invalid_reason


def test_a_batch_beyond_the_broker_limit_is_halved_until_it_fits() -> None:
    given = [raw(value=float(i), tags=(("blob", f"{i:04}" + "x" * 1000),) * 1) for i in range(2000)]
    records = encoder(batch_events_max=2000).metrics(given)
    assert len(records) > 1
    assert all(len(record.value) <= RECORD_BYTES_MAX for record in records)
    assert [event["value"] for event in decoded(records)] == [float(i) for i in range(2000)]


def test_events_further_apart_than_the_time_column_reaches_go_into_separate_batches() -> None:
    times = [NOW_MS, NOW_MS - 30 * 86_400_000, NOW_MS - 30 * 86_400_000 + 1, NOW_MS]
    records = encoder().metrics([raw(timestamp_ms=t) for t in times])
    assert [record.events for record in records] == [1, 2, 1]
    assert [event["timestamp"] for event in decoded(records)] == times


@pytest.mark.parametrize(("key_by", "keys"), [("swarm", {b"s1"}), ("agent", {b"s1/a1", b"s1/a2", b"s1"})])
def test_the_record_key_is_the_swarm_or_the_agent(key_by: Any, keys: set[bytes]) -> None:
    given = [raw(agent_id=agent) for agent in ("a1", "a2", "", "a1")]
    records = encoder(key_by=key_by).metrics(given)
    assert {record.key for record in records} == keys
    assert sum(record.events for record in records) == 4


def test_sampling_counts_what_it_leaves_out_and_weighs_what_it_keeps() -> None:
    e = encoder(sampling={"low": 0.25}, sampling_seed=7)
    events = decoded(e.metrics([raw(priority="low") for _ in range(4000)] + [raw(priority="high")] * 10))
    low = [event for event in events if event["priority"] == "low"]
    assert len(low) + e.sampled == 4000
    assert {event["weight"] for event in low} == {4.0}
    # Binomial(4000, 0.25): sd 27.4; five of them around the mean.
    assert abs(len(low) - 1000) < 137
    assert [event["weight"] for event in events if event["priority"] == "high"] == [1.0] * 10


def test_the_same_seed_keeps_the_same_events() -> None:
    given = [raw(value=float(i), priority="low") for i in range(500)]

    def kept(seed: int) -> list[float]:
        e = encoder(sampling={"low": 0.5}, sampling_seed=seed)
        return [event["value"] for event in decoded(e.metrics(given))]

    assert kept(1) == kept(1) != kept(2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "nap"}, "kind"),
        ({"status": "done"}, "status"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"ended_at": NOW_MS - 1}, "before started_at"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"output_tokens": 1.5}, "output_tokens"),
        ({"cost_provenance": "measured"}, "without cost_usd"),
        ({"colour": "red"}, "colour: not a field"),
        ({"tags": {"k": 1}}, "tag"),
        ({"quality_ratio": 1.2}, "quality_ratio"),
    ],
)
def test_a_bad_activity_is_counted_with_its_field(change: dict[str, Any], words: str) -> None:
    good = {"id": "1", "swarm_id": "s1", "kind": "task", "status": "completed", "started_at": NOW_MS}
    e = encoder(tags={"cluster": "east"})
    events = decoded(e.activities([dict(good), {**good, **change}]))
    assert events == [{**good, "tags": {"cluster": "east"}}]
    assert e.invalid == 1
    assert words in e.invalid_reason


def test_unhashable_and_hostile_values_never_stop_the_batch() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

        def __float__(self) -> float:
            raise RuntimeError("no")

    e = encoder()
    hostile = [raw(value=Hostile()), raw(metric=Hostile()), raw(tags={"a": Hostile()}), raw(unit=Hostile())]
    assert [event["value"] for event in decoded(e.metrics([*hostile, raw(value=1)]))] == [1.0]
    assert e.invalid == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"swarm_id": ""}, "swarm_id"),
        ({"wire": "xml"}, "wire"),
        ({"key_by": "moon"}, "key_by"),
        ({"batch_events_max": 0}, "batch_events_max"),
        ({"sampling": {"low": 0}}, "sampling"),
        ({"sampling": {"urgent": 0.5}}, "sampling"),
        ({"tags": {"k": 1}}, "tags"),
    ],
)
def test_a_bad_option_is_refused_at_once_with_its_name_and_rule(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options(**{"bootstrap": "b:1", "swarm_id": "s", **options})


def test_a_publisher_takes_exactly_the_options_there_are() -> None:
    assert set(PublisherOptions.__annotations__) | {"bootstrap"} == {field.name for field in fields(Options)}
