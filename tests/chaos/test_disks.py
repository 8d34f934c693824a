"""Disks fill up, snapshots are torn, flipped, deleted, everything is lost: the log brings it back."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.settings import Settings
from sinks.clickhouse import migrate
from tests.chaos import scale
from tests.support.brokers import DEFAULT_TOPICS, create_topics
from tests.support.clickhouse import EmbeddedClickHouse, require_engine
from tests.support.installation import Broker, installation
from tests.support.load import Load, fill
from tests.support.straight import check_snapshots
from tests.support.tmpfs import fill_up, small_disk
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained, events_stored
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORDS_PER_S = 300
STATE_DISK_BYTES = 2 << 20
STORE_DISK_BYTES = 192 << 20  # the engine itself keeps about 20 MB of its own files
LOG_RECORDS = 4_000  # of the log that is rebuilt, in the short form
LOG_RECORDS_PER_S = 1_000  # for each second of the long form


MADE_AGAIN_SEEN_S = 30.0  # a look every 10 s, and the end of a worker


@pytest.fixture
def own_clickhouse(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    """A server whose data this test may destroy; not started yet."""
    require_engine()
    server = EmbeddedClickHouse(tmp_path / "clickhouse" / "data")
    try:
        yield server
    finally:
        server.stop()


def test_a_full_disk_stops_commits_and_nothing_else(
    broker: Broker, settings: Settings, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap, "snapshots_kept": 3})
    with small_disk(settings.state_dir, STATE_DISK_BYTES), installation(broker, settings, workers=1) as running:
        with Load(broker.bootstrap, Traffic(scale.SEED + 4).records, records_per_s=RECORDS_PER_S) as load:
            eventually(running.committed, "something is committed")
            ballast = fill_up(settings.state_dir)
            worker = running.workers["worker-1"]
            eventually(lambda: "cannot be written" in (worker.status().get("error") or ""), "the full disk is said")
            before, events = running.committed(), events_stored(settings)
            load.keep_on(scale.seconds(2))
            eventually(lambda: events_stored(settings) > events, "rows go on")
            assert running.committed() == before
            running.check_alive()
            ballast.unlink()
            eventually(lambda: worker.status().get("error") is None, "the error is gone")
            eventually(lambda: running.committed() != before, "commits go on")
            running.kill("worker-1")
        verdict = compare_when_drained(settings)
        figures(events=verdict.events, kills=1, differences=0, drain_s=verdict.drain_s)


def test_damaged_and_deleted_snapshots_cost_nothing(
    broker: Broker, settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    damaged = 0
    with installation(broker, settings, workers=1) as running:
        with Load(broker.bootstrap, Traffic(scale.SEED + 5).records, records_per_s=RECORDS_PER_S) as load:
            end_s = time.monotonic() + scale.seconds(4)
            while time.monotonic() < end_s or not damaged:
                load.keep_on(2)
                running.workers["worker-1"].kill()
                running.count("kills")
                damaged += sum(_damage(files, chance) for files in _newest(settings))
                running.start("worker-1")
                running.await_ready()
        verdict = compare_when_drained(settings)
        figures(
            events=verdict.events,
            **running.faults,
            snapshots_damaged=damaged,
            snapshots_checked=check_snapshots(settings, verdict.log),
            differences=0,
            drain_s=verdict.drain_s,
        )


@pytest.mark.parametrize("states_too", [True, False], ids=["and-states", "states-kept"])
def test_everything_lost_is_rebuilt_from_the_log(
    broker: Broker,
    settings: Settings,
    own_clickhouse: EmbeddedClickHouse,
    figures: Callable[..., None],
    *,
    states_too: bool,
) -> None:
    server = own_clickhouse.start()
    settings = _on(server, settings, broker)
    migrate.migrate(settings)
    create_topics(settings.kafka_bootstrap, DEFAULT_TOPICS, partitions=settings.partitions)
    now_ms = int(time.time() * 1000)
    fill(
        broker.bootstrap,
        Traffic(scale.SEED + 6).records(now_ms, int(scale.LONG_S * LOG_RECORDS_PER_S) or LOG_RECORDS),
    )
    with installation(broker, settings, workers=1) as running:
        compare_when_drained(settings)
        running.workers["worker-1"].kill()
        _make_again(server, settings)
        if states_too:
            shutil.rmtree(settings.state_dir)
        started_s = time.monotonic()
        running.start("worker-1")
        eventually(lambda: events_stored(settings), "the first rows are back")
        first_s = time.monotonic()
        verdict = compare_when_drained(settings)
        figures(
            events=verdict.events,
            differences=0,
            first_row_s=first_s - started_s,
            rebuilt_within_s=time.monotonic() - started_s,
        )


def test_a_database_made_again_under_workers_is_filled_from_the_log(
    broker: Broker, settings: Settings, own_clickhouse: EmbeddedClickHouse, figures: Callable[..., None]
) -> None:
    server = own_clickhouse.start()
    settings = _on(server, settings, broker)
    migrate.migrate(settings)
    with installation(broker, settings, workers=2) as running:
        with Load(broker.bootstrap, Traffic(scale.SEED + 8).records, records_per_s=RECORDS_PER_S) as load:
            load.keep_on(scale.seconds(3))
            eventually(running.committed, "something is committed")
            _make_again(server, settings)
            load.keep_on(1)
            for name, process in running.workers.items():
                assert process.wait(MADE_AGAIN_SEEN_S) == 1, process.output()[-2_000:]
                running.start(name)
            running.await_ready()
            load.keep_on(1)
        verdict = compare_when_drained(settings)
        said = [line for process in running.workers.values() for line in process.output().splitlines()]
        assert any("murmur worker: ClickHouse" in line for line in said), said[-20:]
        figures(events=verdict.events, differences=0, drain_s=verdict.drain_s)


def test_a_full_disk_of_clickhouse_delays_rows_and_loses_none(
    broker: Broker, settings: Settings, own_clickhouse: EmbeddedClickHouse, figures: Callable[..., None]
) -> None:
    settings = _on(own_clickhouse, settings, broker)
    with small_disk(own_clickhouse.data, STORE_DISK_BYTES):
        own_clickhouse.start()
        migrate.migrate(settings)
        # The disk fills up while the engine writes: it then ends rather than acknowledge what is not there.
        with own_clickhouse.supervised() as ended, installation(broker, settings, workers=1) as running:
            with Load(broker.bootstrap, Traffic(scale.SEED + 7).records, records_per_s=RECORDS_PER_S) as load:
                eventually(lambda: events_stored(settings), "the first rows")
                ballast = fill_up(own_clickhouse.data)
                worker = running.workers["worker-1"]
                eventually(lambda: "ClickHouse" in (worker.status().get("error") or ""), "the full disk is said")
                said = worker.status()["error"]
                load.keep_on(scale.seconds(2))
                running.check_alive()
                ballast.unlink()
                eventually(lambda: worker.status().get("error") is None, "the error is gone")
            verdict = compare_when_drained(settings)
            figures(
                events=verdict.events,
                differences=0,
                drain_s=verdict.drain_s,
                said=said[:60],
                restarts=ended.count(os.EX_IOERR),
            )
        own_clickhouse.stop()


def _newest(settings: Settings) -> Iterator[list[Path]]:
    """For each partition its snapshots, newest first."""
    for folder in sorted({path.parent for path in settings.state_dir.rglob("*.snap")}):
        yield sorted(folder.glob("*.snap"), reverse=True)


def _damage(files: list[Path], chance: random.Random) -> int:
    """Tears, flips, empties or deletes the newest one or two, sometimes all; returns how many."""
    victims = files[: chance.choice([1, 2, len(files)])]
    for path in victims:
        data = bytearray(path.read_bytes())
        kind = chance.choice(["torn", "flipped", "emptied", "deleted"])
        if kind == "deleted":
            path.unlink()
            continue
        if kind == "torn":
            del data[chance.randrange(len(data)) :]
        elif kind == "flipped":
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            data.clear()
        path.write_bytes(data)
    return len(victims)


def _on(server: EmbeddedClickHouse, settings: Settings, broker: Broker) -> Settings:
    return settings.model_copy(
        update={
            "kafka_bootstrap": broker.bootstrap,
            "clickhouse_url": server.settings.clickhouse_url,
            "clickhouse_database": "default",
        }
    )


def _make_again(server: EmbeddedClickHouse, settings: Settings) -> None:
    """The server dies, its data is removed, and an empty database with the schema takes its place."""
    server.kill()
    shutil.rmtree(server.data)
    server.start()
    migrate.migrate(settings)
