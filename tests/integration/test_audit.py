"""`murmur audit`: equal after real work and bad input, different when a row is gone, honest in between."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.settings import Settings
from reports.audit import Progress, State, compare
from sinks.clickhouse.audit import AuditReader, Place, Selection
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from streams.topics import log_ids
from tests.support.commands import answer_of, run_murmur
from tests.support.logs import read_log
from tests.support.oracle import recount
from tests.support.produce import all_committed, await_committed, ends, make_topics, produce, send
from tests.support.result_rows import row, table
from tests.support.traffic import Traffic
from tests.support.waiting import eventually
from tests.support.workers import quick_settings, worker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SEED = int(os.environ.get("MURMUR_TEST_SEED", "3"))
LOOKS = 20  # at a busy log; some of them fall into a flush
BACKLOG_S, BACKLOG_RECORDS_PER_S = 300, 200


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(
        clickhouse,
        any_broker,
        tmp_path,
        windows="1s,10s/2s",  # one of them hopping: an event is in five windows
        allowed_lateness_ms=2_000,
    )


def test_windows_of_real_work_are_equal_and_a_row_that_is_lost_is_found(settings: Settings) -> None:
    print(f"seed={SEED}")
    make_topics(settings)
    now_ms = int(time.time() * 1000) - 60_000
    traffic = Traffic(SEED, late_ratio=0.2)
    with worker(settings) as process:
        for step in range(4):
            produce(settings, traffic, 200, now_ms=now_ms + step * 5_000)
        send(settings, [(0, [], b"[]")] * 3)  # records that hold nothing: offsets without rows
        produce(settings, traffic, 20, now_ms=now_ms + 20_000)
        await_committed(settings, process)
        done = run_murmur(settings, "audit", "--format", "json")
        found = answer_of(done)
        assert (done.returncode, found["verdict"]) == (0, "equal"), done.stdout + done.stderr
        _compare_with_the_recount(settings, found)

        parts = [p for p in found["partitions"] if p["topic"] == "swarm.metrics"]
        for part in parts:
            assert part["committed"] <= part["snapshot"] <= part["shown"] == part["log_end"]
            assert "unexplained" not in part["gaps"], part
            assert "not looked at" not in part["gaps"], part
        assert any("repeated" in p["gaps"] for p in parts), parts
        assert any("3 empty" in p["gaps"] for p in parts), parts
        assert sum(r["late_rows"] for r in found["windows"]) > 0
        _judge_parts_and_formats(settings, now_ms)

        client = connect(settings)
        client.command(
            "ALTER TABLE windows DELETE WHERE window_ms = 1000 AND window_start IN (SELECT min(window_start) FROM "
            "windows WHERE window_ms = 1000) SETTINGS mutations_sync = 2"
        )
        client.close()
        broken = run_murmur(settings, "audit", "--format", "json")
        assert broken.returncode == 1
        states = {(r["window_ms"], r["state"]) for r in answer_of(broken)["windows"]}
        assert (1_000, "different") in states
        assert {state for size, state in states if size == 10_000} == {"equal"}
        told = run_murmur(settings, "audit")
        assert "DIFFERENT: `murmur replay" in told.stdout


def _compare_with_the_recount(settings: Settings, found: dict[str, Any]) -> None:
    """The audit's own numbers against a recount of the log that knows nothing of ClickHouse."""
    records = read_log(settings.kafka_bootstrap, "swarm.metrics")
    recounted = recount(records, (), settings.future_skew_ms)
    events = len(recounted.events)
    for size, windows_of_event in ((1_000, 1), (10_000, 5)):
        rows = [r for r in found["windows"] if r["window_ms"] == size]
        assert sum(r["raw_events"] for r in rows) == events
        assert sum(r["found"] for r in rows) == events * windows_of_event
    assert sum(p["dead_letters"] for p in found["partitions"]) == len(recounted.dead)


def _judge_parts_and_formats(settings: Settings, now_ms: int) -> None:
    """A part of the events is equal too, also where the range cuts hopping windows."""
    for flags in (
        ("--swarm", "s1"),
        ("--from", str(now_ms + 3_000), "--to", str(now_ms + 9_000)),
        ("--swarm", "s1", "--swarm", "s2", "--from", str(now_ms + 1)),
    ):
        part = run_murmur(settings, "audit", "--format", "csv", *flags)
        lines = list(csv.DictReader(io.StringIO(part.stdout)))
        assert part.returncode == 0, part.stdout
        assert {line["state"] for line in lines} == {"equal"}
        assert sum(int(line["found"]) for line in lines) > 0
    assert run_murmur(settings, "audit").stdout.endswith("every window holds exactly its events\n")


