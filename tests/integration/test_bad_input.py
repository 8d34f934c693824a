"""Bad input becomes a dead letter with its coordinates and a stable code; the rest counts once; nothing restarts."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from contextlib import aclosing
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from models.settings import Settings
from sinks.clickhouse.client import connect
from streams.subscribe import subscribe
from streams.topics import DEAD_LETTERS
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, worker

pytestmark = [pytest.mark.integration]

NOW_MS = int(time.time() * 1000)
JSON = [("content-type", b"application/json")]


def event(**fields: Any) -> dict[str, Any]:
    return {"swarm_id": "s", "agent_id": "a", "metric": "task_duration", "value": 1, "timestamp": NOW_MS} | fields


def text(**fields: Any) -> bytes:
    return json.dumps(event(**fields)).encode()


# What is sent: (headers, value, dead letters as [(idx, code)], valid events in it)
CASES: dict[str, tuple[list[tuple[str, bytes | None]], bytes | None, list[tuple[int, str]], int]] = {
    "malformed JSON": ([], b'{"swarm_id": "s",', [(-1, "E_JSON")], 0),
    "not UTF-8": ([], b'{"swarm_id": "\xff\xfe"}', [(-1, "E_UTF8")], 0),
    "empty": ([], b"", [(-1, "E_RECORD_EMPTY")], 0),
    "no value, as a deletion in a compacted topic": ([], None, [(-1, "E_RECORD_EMPTY")], 0),
    "a header of ours without a value": ([("murmur-producer", None), ("content-type", None)], text(), [], 1),
    "headers of others, one without a value": ([("traceparent", None), ("x", b"\xff")], text(), [], 1),
    "a header twice": ([*JSON, *JSON], text(), [], 1),
    "nested too deeply": ([], b"[" * 100_000, [(-1, "E_JSON")], 0),
    "an array of numbers": ([], b"[1, 2]", [(0, "E_NOT_AN_OBJECT"), (1, "E_NOT_AN_OBJECT")], 0),
    "a missing field": ([], b'{"swarm_id": "s"}', [(0, "E_FIELD_MISSING")], 0),
    "a string for a number": ([], text(value="1"), [(0, "E_FIELD_TYPE")], 0),
    "a bool for a number": ([], text(value=True), [(0, "E_FIELD_TYPE")], 0),
    "NaN": ([], text().replace(b'"value": 1', b'"value": NaN'), [(0, "E_VALUE_NOT_FINITE")], 0),
    "infinity by exponent": (
        [],
        text(value=1).replace(b'"value": 1', b'"value": 1e999'),
        [(0, "E_VALUE_NOT_FINITE")],
        0,
    ),
    "a metric that is no name": ([], text(metric="9 lives"), [(0, "E_FIELD_VALUE")], 0),
    "a version from the future": ([], text(v=99), [(0, "E_VERSION")], 0),
    "a clock at 1970": ([], text(timestamp=12_345), [(0, "E_TIME_TOO_OLD")], 0),
    "a timestamp an hour ahead": ([], text(timestamp=NOW_MS + 3_600_000), [(0, "E_TIME_IN_FUTURE")], 0),
    "an unknown content type": ([("content-type", b"image/png")], text(), [(-1, "E_CONTENT_TYPE_UNKNOWN")], 0),
    "a broken encoding": ([*JSON, ("content-encoding", b"gzip")], b"not gzip", [(-1, "E_CONTENT_ENCODING")], 0),
    "a gzip bomb": (
        [*JSON, ("content-encoding", b"gzip")],
        gzip.compress(b" " * 100_000_000),
        [(-1, "E_CONTENT_ENCODING")],
        0,
    ),
    "a torn columnar batch": (
        [("content-type", b"application/vnd.murmur.columns+msgpack")],
        b"\x81\xa1v\x01",
        [(-1, "E_COLUMNS")],
        0,
    ),
    "ten megabytes": (
        [],
        json.dumps([event(tags={"x": "y" * 1_000})] * 9_500).encode(),
        [(-1, "E_RECORD_TOO_LARGE")],
        0,
    ),
    "a half-bad batch": (
        [],
        json.dumps([event(), event(value=None), event(), {"swarm_id": 5}, event()]).encode(),
        [(1, "E_FIELD_TYPE"), (3, "E_FIELD_TYPE")],
        3,
    ),
    "good after all that": ([], json.dumps([event(metric="survivor")] * 5).encode(), [], 5),
}


async def test_every_kind_of_bad_input_is_a_dead_letter_and_the_worker_goes_on(
    broker: str, clickhouse: Settings, tmp_path: Any
) -> None:
    settings = clickhouse.model_copy(
        update={"kafka_bootstrap": broker, "home": tmp_path, "flush_interval_ms": 100, "partitions": 1}
    )
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        pid = process.status()["pid"]
        offsets = await _send(settings)
        good = sum(case[3] for case in CASES.values())
        client = connect(settings)
        try:
            await asyncio.to_thread(_await_count, client, "SELECT count() FROM v_metrics", good)
            await asyncio.to_thread(_await_letters, client, sum(1 for case in CASES.values() if case[2]))
            rows = client.query("SELECT offset, idx, error_code, reason, payload_bytes FROM v_dead_letters").result_rows
        finally:
            client.close()
        for name, (_, value, letters, _) in CASES.items():
            found = sorted((r[1], r[2]) for r in rows if r[0] == offsets[name])
            assert found == sorted(letters), name
            assert all(r[4] == len(value or b"") for r in rows if r[0] == offsets[name] and r[1] == -1), name
        assert all(len(r[3]) < 600 and "\n" not in r[3] for r in rows)
        assert process.status()["pid"] == pid
        assert process.process is not None
        assert process.process.poll() is None
        await _letter_is_on_the_topic(settings, offsets["malformed JSON"])


async def test_a_topic_of_nothing_but_garbage_stops_the_worker_with_one_line(
    broker: str, clickhouse: Settings, tmp_path: Any
) -> None:
    settings = clickhouse.model_copy(
        update={"kafka_bootstrap": broker, "home": tmp_path, "bad_input_run_min": 100, "partitions": 1}
    )
    with worker(settings) as process:
        await asyncio.to_thread(process.await_ready)
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        await producer.start()
        for _ in range(300):
            await producer.send("swarm.metrics", b"garbage")
        await producer.stop()
        assert await asyncio.to_thread(process.wait, 30) == 1
        assert "records are invalid (limit 95%)" in _last_line(process)


async def _send(settings: Settings) -> dict[str, int]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, max_request_size=12_000_000)
    await producer.start()
    try:
        return {
            name: (await producer.send_and_wait("swarm.metrics", value, key=b"k", partition=0, headers=headers)).offset
            for name, (headers, value, _, _) in CASES.items()
        }
    finally:
        await producer.stop()


async def _letter_is_on_the_topic(settings: Settings, offset: int) -> None:
    async with asyncio.timeout(20), aclosing(subscribe(settings, DEAD_LETTERS, from_beginning=True)) as letters:
        async for letter in letters:
            headers = letter["headers"]
            if headers["offset"] == str(offset):
                assert letter["value"] == CASES["malformed JSON"][1]
                assert headers["error_code"] == "E_JSON"
                assert headers["topic"] == "swarm.metrics"
                return


def _await_count(client: Any, sql: str, expected: int) -> None:
    eventually(lambda: client.query(sql).first_row[0] >= expected, within_s=60)
    assert client.query(sql).first_row[0] == expected


def _await_letters(client: Any, at_least: int) -> None:
    eventually(lambda: client.query("SELECT uniq(offset) FROM v_dead_letters").first_row[0] >= at_least, within_s=30)


def _last_line(process: WorkerProcess) -> str:
    return process.output().strip().splitlines()[-1]
