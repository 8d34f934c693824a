"""The client and the decoder agree: what the client lets through is never a dead letter, in any wire form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import murmur.validate as client_rules
from models import events
from models.codecs import RawRecord, decode_activities, decode_metrics
from models.codecs.rules import ACTIVITY_FIELDS
from murmur.encoder import Encoder, RawMetric
from murmur.options import Options
from tests.support.awkward import ANYTHING
from tests.support.builders import NOW_MS, activity

WIRES = ("columns", "json", "json-array")
FIELDS = ("metric", "value", "timestamp_ms", "agent_id", "run_id", "unit", "tags", "priority", "source", "provenance")


def raw_metric(**overrides: Any) -> RawMetric:
    fields: dict[str, Any] = {
        "metric": "cpu_usage",
        "value": 0.5,
        "timestamp_ms": NOW_MS,
        "agent_id": "a",
        "run_id": "",
        "unit": "ratio",
        "tags": (),
        "priority": "medium",
        "category": "",
        "source": "agent",
        "provenance": "measured",
    }
    return RawMetric(**(fields | overrides))


def encoder(wire: str) -> Encoder:
    return Encoder(Options(bootstrap="localhost:1", swarm_id="s", wire=wire))  # type: ignore[arg-type]  # a parameter of the test


def in_log(records: Any) -> list[RawRecord]:
    return [RawRecord(i, NOW_MS, [("content-type", r.content_type)], r.value) for i, r in enumerate(records)]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("field", FIELDS)
def test_a_metric_that_the_client_accepts_is_decoded_in_every_wire_form(wire: str, field: str) -> None:
    accepted = 0
    for awkward in ANYTHING:
        given = tuple(awkward.items()) if field == "tags" and isinstance(awkward, Mapping) else awkward
        if field != "value" and isinstance(given, list | dict):
            continue  # unhashable arguments are refused before they are looked at
        chunk = decode_metrics(in_log(encoder(wire).metrics([raw_metric(**{field: given})])))
        assert chunk.errors == [], (field, awkward)
        accepted += chunk.n > 0
    assert accepted


@pytest.mark.parametrize("wire", WIRES)
def test_a_batch_of_the_client_arrives_event_for_event(wire: str) -> None:
    raws = [
        raw_metric(value=value, metric=metric, agent_id=agent, tags=tags, unit=unit, timestamp_ms=NOW_MS + value)
        for value, (metric, agent, tags, unit) in enumerate(
            [
                ("TASK_DURATION", "a", (), "ms"),
                ("queue_depth", "", (("k", "v"), ("é", "ü")), ""),
                ("queue_depth", "b", (("a", "1"),), "events"),
            ]
            * 4
        )
    ]
    chunk = decode_metrics(in_log(encoder(wire).metrics(raws)))
    assert chunk.errors == []
    found = [
        (chunk.series[s], chunk.labels[m].tags, chunk.labels[m].unit, float(v), int(t))
        for s, m, v, t in zip(chunk.series_idx, chunk.label_idx, chunk.value, chunk.timestamp_ms, strict=True)
    ]
    assert found == [
        (("s", r.agent_id, r.metric.lower()), tuple(sorted(r.tags)), r.unit, float(r.value), r.timestamp_ms)
        for r in raws
    ]


@pytest.mark.parametrize("field", [name for name, _, _ in ACTIVITY_FIELDS if name != "v"])
def test_an_activity_that_the_client_accepts_is_decoded(field: str) -> None:
    accepted = 0
    for awkward in ANYTHING:
        document = activity(**({"cost_usd": 1.0} | {field: awkward}))
        chunk = decode_activities(in_log(encoder("json").activities([document])))
        assert chunk.errors == [], (field, awkward)
        accepted += len(chunk.activities)
    assert accepted


def test_the_client_carries_the_same_limits_as_the_models() -> None:
    names = [name for name in dir(client_rules) if name.endswith(("_MAX", "_MIN"))]
    shared = [name for name in names if hasattr(events, name)]
    assert len(shared) >= 10
    assert {n: getattr(client_rules, n) for n in shared} == {n: getattr(events, n) for n in shared}
