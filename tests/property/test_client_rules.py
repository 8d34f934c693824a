"""The client refuses exactly what the worker would dead-letter, and what it sends is what the worker accepts."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.events import ActivityEvent, MetricEvent
from murmur.encoder import Encoder, RawMetric
from murmur.options import Options
from tests.support.wire import events_of

WIRES = st.sampled_from(["columns", "json", "json-array"])
NOW_MS = 1_700_000_000_000
text = st.text(max_size=8) | st.sampled_from(["", "a1", "\x00", "\ud800", "x" * 33, "x" * 257, "é"])
numbers = (
    st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3) | st.just(10**400) | st.just(-0.0)
)
timestamps = st.integers(NOW_MS - 10**10, NOW_MS + 10**10) | st.sampled_from(
    [0, 946_684_799_999, 946_684_800_000, 4_102_444_800_000, 4_102_444_800_001, 1_700_000_000]
)
metrics = st.sampled_from(["cpu_usage", "TASK_DURATION", "a", "9", "", "a b", "a.b_c9", "a" * 128, "a" * 129, "é"])
tags = st.dictionaries(text, text | st.integers(0, 3), max_size=3)


def choice(*values: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*values, "other", ""])


def encoder(wire: Any) -> Encoder:
    return Encoder(Options(bootstrap="127.0.0.1:9", swarm_id="s", wire=wire))


metric_values: dict[str, st.SearchStrategy[Any]] = {
    "metric": metrics,
    "value": numbers,
    "timestamp_ms": timestamps,
    "agent_id": text,
    "run_id": text,
    "unit": text,
    "tags": tags,
    "priority": choice("high", "medium", "low"),
    "category": choice("performance", "error"),
    "source": choice("agent", "neural"),
    "provenance": choice("measured", "declared"),
}
GOOD_METRIC: dict[str, Any] = {
    "metric": "cpu_usage",
    "value": 0.5,
    "timestamp_ms": NOW_MS,
    "agent_id": "a1",
    "run_id": "",
    "unit": "ratio",
    "tags": {},
    "priority": "medium",
    "category": "",
    "source": "agent",
    "provenance": "measured",
}


def one_or_two_of(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Changes of a good event: with more at once nearly all would be refused, and for the same few reasons."""
    names = st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=2, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: values[name] for name in chosen}))


@settings(max_examples=800)
@given(wire=WIRES, changes=one_or_two_of(metric_values))
@example(wire="columns", changes={"value": 1e100})
@example(wire="columns", changes={"value": 1.1e100})
@example(wire="columns", changes={"value": -1.1e100})
def test_the_client_accepts_exactly_the_metric_events_the_model_accepts(wire: Any, changes: dict[str, Any]) -> None:
    fields = {**GOOD_METRIC, **changes}
    e = encoder(wire)
    records = e.metrics([RawMetric(**{**fields, "tags": tuple(fields["tags"].items())})])
    document = {**fields, "swarm_id": "s", "timestamp": fields["timestamp_ms"]}
    try:
        expected = MetricEvent.model_validate(document)
    except ValidationError:
        assert records == []
        assert e.invalid == 1
        assert e.invalid_reason
        return
    assert e.invalid == 0, e.invalid_reason
    (record,) = records
    (event,) = events_of(SimpleNamespace(value=record.value, headers=[("content-type", record.content_type)]))
    assert MetricEvent.model_validate(event) == expected


activity_values: dict[str, st.SearchStrategy[Any]] = {
    "kind": choice("task", "session", "tool_call"),
    "status": choice("running", "completed", "failed"),
    "started_at": timestamps,
    "ended_at": timestamps | st.none(),
    "role": text | st.just("r" * 1025),
    "task_id": text,
    "duration_ms": numbers | st.floats(0, 1e13),
    "output_tokens": st.integers(-1, 2**54) | st.none() | st.just(1.5) | st.booleans(),
    "cost_usd": numbers | st.floats(-1, 10),
    "cost_provenance": choice("measured", "estimated"),
    "quality_ratio": st.floats(-0.5, 1.5) | st.none(),
    "success": st.booleans() | st.none() | st.just(1),
    "tags": tags,
}
GOOD_ACTIVITY = {"id": "i", "swarm_id": "s", "kind": "task", "status": "completed", "started_at": NOW_MS}


@settings(max_examples=800)
@given(changes=one_or_two_of(activity_values))
@example(changes={"cost_usd": 1e101})
def test_the_client_accepts_exactly_the_activities_the_model_accepts(changes: dict[str, Any]) -> None:
    e = encoder("columns")
    document = {**GOOD_ACTIVITY, **changes}
    records = e.activities([dict(document)])
    try:
        expected = ActivityEvent.model_validate(document)
    except ValidationError:
        assert records == []
        assert e.invalid == 1
        return
    assert e.invalid == 0, e.invalid_reason
    (record,) = records
    (sent,) = json.loads(record.value)
    assert ActivityEvent.model_validate(sent) == expected
