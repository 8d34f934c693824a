"""The three wire forms of metric events, and the one of activities.

In: checked events. Out: the bytes of a Kafka record's value. Never: checks a rule, reads a clock.

Columnar batch, a msgpack map (docs/client.md shows it field by field): the strings once, each series and each
label set once as indexes into them, and per event four fixed-width little-endian columns.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from murmur.validate import TagItems

CONTENT_TYPE_JSON: Final = b"application/json"
CONTENT_TYPE_COLUMNS: Final = b"application/vnd.murmur.columns+msgpack"
DT_MS_MAX: Final = (1 << 31) - 1  # `dt` is a signed 32-bit column: a batch spans at most 24.8 days

_LITTLE_ENDIAN: Final = sys.byteorder == "little"
_encode_msgpack = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


class Label(NamedTuple):
    """What repeats from event to event; tags already hold the publisher's own."""

    run_id: str
    unit: str
    source: str
    priority: str
    category: str
    provenance: str
    tags: TagItems


class Event(NamedTuple):
    """One checked metric event."""

    agent_id: str
    metric: str
    value: float
    timestamp_ms: int
    label: Label
    weight: float


def encode_columns(swarm_id: str, events: Sequence[Event]) -> bytes:
    """One columnar batch. All timestamps lie within DT_MS_MAX of the first event's."""
    strings: dict[str, int] = {"": 0}
    series: dict[tuple[str, str], int] = {}
    labels: dict[Label, int] = {}
    series_idx, label_idx, dt_ms = array("I"), array("I"), array("i")
    values, weights = array("d"), array("d")
    t0 = events[0].timestamp_ms
    for agent_id, metric, value, timestamp_ms, label, weight in events:
        series_idx.append(series.setdefault((agent_id, metric), len(series)))
        label_idx.append(labels.setdefault(label, len(labels)))
        dt_ms.append(timestamp_ms - t0)
        values.append(value)
        weights.append(weight)

    def index(text: str) -> int:
        return strings.setdefault(text, len(strings))

    swarm = index(swarm_id)
    batch: dict[str, Any] = {
        "v": 1,
        "n": len(events),
        "series": [[swarm, index(agent_id), index(metric)] for agent_id, metric in series],
        "labels": [
            [*map(index, label[:6]), [[index(key), index(value)] for key, value in label.tags]] for label in labels
        ],
        "strings": list(strings),
        "series_idx": _column(series_idx),
        "label_idx": _column(label_idx),
        "t0": t0,
        "dt": _column(dt_ms),
        "value": _column(values),
    }
    if any(weight != 1.0 for weight in weights):
        batch["weight"] = _column(weights)
    return _encode_msgpack(batch)


def encode_json_array(swarm_id: str, events: Sequence[Event]) -> bytes:
    """A JSON array of metric events."""
    return _encode_json([_mapping(swarm_id, event) for event in events])


def encode_json(swarm_id: str, event: Event) -> bytes:
    """One metric event as a JSON object."""
    return _encode_json(_mapping(swarm_id, event))


def encode_activities(activities: Sequence[dict[str, Any]]) -> bytes:
    """A JSON array of activities; fields that are None or '' are left out: absent means the same."""
    return _encode_json([{k: v for k, v in activity.items() if v is not None and v != ""} for activity in activities])


def _mapping(swarm_id: str, event: Event) -> dict[str, Any]:
    """The event with its defaults left out."""
    label = event.label
    fields: dict[str, Any] = {
        "swarm_id": swarm_id,
        "metric": event.metric,
        "value": event.value,
        "timestamp": event.timestamp_ms,
    }
    for name, text, default in (
        ("agent_id", event.agent_id, ""),
        ("run_id", label.run_id, ""),
        ("unit", label.unit, ""),
        ("source", label.source, "agent"),
        ("priority", label.priority, "medium"),
        ("category", label.category, ""),
        ("provenance", label.provenance, "measured"),
    ):
        if text != default:
            fields[name] = text
    if label.tags:
        fields["tags"] = dict(label.tags)
    if event.weight != 1.0:
        fields["weight"] = event.weight
    return fields


def _column(numbers: array[Any]) -> bytes:
    if not _LITTLE_ENDIAN:
        numbers.byteswap()
    return numbers.tobytes()
