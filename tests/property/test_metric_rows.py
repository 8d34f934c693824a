"""Laws of the rows of `metrics`: sorted as the table is, and exactly the events that were stored."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.codecs.structs import Label
from streams.accepted import AcceptedEvents
from streams.metric_rows import HOUR_MS, StoredEvents, metric_rows
from streams.result_rows import Origin

T0 = 1_700_000_000_000
ORIGIN = Origin("log", "swarm.metrics", 3, 1)
SERIES = list(itertools.product(["a", "b", "é", "z|"], ["", "1", "2"], ["m", "n"]))
LABELS = [
    Label("", "ms", "agent", "medium", "", "measured", ()),
    Label("r", "", "agent", "high", "", "derived", (("k", "v"),)),
]
UNITS = [label.unit for label in LABELS]

# (series, label, timestamp, value, id) of each event, one record each
events = st.tuples(
    st.integers(0, len(SERIES) - 1),
    st.integers(0, len(LABELS) - 1),
    st.integers(T0, T0 + 40) | st.integers(T0 - 50 * HOUR_MS, T0 + 50 * HOUR_MS),
    st.floats(-1e9, 1e9),
    st.sampled_from(["", "id-1"]),
)


@given(st.lists(st.lists(events, max_size=12), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_the_rows_are_the_stored_events_in_the_order_of_the_table(
    chunks: list, ids: bool, one_dictionary: bool
) -> None:
    stored, expected, offset = [], [], 0
    for chunk in chunks:
        offsets = np.arange(offset, offset + len(chunk), dtype=np.int64)
        offset += len(chunk)
        series = SERIES if one_dictionary else list(SERIES)
        stored.append(_stored(chunk, offsets, series, ids=ids))
        for place, (s, label, at, value, event_id) in zip(offsets.tolist(), chunk, strict=True):
            expected.append((SERIES[s], LABELS[label], at, value, event_id if ids else "", place))
    stored = [one for one in stored if len(one)]
    if not stored:
        return
    rows = metric_rows(stored, ORIGIN).to_pylist()
    found = [
        (
            (r["swarm_id"], r["agent_id"], r["metric"]),
            Label(r["run_id"], r["unit"], r["source"], r["priority"], r["category"], r["provenance"], tuple(r["tags"])),
            int(r["timestamp"].timestamp() * 1000 + 0.5),
            r["value"],
            r["event_id"],
            r["offset"],
        )
        for r in rows
    ]
    assert sorted(found, key=lambda e: e[-1]) == expected
    assert {(r["appended_at"].timestamp(), r["idx"], r["log_id"], r["topic"], r["partition"]) for r in rows} == {
        (T0 / 1000, 0, "log", "swarm.metrics", 3)
    }
    if one_dictionary:
        keys = [(s[0], s[2], at // HOUR_MS, s[1], at, place) for s, _, at, _, _, place in found]
        assert keys == sorted(keys, key=lambda k: (k[0].encode(), k[1].encode(), k[2], k[3].encode(), *k[4:]))


def test_many_groups_and_rows_fall_back_to_a_sort_that_needs_no_bits(monkeypatch) -> None:
    chunk = [(s, 0, T0 + (s * 7919) % 50, float(s), "") for s in list(range(len(SERIES))) * 3]
    stored = [_stored(chunk, np.arange(len(chunk), dtype=np.int64), SERIES, ids=False)]
    packed = metric_rows(stored, ORIGIN)
    monkeypatch.setattr("streams.metric_rows._KEY_BITS", 1)
    assert metric_rows(stored, ORIGIN).equals(packed)


def _stored(chunk: list, offsets: np.ndarray, series: list, *, ids: bool) -> StoredEvents:
    n = len(chunk)
    accepted = AcceptedEvents(
        record=np.arange(n, dtype=np.int32),
        idx=np.zeros(n, dtype=np.uint32),
        timestamp_ms=np.array([e[2] for e in chunk], dtype=np.int64),
        value=np.array([e[3] for e in chunk], dtype=np.float64),
        weight=np.ones(n),
        series=series,
        series_idx=np.array([e[0] for e in chunk], dtype=np.int32),
        labels=LABELS,
        label_idx=np.array([e[1] for e in chunk], dtype=np.int32),
        ids=[e[4] for e in chunk] if ids else None,
    )
    unit = np.array([e[1] for e in chunk], dtype=np.int32)
    return StoredEvents(accepted, offsets, np.full(n, T0, dtype=np.int64), unit, UNITS)
