"""The worker's status file: complete whenever it is read, and true."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.clock import ManualClock
from models.settings import Settings
from sinks.base import Batch, WriteResult
from sinks.memory import Fault, MemorySink
from streams.engine import Engine, Partition
from streams.status import snapshot_of, status_path, write_status
from tests.support.sim_log import SimConsumer, SimLog

HERE = Partition("swarm.metrics", 0)
THERE = Partition("swarm.metrics", 1)
SECRET = "canary-91ab"
EVENT = b'{"swarm_id": "s", "metric": "m", "value": 1, "timestamp": 1700000000000}'


class WatchedSink(MemorySink):
    """Lets the test look around whenever a batch is offered."""

    before_write: Callable[[], None] | None = None

    async def write(self, batch: Batch) -> WriteResult:
        if self.before_write is not None:
            self.before_write()
        return await super().write(batch)


class Bench:
    """An engine that folded three records of one partition, one of them invalid."""

    def __init__(self, home: Path) -> None:
        changes: dict[str, Any] = {"home": home, "clickhouse_password": SECRET, "flush_interval_ms": 60_000}
        self.clock = ManualClock()
        self.sink = WatchedSink()
        self.engine = Engine(Settings(**changes), sinks=[self.sink], log_ids={HERE.topic: "log"}, clock=self.clock)

    async def run(self) -> None:
        await self.sink.start()
        log = SimLog([HERE, THERE])
        for value in (EVENT, b"{poison", EVENT):
            log.append(HERE, value, timestamp_ms=1_700_000_000_000)
        consumer = SimConsumer(log)
        consumer.assign(HERE)
        consumer.fetch(HERE, 10)
        chunk = consumer.take(HERE)
        assert chunk is not None
        await self.engine.deliver(HERE, chunk, consumer)

    def status(self, ends: dict[Partition, int]) -> dict[str, Any]:
        return snapshot_of(
            self.engine,
            name="worker-1",
            ready=True,
            ends=ends,
            assigned=["swarm.metrics-0"],
            clock=self.clock,
        )


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    await bench.run()
    return bench


async def test_it_tells_what_was_read_and_how_far_behind_the_acknowledged_rows_are(bench: Bench) -> None:
    status = bench.status({HERE: 10})
    assert (status["name"], status["pid"], status["ready"]) == ("worker-1", os.getpid(), True)
    assert status["updated_at_ms"] == bench.clock.now_ms()
    assert (status["records_total"], status["events_total"], status["dead_letters_total"]) == (3, 2, 1)
    assert (status["lag_records"], status["error"]) == (10, None)
    (partition,) = status["partitions"]
    assert (partition["topic"], partition["partition"]) == ("swarm.metrics", 0)
    assert (partition["next_offset"], partition["acknowledged_offset"]) == (3, 0)
    assert (partition["open_windows"], partition["series"]) == (2, 1)
    await bench.engine.workers[HERE].flush(snapshot=True)
    status = bench.status({HERE: 10})
    assert status["lag_records"] == 7
    assert status["partitions"][0]["snapshot_offset"] == 3


async def test_an_unknown_end_is_no_lag(bench: Bench) -> None:
    status = bench.status({})
    assert (status["partitions"][0]["lag_records"], status["lag_records"]) == (None, 0)


async def test_a_lag_is_never_negative(bench: Bench) -> None:
    await bench.engine.workers[HERE].flush()
    assert bench.status({HERE: 1})["lag_records"] == 0


async def test_the_store_it_waits_for_is_the_error_until_it_answers(bench: Bench) -> None:
    bench.sink.fail_next(Fault.AWAY)
    bench.sink.before_write = lambda: seen.append(bench.status({})["error"])
    seen: list[Any] = []
    await bench.engine.workers[HERE].flush()
    assert seen == [None, "memory sink: away (scripted)"]
    assert bench.status({})["error"] is None


async def test_what_ended_the_worker_comes_first(bench: Bench) -> None:
    bench.engine.fail(ValueError("the reason"))
    assert bench.status({})["error"] == "the reason"


async def test_it_holds_no_secret(bench: Bench, tmp_path: Path) -> None:
    path = status_path(tmp_path, "worker-1")
    write_status(path, bench.status({HERE: 10}))
    assert json.loads(path.read_bytes()) == bench.status({HERE: 10})
    assert SECRET not in path.read_text()


def test_it_stands_under_run_by_its_name(tmp_path: Path) -> None:
    assert status_path(tmp_path, "worker-7") == tmp_path / "run" / "worker-7.status.json"


def test_whoever_reads_it_while_it_is_replaced_sees_a_whole_one(tmp_path: Path) -> None:
    path = status_path(tmp_path, "worker-1")
    write_status(path, {"n": 0, "padding": ["x"] * 5_000})
    stop = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            write_status(path, {"n": n, "padding": ["x"] * (n % 5_000)})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [json.loads(path.read_bytes()) for _ in range(500)]
    except ValueError as error:
        errors.append(error)
    finally:
        stop.set()
        writer.join(10)
    assert errors == []
    assert all(len(s["padding"]) == (s["n"] % 5_000 or 5_000) for s in seen if s["n"] != 0)
    assert [p.name for p in path.parent.iterdir()] == ["worker-1.status.json"]
