"""What an audit, a replay and a snapshot cost, on a log that a worker has folded.

    make bench BENCH=replay        python -m benchmarks.replay [--events N]

Starts its own broker, ClickHouse and worker on loopback, fills the log with columnar batches, lets the worker fold it,
and then runs the commands a user runs. CPU is that of the command and of ClickHouse meanwhile: on a busy machine they
say more than the clock. Snapshots are those of the worker's own state, saved and read back by both stores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from benchmarks import machine
from benchmarks.stack import running
from benchmarks.workload import Workload
from models.settings import Settings, environment_of
from sinks.clickhouse.client import connect
from streams.snapshot_directory import DirectorySnapshots
from streams.snapshot_topic import TopicSnapshots
from streams.snapshots import SnapshotStore, decode
from streams.topics import ensure_topics
from tests.support.produce import await_committed
from tests.support.workers import worker

EVENTS = 1_000_000
PARTITIONS = 4
ROUNDS = 5  # of saving and reading a snapshot; the best counts
HEADER = f"{'command':24} {'events':>10} {'wall s':>8} {'cpu s':>8} {'ch cpu s':>8} {'RSS MiB':>8} {'events/cpu s':>13}"
COMMANDS = (
    ("audit", ("audit", "--format", "csv")),
    ("replay, all the same", ("replay", "--from", "earliest", "--diff", "--format", "csv")),
)


def measure(load: Workload, events: int) -> None:
    """Prints a line for each command and each store."""
    with running("embedded") as stack:
        settings = stack.fresh(partitions=PARTITIONS)
        with_topic = settings.model_copy(update={"snapshot_store": "kafka"})
        asyncio.run(ensure_topics(with_topic))
        stack.fill(load.records(events))
        with worker(settings) as process:
            await_committed(settings, process)
            process.terminate()
        client = connect(settings)
        assert client.query("SELECT count() FROM v_metrics").first_row[0] == events
        client.close()
        print(HEADER)
        for name, arguments in COMMANDS:
            _command(settings, name, arguments, events, stack.processes()["clickhouse"])
        _stores(with_topic)


def _command(settings: Settings, name: str, arguments: tuple[str, ...], events: int, server: psutil.Process) -> None:
    before, cpu_before, started = resource.getrusage(resource.RUSAGE_CHILDREN), _cpu(server), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", *arguments],
        env=os.environ | environment_of(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    theirs = _cpu(server) - cpu_before
    rss = server.memory_info().rss / 2**20
    rate = events / (own + theirs)
    print(f"{name:24} {events:>10,} {seconds:>8.1f} {own:>8.1f} {theirs:>8.1f} {rss:>8.0f} {rate:>13,.0f}", flush=True)


def _stores(settings: Settings) -> None:
    """The worker's largest snapshot through both stores."""
    path = max(settings.state_dir.rglob("*.snap"), key=lambda p: p.stat().st_size)
    snapshot = decode(path.read_bytes())
    stores: dict[str, Callable[[], SnapshotStore]] = {
        "directory": lambda: DirectorySnapshots(settings.home / "again", snapshot.header, kept=3),
        "topic": lambda: TopicSnapshots(settings, snapshot.header, kept=3),
    }
    print(f"{'snapshot':24} {'state B':>10} {'saved B':>10} {'save ms':>8} {'read ms':>8}")
    for name, open_store in stores.items():
        saves, reads, written = [], [], 0
        store = open_store()
        for offset in range(1, ROUNDS + 1):
            started = time.perf_counter()
            written = store.save(snapshot.state, offset)
            saves.append(time.perf_counter() - started)
            started = time.perf_counter()
            found = open_store().newest()
            reads.append(time.perf_counter() - started)
            assert found is not None
            assert found.header.next_offset == offset
        print(f"{name:24} {len(snapshot.state):>10,} {written:>10,} {min(saves) * 1e3:>8.0f} {min(reads) * 1e3:>8.0f}")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    arguments = parser.parse_args()
    print(machine.describe())
    load = Workload("columns", PARTITIONS)
    print(f"seed {load.seed}, {PARTITIONS} partitions, columnar batches, windows 10s and 60s, embedded broker + chDB")
    measure(load, arguments.events)


if __name__ == "__main__":
    main()
