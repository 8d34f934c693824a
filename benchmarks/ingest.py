"""Events per second from the log to final rows, for the three wire forms, beside bare consumption as the roof.

    make bench BENCH=ingest        python -m benchmarks.ingest [--events N] [--forms columns,array,single]

Starts its own broker, ClickHouse and worker on loopback. The log is filled first; then the worker starts, and the
clock runs from its first folded record to the moment ClickHouse counts every event in `v_metrics` (asked over HTTP,
not taken from a counter of the worker). Roof: the same records read by aiokafka and decoded, nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks import machine
from benchmarks.workload import FORMS, records
from models.codecs import RawRecord, decode_metrics
from models.settings import Settings, environment_of
from sinks.clickhouse.client import connect
from tests.support.brokers import EmbeddedBroker, acreate_topics
from tests.support.clickhouse import EmbeddedClickHouse

PARTITIONS = 4
SEED = 7
EVENTS = {"columns": 4_000_000, "mixed": 4_000_000, "array": 2_000_000, "single": 400_000}
TIMEOUT_S = 600.0


@dataclass
class Figures:
    """One row of the table."""

    form: str
    events: int
    seconds: float
    worker_cpu_s: float
    worker_rss_bytes: int
    clickhouse_cpu_s: float
    broker_cpu_s: float
    window_rows: int
    disk_bytes: int
    roof_per_s: float

    def line(self) -> str:
        rate = self.events / self.seconds
        return (
            f"{self.form:8} {self.events:>10,} {self.seconds:>8.2f} {rate:>12,.0f} {self.roof_per_s:>12,.0f} "
            f"{rate / self.roof_per_s:>6.2f} {self.worker_cpu_s:>8.2f} {self.clickhouse_cpu_s:>8.2f} "
            f"{self.broker_cpu_s:>8.2f} {self.worker_rss_bytes / 2**20:>8.0f} {self.window_rows:>9,} "
            f"{self.disk_bytes / self.events:>7.1f}"
        )


HEADER = (
    f"{'form':8} {'events':>10} {'wall s':>8} {'events/s':>12} {'roof/s':>12} {'ratio':>6} {'work cpu':>8} "
    f"{'ch cpu':>8} {'brok cpu':>8} {'RSS MiB':>8} {'windows':>9} {'B/event':>7}"
)


async def measure(form: str, events: int, home: Path) -> Figures:
    """One form, on fresh servers."""
    broker = EmbeddedBroker().start()
    clickhouse = EmbeddedClickHouse(home / "clickhouse" / "data")
    try:
        clickhouse.start()
        settings = clickhouse.settings.model_copy(
            update={"kafka_bootstrap": broker.bootstrap, "home": home, "partitions": PARTITIONS}
        )
        _migrate(settings)
        await acreate_topics(broker.bootstrap, ["swarm.metrics", "swarm.activities"], partitions=PARTITIONS)
        await _fill(broker.bootstrap, form, events)
        roof = await _roof(broker.bootstrap, events)
        return await asyncio.to_thread(_run_worker, settings, form, events, roof, broker, clickhouse)
    finally:
        clickhouse.stop()
        broker.stop()


async def _fill(bootstrap: str, form: str, events: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1 << 20, max_request_size=1 << 23
    )
    await producer.start()
    try:
        for partition, headers, value in records(form, events, partitions=PARTITIONS, seed=SEED):
            await producer.send("swarm.metrics", value, partition=partition, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()


async def _roof(bootstrap: str, events: int) -> float:
    """Events per second of bare consumption and decoding in one process."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, max_partition_fetch_bytes=4 << 20, enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition("swarm.metrics", p) for p in range(PARTITIONS)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        seen, started = 0, time.perf_counter()
        while seen < events:
            for batch in (await consumer.getmany(timeout_ms=1000, max_records=2_000)).values():
                seen += decode_metrics([RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in batch]).n
        return events / (time.perf_counter() - started)
    finally:
        await consumer.stop()


def _run_worker(
    settings: Settings, form: str, events: int, roof: float, broker: EmbeddedBroker, clickhouse: EmbeddedClickHouse
) -> Figures:
    client = connect(settings)
    with (settings.home / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.worker"],
            env=os.environ | environment_of(settings),
            stdout=log,
            stderr=log,
        )
    try:
        watched = psutil.Process(process.pid)
        assert broker.process is not None
        assert clickhouse.process is not None
        others = [psutil.Process(p.pid) for p in (clickhouse.process, broker.process)]
        started, cpu = _wait_for_first_row(client, watched, others)
        peak = 0
        deadline = time.perf_counter() + TIMEOUT_S
        while _count(client, "SELECT count() FROM metrics") < events:
            peak = max(peak, watched.memory_info().rss)
            if time.perf_counter() > deadline or process.poll() is not None:
                raise RuntimeError((settings.home / "worker.log").read_text()[-2000:])
            time.sleep(0.1)
        while _count(client, "SELECT sum(events) FROM windows FINAL WHERE window_ms = 10000") < events:
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        spent = [_cpu(p) - before for p, before in zip([watched, *others], cpu, strict=True)]
        assert _count(client, "SELECT count() FROM v_metrics") == events
        return Figures(
            form=form,
            events=events,
            seconds=seconds,
            worker_cpu_s=spent[0],
            worker_rss_bytes=peak,
            clickhouse_cpu_s=spent[1],
            broker_cpu_s=spent[2],
            window_rows=_count(client, "SELECT count() FROM windows FINAL"),
            disk_bytes=_count(client, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'metrics'"),
            roof_per_s=roof,
        )
    finally:
        process.terminate()
        process.wait(15)
        client.close()


def _wait_for_first_row(
    client: Any, watched: psutil.Process, others: list[psutil.Process]
) -> tuple[float, list[float]]:
    """Joining the group is not ingestion: the clock starts when the worker's CPU begins to burn on records."""
    status = Path(watched.environ()["MURMUR_HOME"]) / "run" / "worker-1.status.json"
    while not status.exists() or b'"ready":true' not in status.read_bytes():
        time.sleep(0.01)
    return time.perf_counter(), [_cpu(p) for p in (watched, *others)]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _count(client: Any, sql: str) -> int:
    return int(client.query(sql).first_row[0] or 0)


def _migrate(settings: Settings) -> None:
    from sinks.clickhouse import migrate

    migrate.migrate(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, help="events a form; default: " + str(EVENTS))
    parser.add_argument("--forms", default=",".join(FORMS))
    arguments = parser.parse_args()
    print(machine.describe())
    print(
        f"seed {SEED}, {PARTITIONS} partitions, windows 10s and 60s with sketches, River scores, embedded broker + chDB"
    )
    print(HEADER)
    for form in arguments.forms.split(","):
        with tempfile.TemporaryDirectory(prefix="murmur-bench-") as home:
            figures = asyncio.run(measure(form, arguments.events or EVENTS[form], Path(home)))
        print(figures.line(), flush=True)


if __name__ == "__main__":
    main()
