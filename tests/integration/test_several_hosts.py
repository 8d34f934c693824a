"""Workers without a common directory: their snapshots lie in Kafka, and a partition moves with its state."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.commands import answer_of, run_murmur
from tests.support.logs import read_log
from tests.support.oracle import recount
from tests.support.produce import await_committed, ends, make_topics, produce
from tests.support.traffic import Traffic
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings, worker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SEED = int(os.environ.get("MURMUR_TEST_SEED", "9"))
WINDOWS_MS = (1_000, 10_000)


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(
        clickhouse, any_broker, tmp_path / "host-1", snapshot_store="kafka", windows="1s,10s", allowed_lateness_ms=2_000
    )


def test_a_host_that_is_lost_is_replaced_from_the_snapshots_in_kafka(settings: Settings, tmp_path: Path) -> None:
    print(f"seed={SEED}")
    make_topics(settings)
    traffic = Traffic(SEED, late_ratio=0.1)
    now_ms = int(time.time() * 1000) - 60_000
    with worker(settings, "first") as first:
        produce(settings, traffic, 200, now_ms=now_ms)
        await_committed(settings, first)
        saved = {place: at.committed for place, at in ends(settings).items() if at.end}
        first.kill()
    assert not list(settings.home.rglob("*.snap"))  # nothing of it was on the host's disk

    other = settings.model_copy(update={"home": tmp_path / "host-2"})
    with worker(other, "second") as second:
        produce(other, traffic, 200, now_ms=now_ms + 5_000)
        await_committed(other, second)
        assert _resumed_at(second) == saved
        windows, events = _recounted(settings)
        assert _shown(settings) == windows
        assert second.status()["counters"]["records"] < len(read_log(settings.kafka_bootstrap, "swarm.metrics"))
        _a_replay_begins_there_too(other, events)
        assert second.terminate() == 0


def _resumed_at(process: WorkerProcess) -> dict[tuple[str, int], int]:
    """Where the worker found each partition's state, by its log."""
    line = re.compile(r"partition_resumed partition=Partition\(topic='(.+?)', number=(\d+)\) next_offset=(\d+)")
    eventually(lambda: line.search(process.output()), "the worker has resumed")
    return {(topic, int(number)): int(offset) for topic, number, offset in line.findall(process.output())}


def _recounted(settings: Settings) -> tuple[dict[Any, Any], int]:
    records = read_log(settings.kafka_bootstrap, "swarm.metrics")
    windows, _, events = recount(records, WINDOWS_MS, settings.future_skew_ms)
    return {key: tally.row()[:4] for key, tally in windows.items()}, len(events)


def _shown(settings: Settings) -> dict[Any, Any]:
    client = connect(settings)
    rows = client.query(
        "SELECT swarm_id, agent_id, metric, toUInt32(window_ms), toUnixTimestamp64Milli(window_start), events, sum, "
        "min, max FROM v_windows"
    ).result_rows
    client.close()
    return {tuple(row[:5]): tuple(row[5:]) for row in rows}


def _a_replay_begins_there_too(settings: Settings, events: int) -> None:
    """The archive lies in the topic as well: the last record alone needs no fold from the start of the log."""
    last = min(at.end for at in ends(settings).values() if at.end) - 1
    done = run_murmur(settings, "replay", "--from", f"offset:{last}", "--diff", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["table"]: row for row in answer_of(done)}
    assert 0 < rows["metrics"]["recomputed"] < events
    assert rows["windows"]["identical"] == rows["windows"]["recomputed"] > 0
