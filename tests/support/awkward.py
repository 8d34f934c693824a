"""Awkward JSON values, and the reference every decoder is compared with: the pydantic models.

In: nothing. Out: fixed pools of values at and beyond every limit; hypothesis strategies over them; normal forms.
Never: calls the fast decoders itself.
"""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from models.codecs import MetricChunk
from models.codecs.edge import parse_metric_event
from models.events import MetricEvent
from tests.support.builders import NOW_MS

TEXTS: list[str] = [
    *("", "a", "CPU_Usage", "cpu usage", "cpu.usage", "1a", "İ", "\u212a", "a\x00b", "\ud800", "\U0001f600", "\u2028"),
    *("\\u0000", '"', "\t", "x" * 32, "x" * 33, "x" * 128, "x" * 129, "x" * 256, "x" * 257, "é" * 256, "é" * 257),
    *("x" * 1024, "x" * 1025, "agent", "high", "error", "measured", "running", "completed", "model_call", "nonsense"),
]
NUMBERS: list[int | float] = [
    *(0, -0.0, 0.0, 1, 1.0, 2, -1, 0.5, 1.0000001, 1e-320, 1e99, 1e100, -1e100, 1.1e100, -1.1e100, 1e308, 10**100),
    *(10**101, 10**309, 10**400, -(10**400), 2**53, 2**53 + 1, 2**53 + 2, 2**63, 2**64, math.nan, math.inf, -math.inf),
    *(NOW_MS, float(NOW_MS), NOW_MS // 1000, NOW_MS * 1000, NOW_MS - 1, 946_684_799_999, 946_684_800_000),
    *(4_102_444_800_000, 4_102_444_800_001, 1e9, 1e9 + 1, 1_000_000_001, 1e12, 1e12 + 1),
]
OBJECTS: list[Any] = [
    *({}, {"a": "b"}, {"a": 1}, {"a": None}, {"": "b"}, {"a\x00": "b"}, {"a": "b\x00"}, {"\ud800": "b"}),
    *({"a": "\udfff"}, {"x" * 128: "y" * 1024}, {"x" * 129: "y"}, {"x": "y" * 1025}, {"a": {"b": "c"}}, {"a": ["b"]}),
    *({"a": True}, {"p50": 1, "P95": 2.5}, {"p50": 1, "P50": 1}, {"a": {"b": 1}, "a.b": 2}, {"": 1}, {"p 50": 1}),
    *({"a": {}}, {"a": math.nan}, {"a": 1e101}, {"a": 10**400}, {"a": [1]}, {"\x00": 1}, {"\ud800": 1}),
    *({"x" * 118: 1}, {"x" * 119: 1}, [], [1], ["a"], [{}]),
    *({f"k{i}": "v" for i in range(n)} for n in (64, 65)),
    *({f"k{i}": i for i in range(n)} for n in (256, 257)),
    *(json.loads('{"a":' * depth + "1" + "}" * depth) for depth in (8, 9)),
]
ANYTHING: list[Any] = [*TEXTS, *NUMBERS, *OBJECTS, True, False, None]

texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=5))
numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(), st.floats())
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
values = st.one_of(
    st.sampled_from(ANYTHING),
    scalars,
    st.dictionaries(texts, st.one_of(texts, scalars), max_size=3),
    st.recursive(numbers, lambda inner: st.dictionaries(texts, inner, max_size=3), max_leaves=6),
)


def changed(base: dict[str, Any], names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A valid event with a few fields replaced by anything, perhaps one left out, perhaps an unknown one added."""
    return st.builds(
        lambda over, gone, extra: {k: v for k, v in {**base, **over, **extra}.items() if k not in gone},
        st.dictionaries(st.sampled_from(names), values, max_size=3),
        st.sets(st.sampled_from(names), max_size=1),
        st.dictionaries(st.sampled_from(["extra", "Value", ""]), values, max_size=1),
    )


def reference_metrics(document: Any) -> list[MetricEvent] | None:
    """What the pydantic models make of a decoded JSON value; None when they reject it."""
    try:
        return parse_metric_event(document)
    except ValidationError:
        return None


def normal(event: MetricEvent) -> tuple[Any, ...]:
    """What a pydantic event must look like in the columns. repr, because 0.0 == -0.0."""
    merged = event.tags | {f"dim.{key}": text for key, text in event.dimensions.items()}
    return (
        (event.swarm_id, event.agent_id, event.metric),
        (event.run_id, event.unit, event.source, event.priority, event.category, event.provenance),
        tuple(sorted(merged.items())),
        event.timestamp,
        repr(event.value),
        repr(event.weight),
        event.id,
    )


def normal_rows(chunk: MetricChunk) -> list[tuple[int, tuple[Any, ...]]]:
    """(idx, normal form) of each event of a chunk."""
    rows = []
    for row in range(chunk.n):
        label = chunk.labels[chunk.label_idx[row]]
        event = (
            chunk.series[chunk.series_idx[row]],
            tuple(label[:6]),
            label.tags,
            int(chunk.timestamp_ms[row]),
            repr(float(chunk.value[row])),
            repr(float(chunk.weight[row])),
            chunk.ids[row] if chunk.ids is not None else "",
        )
        rows.append((int(chunk.idx[row]), event))
    return rows
