"""The worker's status file: complete whenever it is read, and true."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.cli.status import _wide
from models.clock import ManualClock
from models.detect.catalogue import NAMES
from models.settings import Settings
from sinks.base import Batch, WriteResult
from sinks.memory import Fault, MemorySink
from streams.engine import Engine, Partition
from streams.status import Transport, snapshot_of, status_path, write_status
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

    def status(self, ends: dict[Partition, int], **transport: Any) -> dict[str, Any]:
        known = Transport(**{"assigned": ["swarm.metrics[0]"], "ends": ends} | transport)
        return snapshot_of(self.engine, name="worker-1", transport=known, clock=self.clock)


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
    assert (partition["log_end_offset"], partition["committed_offset"]) == (10, None)
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


async def test_it_is_stalled_by_the_store_it_waits_for_until_that_answers(bench: Bench) -> None:
    bench.sink.fail_next(Fault.AWAY)
    bench.sink.before_write = lambda: seen.append(said())
    seen: list[Any] = []

    def said() -> tuple[Any, ...]:
        status = bench.status({})
        return status["state"], status["ready"], status["error"], status["partitions"][0]["error"]

    await bench.engine.workers[HERE].flush()
    reason = "memory sink: away (scripted)"
    assert seen == [("ready", True, None, None), ("stalled", False, reason, reason)]
    assert said() == ("ready", True, None, None)


async def test_it_is_stalled_while_no_snapshot_can_be_written(bench: Bench) -> None:
    state = bench.engine.settings.state_dir
    state.write_text("a file where the folder should be")
    await bench.engine.workers[HERE].flush(snapshot=True)
    status = bench.status({})
    assert (status["state"], status["ready"]) == ("stalled", False)
    assert "snapshot at 3 cannot be written" in status["error"]
    state.unlink()
    await bench.engine.workers[HERE].flush(snapshot=True)
    assert (bench.status({})["state"], bench.status({})["error"]) == ("ready", None)


async def test_it_is_starting_until_it_is_given_a_partition_and_stalled_by_a_server_that_is_away(bench: Bench) -> None:
    assert bench.status({}, assigned=[])["state"] == "starting"
    away = snapshot_of(
        bench.engine, name="worker-1", transport=Transport(assigned=["x"]), clock=bench.clock, unreachable="Kafka: away"
    )
    assert (away["state"], away["ready"], away["error"]) == ("stalled", False, "Kafka: away")


async def test_every_container_is_shown_with_its_bound_and_what_passes_through_it(bench: Bench) -> None:
    bench.sink.before_write = lambda: seen.append(containers())
    seen: list[dict[str, Any]] = []

    def containers() -> dict[str, Any]:
        return {n: f["size"] for n, f in bench.status({})["partitions"][0]["containers"].items()}

    folded = containers()
    assert (folded["open_windows"], folded["generations"], folded["series"], folded["units"]) == (2, 0, 1, 1)
    assert (folded["rows_waiting"], folded["rows_in_flight"]) == (3, 0)  # two events and a dead letter
    await bench.engine.workers[HERE].flush()
    # While it is written, the rows are in flight: those that waited, two windows and their swarm's two.
    assert (seen[0]["rows_waiting"], seen[0]["rows_in_flight"]) == (0, 7)
    assert (containers()["rows_waiting"], containers()["rows_in_flight"]) == (0, 0)
    settings = bench.engine.settings
    bounds = {n: f["bound"] for n, f in bench.status({})["partitions"][0]["containers"].items()}
    assert bounds["scorers"] == settings.series_max
    assert bounds["ids"] == settings.dedup_ids_max
    assert bounds["peer_groups"] == settings.series_max
    assert {n for n in bounds if n.startswith("detector_")} == {f"detector_{name}" for name in NAMES}
    assert bounds["rows_waiting"] == settings.flush_rows_max
    assert bounds["open_windows"] == settings.open_windows_max * len(settings.window_specs)
    assert all(0 <= f["size"] <= f["bound"] for f in bench.status({})["partitions"][0]["containers"].values())


def test_the_table_sums_the_memories_of_detectors_and_keeps_the_rest_apart() -> None:
    fills = [
        {"worker": "w", "place": place, "container": name, "size": size, "bound": 10}
        for place, sizes in (("a[0]", (1, 2, 3)), ("a[1]", (4, 5, 6)))
        for name, size in zip(("ids", "detector_loop", "detector_token_burn"), sizes, strict=True)
    ]
    assert _wide(fills) == [
        {"worker": "w", "place": "a[0]", "ids": 1, "detector_keys": 5},
        {"worker": "w", "place": "a[1]", "ids": 4, "detector_keys": 11},
        {"worker": "", "place": "at most", "detector_keys": 20, "ids": 10},
    ]


async def test_it_tells_committed_offsets_and_buffered_chunks(bench: Bench) -> None:
    status = bench.status({}, committed={HERE: 2}, buffered={"swarm.metrics": 3})
    assert status["partitions"][0]["committed_offset"] == 2
    assert status["buffers"] == {"swarm.metrics": {"size": 3, "bound": 4}}


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