def test_rows_under_way_are_in_flight_until_their_flush_is_known_to_be_over(settings: Settings, tmp_path: Path) -> None:
    make_topics(settings)
    event = {"swarm_id": "s", "metric": "m", "value": 1, "timestamp": int(time.time() * 1000) - 60_000}
    send(settings, [(0, [], json.dumps(event).encode())] * 4)
    with worker(settings) as process:
        await_committed(settings, process)
        assert process.terminate() == 0
    # A worker that died between the first table of a flush and the last: the raw row of offset 4 is there, alone.
    client = connect(settings)
    log_id = client.query("SELECT any(log_id) FROM metrics").first_row[0]
    client.insert_arrow(
        "metrics", table("metrics", [row("metrics", log_id=log_id, offset=4)]), settings=dict(INSERT_SETTINGS)
    )
    done = run_murmur(settings, "audit", "--format", "json")
    found = answer_of(done)
    assert (done.returncode, found["verdict"]) == (2, "in flight"), found
    assert [r["in_flight"] for r in found["windows"]] == [1, 5]
    # The same row below the committed offset will never be followed by its windows: it is lost, not in flight.
    send(settings, [(0, [], b"[]")] * 4)
    with worker(settings) as process:
        await_committed(settings, process)
        assert process.terminate() == 0
    lost = run_murmur(settings, "audit", "--format", "json")
    assert (lost.returncode, answer_of(lost)["verdict"]) == (1, "different")
    client.close()


def test_nothing_to_compare_is_not_called_equal(settings: Settings) -> None:
    make_topics(settings)
    done = run_murmur(settings, "audit")
    assert (done.returncode, "cannot tell" in done.stdout) == (2, True)


def test_a_log_that_grows_all_the_while_is_equal_or_in_flight_and_never_different(settings: Settings) -> None:
    """What is counted at one moment must fit together at that moment, in the middle of flushes too."""
    print(f"seed={SEED}")
    make_topics(settings)
    busy = settings.model_copy(update={"flush_interval_ms": 50})
    sizes = dict(busy.window_specs)
    stop = threading.Event()

    def keep_producing() -> None:
        traffic = Traffic(SEED, late_ratio=0.2)
        while not stop.is_set():
            produce(busy, traffic, 100, now_ms=int(time.time() * 1000))

    with worker(busy) as process:
        process.await_ready()
        producing = threading.Thread(target=keep_producing)
        producing.start()
        client = connect(busy)
        reader = AuditReader(client)
        try:
            eventually(lambda: reader.offsets(), "the first rows")
            seen: Counter[State] = Counter()
            for _ in range(LOOKS):
                progress = _progress(busy)
                rows = compare(1, sizes, *reader.sums(Selection(1), sizes, _durable(progress)), progress)
                assert not [row for row in rows if row.state is State.DIFFERENT]
                seen += Counter(row.state for row in rows)
        finally:
            stop.set()
            producing.join()
            client.close()
        assert seen[State.EQUAL] > 0, seen
        await_committed(busy, process)


def _durable(progress: dict[Place, Progress]) -> dict[Place, int]:
    return {place: at.committed for place, at in progress.items() if at.committed is not None}


def _progress(settings: Settings) -> dict[Place, Progress]:
    """What the group has committed, asked before the rows are counted."""
    ids = asyncio.run(log_ids(settings))
    return {Place(ids[topic], topic, p): Progress(committed=at.committed) for (topic, p), at in ends(settings).items()}


def test_an_audit_while_a_worker_catches_up_finds_nothing_different(settings: Settings) -> None:
    """It writes closed windows at once and open ones now and then: what it has not shown yet is in flight."""
    make_topics(settings)
    slow = settings.model_copy(update={"partitions": 1, "windows": "1s,1m", "flush_rows_max": 20_000})
    sizes = dict(slow.window_specs)
    now_ms = int(time.time() * 1000) - 600_000
    for second in range(BACKLOG_S):
        produce(slow, Traffic(SEED + second, partitions=1), BACKLOG_RECORDS_PER_S, now_ms=now_ms + second * 1_000)
    client = connect(slow)
    try:
        with worker(slow) as process:
            reader = AuditReader(client)
            seen: Counter[State] = Counter()
            while not all_committed(slow):
                progress = _progress(slow)
                rows = compare(1, sizes, *reader.sums(Selection(1), sizes, _durable(progress)), progress)
                assert not [row for row in rows if row.state is State.DIFFERENT]
                seen += Counter(row.state for row in rows)
            await_committed(slow, process)
        assert seen[State.IN_FLIGHT] > 0, seen
        rows = compare(1, sizes, *reader.sums(Selection(1), sizes, {}), {})
        assert {row.state for row in rows} == {State.EQUAL}
    finally:
        client.close()
