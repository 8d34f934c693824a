"""Good input in every wire form: the same columns, in log order, however the log is cut into chunks."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.codecs import (
    EVENTS_PER_RECORD_MAX,
    Label,
    MetricChunk,
    ProducerStamp,
    RawRecord,
    decode_activities,
    decode_metrics,
    payload_of,
    payloads_of,
)
from models.codecs.dictionaries import LABEL_KEYS_MAX, Dictionaries
from models.codecs.records import CONTENT_JSON, HEADER_CONTENT_TYPE
from tests.support.awkward import normal_rows
from tests.support.builders import (
    NOW_MS,
    PRODUCER,
    activity,
    columns_record,
    gzip_record,
    json_record,
    metric,
    ndjson_record,
    record,
)

EVENTS = [
    metric(metric="CPU_USAGE", value=1, unit="ratio", tags={"b": "2", "a": "1"}, id="e1"),
    metric(agent_id="", value=-2.5, weight=4.0, timestamp=NOW_MS - 7, run_id="r", category="error"),
    metric(swarm_id="schwärm", source="neural", priority="high", provenance="declared"),
]


def rows(chunk: MetricChunk) -> list[tuple[Any, ...]]:
    """Each event with everything the chunk says about it."""
    ids = chunk.ids or [""] * chunk.n
    return [
        (
            int(chunk.record[i]),
            int(chunk.idx[i]),
            int(chunk.timestamp_ms[i]),
            float(chunk.value[i]),
            float(chunk.weight[i]),
            chunk.series[chunk.series_idx[i]],
            chunk.labels[chunk.label_idx[i]],
            ids[i],
        )
        for i in range(chunk.n)
    ]


def test_every_wire_form_of_the_same_events_gives_the_same_columns() -> None:
    body = json.dumps(EVENTS).encode()
    forms = [
        json_record(EVENTS),
        json_record(EVENTS, content_type="Application/JSON; charset=utf-8"),
        record(json.dumps(EVENTS, indent=2).encode()),
        record(b"  " + json.dumps(EVENTS, ensure_ascii=False).encode() + b"\n"),
        ndjson_record(EVENTS),
        ndjson_record(EVENTS, content_type=None),
        gzip_record(EVENTS),
        record(gzip.compress(body[:40]) + gzip.compress(body[40:]), encoding="GZIP"),
        record(zstandard.compress(body), encoding="zstd"),
        record(zstandard.compress(body[:40]) + zstandard.compress(body[40:]), encoding="zstd"),
        columns_record(EVENTS),
        replace(
            record(zstandard.compress(columns_record(EVENTS).value or b""), encoding="zstd"),
            headers=[*columns_record(EVENTS).headers, ("content-encoding", b"zstd")],
        ),
        json_record([{**event, "new_field": {"deep": [1, None, "x"]}} for event in EVENTS]),
    ]
    expected = rows(decode_metrics([forms[0]]))
    assert [row[5] for row in expected] == [
        ("swarm-1", "agent-1", "cpu_usage"),
        ("swarm-1", "", "cpu_usage"),
        ("schwärm", "agent-1", "cpu_usage"),
    ]
    assert expected[0][6] == Label("", "ratio", "agent", "medium", "", "measured", (("a", "1"), ("b", "2")))
    assert [row[2:5] for row in expected] == [(NOW_MS, 1.0, 1.0), (NOW_MS - 7, -2.5, 4.0), (NOW_MS, 0.5, 1.0)]
    assert [row[7] for row in expected] == ["e1", "", ""]
    for form in forms:
        chunk = decode_metrics([form])
        assert chunk.errors == []
        assert rows(chunk) == expected


def test_columns_have_the_agreed_types() -> None:
    for records in (
        [],
        [json_record(EVENTS)],
        [columns_record(EVENTS)],
        [json_record({**EVENTS[0], "new": 1})],
    ):
        chunk = decode_metrics(records)
        assert chunk.n == len(chunk.record) == len(chunk.value)
        types = [chunk.record, chunk.idx, chunk.timestamp_ms, chunk.value, chunk.weight, chunk.series_idx]
        assert [a.dtype for a in [*types, chunk.label_idx]] == [
            np.dtype(t) for t in ("int32", "uint32", "int64", "float64", "float64", "int32", "int32")
        ]


def test_one_object_is_one_event_and_an_empty_array_is_none() -> None:
    assert decode_metrics([json_record(metric())]).idx.tolist() == [0]
    chunk = decode_metrics([json_record([])])
    assert (chunk.n, chunk.errors, chunk.ids) == (0, [], None)
    chunk = decode_metrics([columns_record([], series=[[0, 0, 0]], strings=["a"])])
    assert (chunk.n, chunk.errors) == (0, [])


def test_an_object_value_becomes_one_event_a_numeric_leaf_in_the_order_of_the_document() -> None:
    value = {"p95": 2, "P50": 1.5, "by": {"host": {"a": 3}}}
    chunk = decode_metrics([json_record([metric(), metric(value=value, id="x"), metric()])])
    assert chunk.errors == []
    assert chunk.idx.tolist() == [0, 1, 1 + EVENTS_PER_RECORD_MAX, 1 + 2 * EVENTS_PER_RECORD_MAX, 2]
    assert [chunk.series[i][2] for i in chunk.series_idx] == [
        "cpu_usage",
        "cpu_usage.p95",
        "cpu_usage.p50",
        "cpu_usage.by.host.a",
        "cpu_usage",
    ]
    assert chunk.value.tolist() == [0.5, 2.0, 1.5, 3.0, 0.5]
    assert chunk.ids == ["", "x", "x", "x", ""]


def test_dimensions_become_tags_and_win_over_a_tag_of_that_name() -> None:
    event = metric(tags={"host": "t", "dim.zone": "tag"}, dimensions={"zone": "dim", "host": "d"})
    for document in (event, {**event, "new": "\\"}):
        (label,) = decode_metrics([json_record(document)]).labels
        assert label.tags == (("dim.host", "d"), ("dim.zone", "dim"), ("host", "t"))


def test_the_last_of_two_equal_keys_wins() -> None:
    text = json.dumps(metric()).replace('"value": 0.5', '"value": "bad", "value": 2, "value": 3')
    chunk = decode_metrics([record(text.encode())])
    assert (chunk.value.tolist(), chunk.errors) == ([3.0], [])


def test_producer_stamps_come_one_a_record_even_for_a_bad_one() -> None:
    chunk = decode_metrics(
        [
            json_record(metric(), stamp=f"{PRODUCER}:3:41"),
            json_record(metric()),
            json_record(5, stamp=f"{PRODUCER}:3:42"),
        ]
    )
    assert chunk.producers == [ProducerStamp(PRODUCER, 3, 41), None, ProducerStamp(PRODUCER, 3, 42)]


def test_the_last_header_of_a_name_wins_and_a_null_header_counts_as_absent() -> None:
    headers = [(HEADER_CONTENT_TYPE, b"text/html"), (HEADER_CONTENT_TYPE, CONTENT_JSON.encode())]
    assert decode_metrics([replace(json_record(metric()), headers=headers)]).n == 1
    assert decode_metrics([replace(json_record(metric()), headers=[(HEADER_CONTENT_TYPE, None)])]).n == 1  # type: ignore[list-item]  # brokers deliver null header values


def test_dictionaries_that_outlive_a_chunk_change_nothing_but_the_positions() -> None:
    chunks = [
        [json_record([metric(), metric(swarm_id="b", tags={"k": "v"}), metric(swarm_id="\0")])],
        [columns_record([metric(agent_id="z"), metric()]), json_record(metric(metric="CPU_USAGE"))],
        [json_record([metric(swarm_id="b"), metric(swarm_id="\0"), metric(tags={"k": "v"})])],
    ]
    dictionaries = Dictionaries()
    for chunk in chunks:
        kept, fresh = decode_metrics(chunk, dictionaries), decode_metrics(chunk)
        assert normal_rows(kept) == normal_rows(fresh)
        assert kept.errors == fresh.errors


def test_dictionaries_are_bounded_and_what_was_handed_out_stays() -> None:
    dictionaries = Dictionaries()
    first = decode_metrics([json_record(metric())], dictionaries)
    for start in range(0, LABEL_KEYS_MAX + 2_000, 2_000):
        tagged = [metric(tags={"trace": str(start + i)}) for i in range(2_000)]
        last = decode_metrics([json_record(tagged)], dictionaries)
    assert dictionaries.labels.keys_known <= LABEL_KEYS_MAX + 2_000
    assert last.labels is not first.labels
    assert first.labels[first.label_idx[0]].tags == ()
    assert [last.labels[i].tags[0][1] for i in last.label_idx][:2] == [str(start), str(start + 1)]


def test_payload_of_gives_the_original_bytes_of_one_event() -> None:
    first, second = metric(value={"a": 1, "b": 2}), metric(metric="x", unit="é")
    texts = [json.dumps(first, indent=1), json.dumps(second, ensure_ascii=False)]
    array = record(f"[ {texts[0]} ,\n{texts[1]}]".encode())
    assert payload_of(array, 1) == texts[1].encode()
    assert payload_of(array, EVENTS_PER_RECORD_MAX) == texts[0].encode()
    assert payloads_of(array, [1, -1, 0]) == [texts[1].encode(), array.value, texts[0].encode()]
    assert payload_of(json_record(first), 0) == json.dumps(first).encode()
    lines = ndjson_record([first, second])
    assert payload_of(lines, 1) == json.dumps(second).encode()
    assert payload_of(gzip_record([first, second]), 1) == json.dumps(second).encode()
    assert payload_of(record(None), -1) == b""


def test_payload_of_a_columnar_row_is_json_that_decodes_to_the_same_event() -> None:
    batch = columns_record(EVENTS)
    expected = rows(decode_metrics([batch]))
    for row in range(3):
        again = rows(decode_metrics([record(payload_of(batch, row))]))
        assert [r[2:] for r in again] == [expected[row][2:]]


MIXED: list[RawRecord] = [
    json_record(EVENTS, stamp=f"{PRODUCER}:1:1"),
    columns_record(EVENTS),
    json_record(metric(value={"a": 1, "b": {"c": 2}})),
    json_record([metric(tags={"a": 1}), metric(metric="NEW")]),
    record(b"{"),
    ndjson_record(EVENTS),
    gzip_record(metric(unit="s")),
    columns_record([metric(value=float("nan")), metric(weight=2.0)]),
    json_record(metric(metric="new")),
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(MIXED), max_size=12), st.data())
def test_results_do_not_depend_on_how_the_log_is_cut_into_chunks(log: list[RawRecord], data: st.DataObject) -> None:
    whole = decode_metrics(log)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=4)))
    found_rows, found_errors, producers = [], [], []
    for start, stop in zip([0, *cuts], [*cuts, len(log)], strict=True):
        chunk = decode_metrics(log[start:stop])
        found_rows += [(row[0] + start, *row[1:]) for row in rows(chunk)]
        found_errors += [(e.record + start, e.idx, e.code, e.reason, e.payload) for e in chunk.errors]
        producers += chunk.producers
    assert found_rows == rows(whole)
    assert found_errors == [(e.record, e.idx, e.code, e.reason, e.payload) for e in whole.errors]
    assert producers == whole.producers


def test_activities_decode_from_every_json_form_in_order() -> None:
    documents = [
        activity(id="a", tags={"k": "v"}),
        activity(id="b", status="running", ended_at=None, duration_ms=None),
    ]
    expected = [activity_of(document) for document in documents]
    for form in (
        json_record(documents),
        ndjson_record(documents),
        ndjson_record(documents, content_type=None),
        gzip_record(documents),
        json_record([{**document, "new": {"x": "\\"}} for document in documents]),
    ):
        chunk = decode_activities([form])
        assert chunk.errors == []
        assert [(r, i) for r, i, _ in chunk.activities] == [(0, 0), (0, 1)]
        assert [found for _, _, found in chunk.activities] == expected


def activity_of(document: dict[str, Any]) -> Any:
    ((_, _, found),) = decode_activities([json_record(document)]).activities
    for name, value in document.items():
        assert getattr(found, name) == value
    return found


def test_the_largest_batch_is_accepted() -> None:
    event = {"swarm_id": "s", "timestamp": NOW_MS, "metric": "m", "value": 1}
    assert decode_metrics([json_record([event] * EVENTS_PER_RECORD_MAX)]).n == EVENTS_PER_RECORD_MAX
    assert decode_metrics([columns_record([event] * EVENTS_PER_RECORD_MAX)]).n == EVENTS_PER_RECORD_MAX
