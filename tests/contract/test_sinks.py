"""One suite for every sink: the memory sink is a verified fake because it passes what the real ones pass.

ClickHouse is the real engine behind HTTP, Kafka a real broker.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pytest

from models.rows import TABLES
from models.settings import Settings
from sinks.base import Batch, PermanentSinkError, RetryableSinkError, Sink
from sinks.clickhouse.client import connect
from sinks.clickhouse.sink import ClickHouseSink
from sinks.kafka.records import PERCENTILES
from sinks.kafka.sink import KafkaSink
from sinks.memory import Fault, MemorySink
from tests.support.brokers import embedded_broker, free_port
from tests.support.clickhouse import migrated_database
from tests.support.logs import aread_log
from tests.support.result_rows import T0, row, table

Rows = list[dict[str, Any]]
TOPICS = {"windows": "t.windows", "anomalies": "t.anomalies", "dead_letters": "t.dead-letters"}


class Harness(Protocol):
    """A sink and the way a reader of its store sees the final rows."""

    sink: Sink
    bad_anomaly: dict[str, Any]  # an anomaly row this store refuses for good

    async def read(self, name: str, log_id: str) -> Rows: ...

    def away(self) -> Sink: ...


class MemoryHarness:
    bad_anomaly: ClassVar = {"severity": "refuse-me"}

    def __init__(self) -> None:
        self.sink = MemorySink(reject=lambda _, r: "scripted" if r.get("severity") == "refuse-me" else None)

    async def read(self, name: str, log_id: str) -> Rows:
        return [plain(r) for r in self.sink.rows(name) if r["log_id"] == log_id]

    def away(self) -> Sink:
        sink = MemorySink()
        sink.fail_next(Fault.AWAY)
        return sink


class ClickHouseHarness:
    bad_anomaly: ClassVar = {"score": 1.5}  # breaks the table's constraint

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sink = ClickHouseSink(settings)

    async def read(self, name: str, log_id: str) -> Rows:
        def query() -> Rows:
            client = connect(self._settings)
            columns = ", ".join(f"base64Encode({c}) AS {c}" if c == "payload" else c for c in TABLES[name].names)
            result = client.query(
                f"SELECT {columns} FROM {name} FINAL WHERE log_id = {{log_id:String}} ORDER BY ALL",
                {"log_id": log_id},
            )
            client.close()
            return [dict(zip(result.column_names, values, strict=True)) for values in result.result_rows]

        rows = [plain(r) for r in await asyncio.to_thread(query)]
        for found in rows:
            if "payload" in found:
                found["payload"] = base64.b64decode(found["payload"])
        return rows

    def away(self) -> Sink:
        url = f"http://127.0.0.1:{free_port()}"
        return ClickHouseSink(self._settings.model_copy(update={"clickhouse_url": url}))


class KafkaHarness:
    bad_anomaly: ClassVar = {"reason": "x" * 2_000_000}  # larger than any broker's record limit

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.sink = KafkaSink(Settings(kafka_bootstrap=bootstrap), TOPICS)

    async def read(self, name: str, log_id: str) -> Rows:
        """What a plain consumer does: read all, keep the highest ver of each key."""
        newest: dict[bytes, tuple[int, dict[str, Any]]] = {}
        for record in await aread_log(self._bootstrap, TOPICS[name]):
            found = dead_letter(record) if name == "dead_letters" else json.loads(record.value)
            ver = int(dict(record.headers).get("ver", b"0"))
            if found["log_id"] == log_id and ver >= newest.get(record.key, (0, {}))[0]:
                newest[record.key] = (ver, found)
        return [found for _, found in newest.values()]

    def away(self) -> Sink:
        settings = Settings(kafka_bootstrap=f"127.0.0.1:{free_port()}")
        return KafkaSink(settings, TOPICS, request_timeout_ms=2_000)


def dead_letter(record: Any) -> dict[str, Any]:
    """A dead-letter record as the row it came from."""
    headers = {name: value.decode() for name, value in record.headers}
    whole = {"partition", "offset", "idx", "payload_bytes", "appended_at"}
    values: dict[str, Any] = {k: int(v) if k in whole else v for k, v in headers.items()}
    values["content_type"] = values.pop("content-type", "")
    return {**values, "payload": record.value}


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """A row with times as epoch ms and maps as dicts, as every reader can compare them."""
    return {
        k: int(v.timestamp() * 1000 + 0.5)
        if isinstance(v, datetime)
        else dict(v)
        if isinstance(v, list) and v and isinstance(v[0], tuple)
        else v
        for k, v in found.items()
    }


@pytest.fixture(scope="module")
def database() -> Iterator[Settings]:
    with migrated_database() as settings:
        yield settings


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with embedded_broker(list(TOPICS.values()), partitions=2) as address:
        yield address


@pytest.fixture(
    params=[
        "memory",
        pytest.param("clickhouse", marks=pytest.mark.integration),
        pytest.param("kafka", marks=pytest.mark.integration),
    ]
)
def idle_harness(request: pytest.FixtureRequest) -> Harness:
    if request.param == "memory":
        return MemoryHarness()
    if request.param == "clickhouse":
        return ClickHouseHarness(request.getfixturevalue("database"))
    return KafkaHarness(request.getfixturevalue("bootstrap"))


@pytest.fixture
async def harness(idle_harness: Harness) -> AsyncIterator[Harness]:
    await idle_harness.sink.start()
    yield idle_harness
    await idle_harness.sink.close()


@pytest.fixture
def log_id() -> str:
    """Rows of one test are told from those of all others by their log."""
    return uuid.uuid4().hex


def some_rows(log_id: str) -> dict[str, Rows]:
    at = T0 + timedelta(milliseconds=7)
    return {
        "windows": [
            row(
                "windows",
                log_id=log_id,
                agent_id=f"agent|{i}",
                window_start=T0 + timedelta(seconds=10 * i),
                sum=0.1 * i,
                min=-1.5,
                events=i + 1,
                ver=(1 << 48) + i,
                sketch_keys=[-50_003, 0, 50_007 + i],
                sketch_counts=[1024, 5 << 40, 3],
            )
            for i in range(5)
        ],
        "anomalies": [
            row("anomalies", log_id=log_id, anomaly_id=f"{log_id}-{i}", detected_at=at, reason="über „normal“")
            for i in range(2)
        ],
        "dead_letters": [
            row("dead_letters", log_id=log_id, offset=3, idx=-1, payload=b"\x00\xff{", payload_bytes=3),
            row(
                "dead_letters",
                log_id=log_id,
                offset=3,
                idx=4,
                content_type="application/json",
                appended_at=at,
            ),
        ],
    }


def batch_of(rows: dict[str, Rows]) -> Batch:
    return {name: table(name, r) for name, r in rows.items()}


def same(found: Rows, wanted: Rows) -> bool:
    def ordered(rows: Rows) -> list[str]:
        return sorted(repr(sorted(plain(r).items())) for r in rows)

    # A topic's windows have percentiles in place of their sketch; a unit test ties the two.
    if found and PERCENTILES.keys() <= found[0].keys():
        found, wanted = without(found, PERCENTILES), without(wanted, ("sketch_keys", "sketch_counts"))
    return ordered(found) == ordered(wanted)


def without(rows: Rows, names: Collection[str]) -> Rows:
    return [{k: v for k, v in r.items() if k not in names} for r in rows]


async def test_every_column_of_every_row_is_readable_when_write_returns(harness: Harness, log_id: str) -> None:
    rows = some_rows(log_id)
    result = await harness.sink.write(batch_of(rows))
    assert (result.rows, result.rejected) == (9, [])
    for name, wanted in rows.items():
        found = await harness.read(name, log_id)
        assert same(found, wanted), (name, found, wanted)


async def test_writing_the_same_rows_again_in_other_portions_changes_nothing(harness: Harness, log_id: str) -> None:
    rows = some_rows(log_id)
    await harness.sink.write(batch_of(rows))
    await harness.sink.write(batch_of({"windows": rows["windows"][2:]}))
    await harness.sink.write(batch_of(rows))
    for name, wanted in rows.items():
        assert same(await harness.read(name, log_id), wanted), name


async def test_the_highest_version_stays_whatever_the_order_of_arrival(harness: Harness, log_id: str) -> None:
    versions = [row("windows", log_id=log_id, events=n, ver=(1 << 48) + n) for n in (5, 3, 9, 7)]
    for version in versions:
        await harness.sink.write(batch_of({"windows": [version]}))
    assert same(await harness.read("windows", log_id), [versions[2]])


async def test_the_highest_version_stays_within_one_batch(harness: Harness, log_id: str) -> None:
    versions = [row("windows", log_id=log_id, events=n, ver=(1 << 48) + n) for n in (9, 2)]
    await harness.sink.write(batch_of({"windows": versions}))
    assert same(await harness.read("windows", log_id), [versions[0]])


async def test_partitions_generations_and_lookalike_ids_are_rows_of_their_own(harness: Harness, log_id: str) -> None:
    rows = [
        row("windows", log_id=log_id),
        row("windows", log_id=log_id, partition=1),
        row("windows", log_id=log_id, gen=77),
        row("windows", log_id=log_id, fold_version=2),
        row("windows", log_id=log_id, swarm_id="a|b", agent_id="c"),
        row("windows", log_id=log_id, swarm_id="a", agent_id="b|c"),
        row("windows", log_id=log_id, swarm_id="a\\", agent_id="b|c"),
        row("windows", log_id=log_id, swarm_id="a\\|b", agent_id="c"),
    ]
    await harness.sink.write(batch_of({"windows": rows}))
    assert same(await harness.read("windows", log_id), rows)


async def test_only_the_rows_the_store_refuses_are_rejected_and_the_rest_is_stored(
    harness: Harness, log_id: str
) -> None:
    good = [row("anomalies", log_id=log_id, anomaly_id=f"{log_id}-{i}") for i in range(30)]
    bad = [row("anomalies", log_id=log_id, anomaly_id=f"bad-{log_id}-{i}", **harness.bad_anomaly) for i in range(2)]
    mixed = [*good[:11], bad[0], *good[11:], bad[1]]
    window = row("windows", log_id=log_id)
    result = await harness.sink.write(batch_of({"anomalies": mixed, "windows": [window]}))
    assert result.rows == 31
    assert {r.row["anomaly_id"] for r in result.rejected} == {b["anomaly_id"] for b in bad}
    assert all(r.table == "anomalies" and r.reason and "\n" not in r.reason for r in result.rejected)
    assert same(await harness.read("anomalies", log_id), good)
    assert same(await harness.read("windows", log_id), [window])


async def test_a_batch_without_rows_is_acknowledged(harness: Harness) -> None:
    result = await harness.sink.write({"windows": table("windows", [])})
    assert (result.rows, result.rejected) == (0, [])
    assert (await harness.sink.write({})).rows == 0


async def test_a_table_the_sink_does_not_take_is_an_error_and_not_a_silent_drop(harness: Harness) -> None:
    with pytest.raises(PermanentSinkError, match="surprises"):
        await harness.sink.write({"surprises": pa.table({"x": [1]})})


async def test_a_store_that_answers_is_healthy(harness: Harness) -> None:
    await harness.sink.health()


async def test_a_store_that_is_away_gives_one_line_that_asks_for_a_retry(harness: Harness, log_id: str) -> None:
    sink = harness.away()

    async def start_and_write() -> None:
        await sink.start()
        await sink.write(batch_of(some_rows(log_id)))

    with pytest.raises(RetryableSinkError) as caught:
        await start_and_write()
    assert "\n" not in str(caught.value)
    assert caught.value.retry_after_s >= 0
    await sink.close()


async def test_a_closed_sink_can_be_started_again(harness: Harness, log_id: str) -> None:
    window = row("windows", log_id=log_id)
    await harness.sink.close()
    await harness.sink.start()
    await harness.sink.write(batch_of({"windows": [window]}))
    assert same(await harness.read("windows", log_id), [window])


async def test_several_writes_at_once_are_all_stored(harness: Harness, log_id: str) -> None:
    rows = [row("windows", log_id=log_id, partition=p) for p in range(6)]
    results = await asyncio.gather(*(harness.sink.write(batch_of({"windows": [r]})) for r in rows))
    assert [r.rows for r in results] == [1] * 6
    assert same(await harness.read("windows", log_id), rows)
