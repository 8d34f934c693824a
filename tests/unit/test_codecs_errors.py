"""What becomes of bad input: one dead letter each, with a stable code, and nothing else is harmed."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
import zlib
from typing import Any

import pytest
import zstandard

from models.codecs import (
    DECODED_BYTES_MAX,
    EVENTS_PER_RECORD_MAX,
    JSON_DEPTH_MAX,
    PAYLOAD_BYTES_MAX,
    RECORD_BYTES_MAX,
    WHOLE_RECORD,
    decode_activities,
    decode_metrics,
)
from models.codecs.records import CONTENT_COLUMNS, CONTENT_JSON, CONTENT_NDJSON, RawRecord
from models.error_codes import ErrorCode
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

WHOLE = WHOLE_RECORD


def the_error(bad: RawRecord, *, good_events: int = 0, decode: Any = decode_metrics) -> Any:
    """The one error of a record that stands between two good ones."""
    good = json_record(metric() if decode is decode_metrics else activity())
    chunk = decode([good, bad, good])
    accepted = chunk.record.tolist() if decode is decode_metrics else [index for index, _, _ in chunk.activities]
    assert accepted == [0] + [1] * good_events + [2]
    (error,) = chunk.errors
    assert error.record == 1
    assert "\n" not in error.reason
    assert len(error.reason) < 400
    assert error.payload_bytes == len(bad.value or b"") or error.idx != WHOLE
    return error


@pytest.mark.parametrize(
    ("document", "code", "field"),
    [
        (metric(without="swarm_id"), ErrorCode.FIELD_MISSING, "swarm_id"),
        (metric(without="timestamp"), ErrorCode.FIELD_MISSING, "timestamp"),
        (metric(without="value"), ErrorCode.FIELD_MISSING, "value"),
        (metric(swarm_id=""), ErrorCode.FIELD_VALUE, "swarm_id"),
        (metric(swarm_id=7), ErrorCode.FIELD_TYPE, "swarm_id"),
        (metric(agent_id=7), ErrorCode.FIELD_TYPE, "agent_id"),
        (metric(value="1"), ErrorCode.FIELD_TYPE, "value"),
        (metric(value=True), ErrorCode.FIELD_TYPE, "value"),
        (metric(value=None), ErrorCode.FIELD_TYPE, "value"),
        (metric(value=[1]), ErrorCode.FIELD_TYPE, "value"),
        (metric(value=float("nan")), ErrorCode.VALUE_NOT_FINITE, "value"),
        (metric(value=float("-inf")), ErrorCode.VALUE_NOT_FINITE, "value"),
        (metric(value=10**400), ErrorCode.VALUE_NOT_FINITE, "value"),
        (metric(value={}), ErrorCode.FIELD_VALUE, "value"),
        (metric(value={"p50": 1, "p95": "2"}), ErrorCode.FIELD_TYPE, "cpu_usage.p95"),
        (metric(value={"p50": 1, "P50": 2}), ErrorCode.FIELD_VALUE, "cpu_usage.p50"),
        (metric(value={"p 50": 1}), ErrorCode.FIELD_VALUE, "value"),
        (metric(value={str(i): i for i in range(257)}), ErrorCode.FIELD_VALUE, "value"),
        (metric(metric="cpu usage"), ErrorCode.FIELD_VALUE, "metric"),
        (metric(metric=""), ErrorCode.FIELD_VALUE, "metric"),
        (metric(timestamp=NOW_MS // 1000), ErrorCode.TIME_TOO_OLD, "timestamp"),
        (metric(timestamp=0), ErrorCode.TIME_TOO_OLD, "timestamp"),
        (metric(timestamp=NOW_MS * 1000), ErrorCode.FIELD_VALUE, "timestamp"),
        (metric(timestamp=float(NOW_MS)), ErrorCode.FIELD_TYPE, "timestamp"),
        (metric(v=2), ErrorCode.VERSION, "v"),
        (metric(v=2, swarm_id=None), ErrorCode.VERSION, "v"),
        (metric(v=0), ErrorCode.FIELD_VALUE, "v"),
        (metric(v="1"), ErrorCode.FIELD_TYPE, "v"),
        (metric(source="robot"), ErrorCode.FIELD_VALUE, "source"),
        (metric(weight=0), ErrorCode.FIELD_VALUE, "weight"),
        (metric(weight=2e9), ErrorCode.FIELD_VALUE, "weight"),
        (metric(tags=["a"]), ErrorCode.FIELD_TYPE, "tags"),
        (metric(tags={"a": 1}), ErrorCode.FIELD_TYPE, "tags"),
        (metric(tags={"": "x"}), ErrorCode.FIELD_VALUE, "tags"),
        (metric(tags={"a": "x" * 1025}), ErrorCode.FIELD_VALUE, "tags"),
        (metric(tags={"a": "\x00"}), ErrorCode.FIELD_VALUE, "tags"),
        (metric(tags={"a": "\ud800"}), ErrorCode.FIELD_VALUE, "tags"),
        (metric(tags={f"k{i}": "" for i in range(65)}), ErrorCode.FIELD_VALUE, "tags"),
        (5, ErrorCode.NOT_AN_OBJECT, "object"),
        ("text", ErrorCode.NOT_AN_OBJECT, "object"),
        (None, ErrorCode.NOT_AN_OBJECT, "object"),
        ([metric()], ErrorCode.NOT_AN_OBJECT, "object"),
    ],
)
def test_one_bad_event_of_a_batch_is_one_dead_letter_and_the_rest_counts(
    document: Any, code: ErrorCode, field: str
) -> None:
    error = the_error(json_record([metric(), document, metric()]), good_events=2)
    assert (error.idx, error.code) == (1, code)
    assert field in error.reason
    assert error.payload == json.dumps(document).encode()


@pytest.mark.parametrize(
    ("document", "code", "field"),
    [
        (activity(without="id"), ErrorCode.FIELD_MISSING, "id"),
        (activity(id=""), ErrorCode.FIELD_VALUE, "id"),
        (activity(kind="dance"), ErrorCode.FIELD_VALUE, "kind"),
        (activity(ended_at=NOW_MS - 1), ErrorCode.FIELD_VALUE, "ended_at"),
        (activity(started_at=1), ErrorCode.TIME_TOO_OLD, "started_at"),
        (activity(input_tokens=-1), ErrorCode.FIELD_VALUE, "input_tokens"),
        (activity(input_tokens=1.0), ErrorCode.FIELD_TYPE, "input_tokens"),
        (activity(quality_ratio=1.01), ErrorCode.FIELD_VALUE, "quality_ratio"),
        (activity(success=1), ErrorCode.FIELD_TYPE, "success"),
        (activity(cost_provenance="estimated"), ErrorCode.FIELD_VALUE, "cost_provenance"),
        (activity(cost_usd=float("inf")), ErrorCode.VALUE_NOT_FINITE, "cost_usd"),
    ],
)
def test_a_bad_activity_names_its_field(document: Any, code: ErrorCode, field: str) -> None:
    error = the_error(json_record([activity(), document]), good_events=1, decode=decode_activities)
    assert (error.idx, error.code) == (1, code)
    assert error.reason.startswith(field)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (record(None), ErrorCode.RECORD_EMPTY),
        (record(b""), ErrorCode.RECORD_EMPTY),
        (record(b" \n "), ErrorCode.RECORD_EMPTY),
        (record(b"\xff\xfe"), ErrorCode.UTF8),
        (record(json.dumps(metric(tags={"a": "X"})).encode().replace(b"X", b"\xed\xa0\x80")), ErrorCode.UTF8),
        (record(b"{"), ErrorCode.JSON),
        (record(b'{"a":1} x'), ErrorCode.JSON),
        (record(b"[1,"), ErrorCode.JSON),
        (record(b"[{}] []"), ErrorCode.JSON),
        (record(b'\xef\xbb\xbf{"a":1}'), ErrorCode.JSON),
        (record(b"{}\n{}", content_type=CONTENT_JSON), ErrorCode.JSON),
        (record(b"x" * (RECORD_BYTES_MAX + 1)), ErrorCode.RECORD_TOO_LARGE),
        (record(b"{}", content_type="text/plain"), ErrorCode.CONTENT_TYPE_UNKNOWN),
        (record(b"{}", encoding="br"), ErrorCode.CONTENT_ENCODING),
        (record(b"{}", encoding="gzip"), ErrorCode.CONTENT_ENCODING),
        (record(b"{}", encoding="zstd"), ErrorCode.CONTENT_ENCODING),
        (record(gzip.compress(b"{}" * 99)[:-9], encoding="gzip"), ErrorCode.CONTENT_ENCODING),
        (record(zstandard.compress(b"{}" * 99)[:-3], encoding="zstd"), ErrorCode.CONTENT_ENCODING),
        (record(gzip.compress(b""), encoding="gzip"), ErrorCode.RECORD_EMPTY),
        (json_record(metric(), stamp="me:1:2"), ErrorCode.FIELD_VALUE),
        (json_record(metric(), stamp=f"{PRODUCER}:1"), ErrorCode.FIELD_VALUE),
        (json_record(metric(), stamp=f"{PRODUCER}:1:-2"), ErrorCode.FIELD_VALUE),
        (json_record([metric()] * (EVENTS_PER_RECORD_MAX + 1)), ErrorCode.RECORD_TOO_MANY_EVENTS),
        (columns_record([metric()], n=EVENTS_PER_RECORD_MAX + 1), ErrorCode.RECORD_TOO_MANY_EVENTS),
        (columns_record([metric()], v=2), ErrorCode.VERSION),
        (columns_record([metric()], value=b"1234567"), ErrorCode.COLUMNS),
        (columns_record([metric()], dt=b""), ErrorCode.COLUMNS),
        (columns_record([metric()], weight=b""), ErrorCode.COLUMNS),
        (columns_record([metric()], ids=[]), ErrorCode.COLUMNS),
        (columns_record([metric()], ids=[1]), ErrorCode.COLUMNS),
        (columns_record([metric()], series=[[0, 1, 99]]), ErrorCode.COLUMNS),
        (columns_record([metric()], series=[[0, 1, -1]]), ErrorCode.COLUMNS),
        (columns_record([metric()], series=[]), ErrorCode.COLUMNS),
        (columns_record([metric()], series_idx=b"\x01\0\0\0"), ErrorCode.COLUMNS),
        (columns_record([metric()], label_idx=b"\xff\xff\xff\xff"), ErrorCode.COLUMNS),
        (columns_record([metric()], t0=1 << 63), ErrorCode.COLUMNS),
        (columns_record([metric()], t0=1.5), ErrorCode.COLUMNS),
        (columns_record([metric()], strings="abc"), ErrorCode.COLUMNS),
        (record(b"\xc1", content_type=CONTENT_COLUMNS), ErrorCode.COLUMNS),
        (record(b"\x91" * 200_000, content_type=CONTENT_COLUMNS), ErrorCode.COLUMNS),
    ],
)
def test_a_record_that_cannot_be_read_is_one_dead_letter(bad: RawRecord, code: ErrorCode) -> None:
    error = the_error(bad)
    assert (error.idx, error.code) == (WHOLE, code)
    assert error.payload == (bad.value or b"")[:PAYLOAD_BYTES_MAX]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (metric(value=float("nan")), ErrorCode.VALUE_NOT_FINITE),
        (metric(value=float("inf")), ErrorCode.VALUE_NOT_FINITE),
        (metric(timestamp=0), ErrorCode.TIME_TOO_OLD),
        (metric(timestamp=NOW_MS * 3), ErrorCode.FIELD_VALUE),
        (metric(weight=float("nan")), ErrorCode.VALUE_NOT_FINITE),
        (metric(weight=0.0), ErrorCode.FIELD_VALUE),
        (metric(weight=-1.0), ErrorCode.FIELD_VALUE),
        (metric(swarm_id=""), ErrorCode.FIELD_VALUE),
        (metric(metric="a b"), ErrorCode.FIELD_VALUE),
        (metric(agent_id="a\x00"), ErrorCode.FIELD_VALUE),
        (metric(source="robot"), ErrorCode.FIELD_VALUE),
        (metric(unit="u" * 33), ErrorCode.FIELD_VALUE),
        (metric(tags={"": ""}), ErrorCode.FIELD_VALUE),
        (metric(id="i" * 257), ErrorCode.FIELD_VALUE),
        (metric(id="\x00"), ErrorCode.FIELD_VALUE),
    ],
)
def test_a_bad_row_of_a_columnar_batch_is_one_dead_letter_and_the_rest_counts(
    document: dict[str, Any], code: ErrorCode
) -> None:
    rows = [metric(), document, metric(tags={"a": "b"})]
    t0 = {} if abs(document["timestamp"] - NOW_MS) < 2**31 else {"t0": document["timestamp"]}
    if t0:  # too far from the others for one batch
        rows = [document]
    bad = columns_record(rows, **t0)
    error = the_error(bad, good_events=len(rows) - 1)
    assert (error.idx, error.code) == (len(rows) // 2, code)
    assert json.loads(error.payload)["metric"] == document["metric"]


def test_nested_a_hundred_thousand_deep_is_a_dead_letter_and_no_crash() -> None:
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 50_000 + b"]" * 50_000):
        error = the_error(record(body))
        assert (error.idx, error.code) == (WHOLE, ErrorCode.JSON)
    deep = json.dumps(metric(tags="X")).encode().replace(b'"X"', b"[" * 100_000 + b"]" * 100_000)
    assert the_error(record(deep)).code == ErrorCode.JSON


def test_the_depth_limit_is_exact_and_the_same_from_any_stack() -> None:
    def nested(depth: int) -> RawRecord:
        inner = "[" * depth + "]" * depth
        return record((json.dumps(metric())[:-1] + ',"new":' + inner + "}").encode())

    assert decode_metrics([nested(JSON_DEPTH_MAX - 1)]).n == 1
    assert the_error(nested(JSON_DEPTH_MAX)).code == ErrorCode.JSON

    def deeper(frames: int) -> int:
        return deeper(frames - 1) if frames else decode_metrics([nested(JSON_DEPTH_MAX - 1)]).n

    assert deeper(600) == 1


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_decompression_bomb_is_refused_within_bounded_memory(encoding: str) -> None:
    size = 8 * DECODED_BYTES_MAX
    if encoding == "gzip":
        squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(size >> 20)) + squeeze.flush()
    else:
        bomb = zstandard.ZstdCompressor(level=3).compress(bytes(size))
    tracemalloc.start()
    try:
        error = the_error(record(bomb, encoding=encoding))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.code in {ErrorCode.CONTENT_ENCODING, ErrorCode.RECORD_TOO_LARGE}
    assert peak_bytes < 4 * DECODED_BYTES_MAX


def test_a_compressed_record_slightly_above_the_limit_is_called_too_large() -> None:
    noise = random.Random(1).randbytes(1 << 18).hex()  # 512 KiB of text that compresses to half, then repeats
    body = zstandard.compress((noise * 33).encode())
    assert len(noise) * 33 > DECODED_BYTES_MAX
    assert DECODED_BYTES_MAX / 100 < len(body) < RECORD_BYTES_MAX
    assert the_error(record(body, encoding="zstd")).code == ErrorCode.RECORD_TOO_LARGE


def test_a_broken_line_of_ndjson_harms_no_other_line() -> None:
    body = b"\n".join([json.dumps(metric()).encode(), b"{broken", b"", json.dumps(metric()).encode() + b"\r"])
    for content_type in (CONTENT_NDJSON, None):
        error = the_error(record(body, content_type=content_type), good_events=2)
        assert (error.idx, error.code, error.payload) == (1, ErrorCode.JSON, b"{broken")


def test_a_columnar_batch_on_the_activities_topic_is_refused() -> None:
    error = the_error(columns_record([metric()]), decode=decode_activities)
    assert error.code == ErrorCode.CONTENT_TYPE_UNKNOWN


def test_a_reason_never_quotes_more_than_a_little_of_the_input() -> None:
    huge = "x" * 1_000_000
    for document in (
        metric(metric=huge),
        metric(source=huge),
        metric(tags={huge: "v"}),
        metric(value={huge: 1}),
        huge,
    ):
        error = the_error(json_record(document))
        assert huge[:200] not in error.reason
        assert len(error.payload) == PAYLOAD_BYTES_MAX
        assert error.payload_bytes > 1_000_000


def test_all_errors_of_a_chunk_come_in_log_order() -> None:
    chunk = decode_metrics(
        [
            columns_record([metric(value=float("nan")), metric()]),
            json_record([metric(tags={"a": 1}), metric(), metric(value="x")]),
            record(b"{"),
            gzip_record([metric(), 5]),
            ndjson_record([5, metric()]),
        ]
    )
    assert [(e.record, e.idx) for e in chunk.errors] == [(0, 0), (1, 0), (1, 2), (2, -1), (3, 1), (4, 0)]
    assert list(zip(chunk.record.tolist(), chunk.idx.tolist(), strict=True)) == [
        (0, 1),
        (1, 1),
        (3, 0),
        (4, 1),
    ]
    assert [e.content_type for e in chunk.errors] == [CONTENT_COLUMNS, "", "", "", "", CONTENT_NDJSON]
