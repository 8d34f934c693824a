"""`murmur replay`: the same version gives the same rows, a new one changes nothing until it is activated."""

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
from tests.support.produce import await_committed, delete_records, ends, make_topics, produce
from tests.support.traffic import Traffic
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings, worker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SEED = int(os.environ.get("MURMUR_TEST_SEED", "5"))
TABLES = ("metrics", "windows", "anomalies", "dead_letters")


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(clickhouse, any_broker, tmp_path, windows="1s,10s", allowed_lateness_ms=2_000)


def ask(settings: Settings, sql: str) -> Any:
    client = connect(settings)
    try:
        return client.query(sql).first_row
    finally:
        client.close()


def command(settings: Settings, sql: str) -> None:
    client = connect(settings)
    client.command(sql)
    client.close()


def fingerprint(settings: Settings) -> dict[str, Any]:
    """Number and content of the final rows of every table."""
    return {
        table: ask(settings, f"SELECT count(), sum(cityHash64(toString(tuple(* EXCEPT stored_at)))) FROM {table} FINAL")
        if table in ("metrics", "dead_letters")
        else ask(settings, f"SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {table} FINAL")
        for table in TABLES
    }


def fill(settings: Settings, process: WorkerProcess, *, seed: int = SEED) -> int:
    """Real work with late, repeated and poisonous input; returns the time of its middle."""
    traffic = Traffic(seed, late_ratio=0.1)
    now_ms = int(time.time() * 1000) - 60_000
    for step in range(4):
        produce(settings, traffic, 100, now_ms=now_ms + step * 5_000)
        await_committed(settings, process)
    return now_ms


def databases(settings: Settings) -> int:
    return int(
        ask(settings, f"SELECT count() FROM system.databases WHERE name LIKE '{settings.clickhouse_database}_%'")[0]
    )


def test_the_same_version_gives_the_same_rows_and_brings_lost_ones_back(settings: Settings) -> None:
    print(f"seed={SEED}")
    make_topics(settings)
    with worker(settings) as process:
        fill(settings, process)
        before, committed = fingerprint(settings), ends(settings)
        last = min(at.end for at in committed.values() if at.end) - 1
        for point in ("earliest", f"offset:{last}"):
            same = run_murmur(settings, "replay", "--from", point, "--format", "json")
            assert same.returncode == 0, same.stderr
            rows = {row["table"]: row for row in answer_of(same)}
            assert rows["windows"]["recomputed"] > 100
            for row in rows.values():
                assert row["identical"] == row["recomputed"], rows
            assert "identical" in same.stderr
        # Everything from the start of the log, and less from a snapshot on the way: that is what archives are for.
        assert 0 < rows["metrics"]["recomputed"] < before["metrics"][0]
        assert (fingerprint(settings), ends(settings)) == (before, committed)

        command(settings, "ALTER TABLE windows DELETE WHERE window_ms = 10000 SETTINGS mutations_sync = 2")
        command(settings, "ALTER TABLE windows UPDATE sum = sum + 1 WHERE partition = 1 SETTINGS mutations_sync = 2")
        command(settings, "TRUNCATE TABLE dead_letters")
        only = run_murmur(settings, "replay", "--from", "earliest", "--diff")
        assert only.returncode == 1
        assert "rows differ in windows, dead_letters" in only.stdout
        assert fingerprint(settings) != before
        done = run_murmur(settings, "replay", "--from", "earliest", "--format", "json")
        assert done.returncode == 0, done.stderr
        rows = {row["table"]: row for row in answer_of(done)}
        assert rows["windows"]["restored"] > 0 < rows["windows"]["repaired"]
        assert rows["dead_letters"]["restored"] == rows["dead_letters"]["recomputed"] > 0
        assert "all" in done.stderr
        assert "identical" in done.stderr
        assert fingerprint(settings) == before
        assert databases(settings) == 0  # no staging database stays behind
        _refusals(settings)
        assert process.terminate() == 0


def _refusals(settings: Settings) -> None:
    """What cannot be replayed is one line that says why."""
    for args, changes, code, said in (
        (("--from", "yesterday"), {}, 2, "write earliest, offset:N or time:"),
        (("--from", "offset:999999"), {}, 1, "lies beyond the log, which ends at"),
        (("--from", "time:2999-01-01"), {}, 1, "no record was appended at or after 2999-01-01T00:00:00Z"),
        (("--from", "earliest"), {"windows": "3s"}, 1, "was computed under other settings"),
        (("--from", "earliest", "--activate"), {}, 2, "--activate has nothing to do"),
        (("--from", "offset:3", "--fold-version", "2"), {}, 2, "needs the whole log"),
    ):
        done = run_murmur(settings, "replay", *args, **changes)
        assert done.returncode == code, (args, done.stderr)
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_new_version_runs_beside_the_live_one_and_is_shown_when_activated(settings: Settings) -> None:
    make_topics(settings)
    with worker(settings) as process:
        now_ms = fill(settings, process)
        before = fingerprint(settings)
        changes = {"windows": "1s,5s", "allowed_lateness_ms": "0"}
        args = ("replay", "--from", "earliest", "--fold-version", "2")
        done = run_murmur(settings, *args, "--diff", "--format", "json", **changes)
        assert done.returncode == 0, done.stderr
        (answer,) = answer_of(done)
        sizes: dict[int, dict[str, int]] = {}
        for row in answer["windows"]:
            size = sizes.setdefault(row["window_ms"], dict.fromkeys(("same", "added", "removed", "changed"), 0))
            for name in size:
                size[name] += row[name]
        # Another lateness cuts windows into other generations, but together they hold the same events.
        assert {name for name, count in sizes[1_000].items() if count} == {"same"}
        assert {name for name, count in sizes[5_000].items() if count} == {"added"}
        assert {name for name, count in sizes[10_000].items() if count} == {"removed"}
        assert fingerprint(settings) == before  # the live rows, and what the views show, are untouched
        assert ask(settings, "SELECT fold_version FROM v_active_fold") == (1,)

        # The live worker goes on; the second replay continues where the first stopped, and takes in what came since.
        produce(settings, Traffic(SEED + 1), 50, now_ms=now_ms + 25_000)
        await_committed(settings, process)
        activated = run_murmur(settings, *args, "--activate", **changes)
        assert activated.returncode == 0, activated.stderr
        assert "MURMUR_FOLD_VERSION=2" in activated.stdout
        assert ask(settings, "SELECT fold_version FROM v_active_fold") == (2,)
        assert process.terminate() == 0
    assert ask(settings, "SELECT groupUniqArray(window_ms) FROM v_windows WHERE window_ms != 1000") == ([5_000],)
    new = settings.model_copy(update={"fold_version": 2, "windows": "1s,5s", "allowed_lateness_ms": 0})
    _workers_continue(new, now_ms)
    assert databases(settings) == 0


def _workers_continue(new: Settings, now_ms: int) -> None:
    """Workers of the new version begin at the state of the replay, not at the start of the log."""
    with worker(new) as process:
        produce(new, Traffic(SEED + 2), 50, now_ms=now_ms + 30_000)
        await_committed(new, process)
        # The status is written once a second, so it may lag behind the commits.
        eventually(
            lambda: process.status()["counters"]["records"] >= 50 + _repeated_in(process),
            "the status tells of all",
        )
        assert process.status()["counters"]["records"] == 50 + _repeated_in(process)
        audit = run_murmur(new, "audit", "--format", "json")
        assert audit.returncode == 0, audit.stdout
        assert answer_of(audit)["verdict"] == "equal"
        same = run_murmur(new, "replay", "--from", "earliest", "--diff")
        assert same.returncode == 0, same.stdout + same.stderr
        assert process.terminate() == 0


def _repeated_in(process: WorkerProcess) -> int:
    """Traffic stores some records twice, as a producer's retry does."""
    return int(process.status()["counters"]["duplicate_records"])


@pytest.mark.kafka
@pytest.mark.parametrize("any_broker", ["kafka"], indirect=True)  # the embedded broker deletes no records
def test_a_log_that_has_lost_its_start_is_replayed_from_the_archive_and_old_windows_are_not_hidden(
    settings: Settings,
) -> None:
    make_topics(settings)
    with worker(settings) as process:
        fill(settings, process)
        assert process.terminate() == 0
    before = fingerprint(settings)
    # Each partition loses its records up to just behind its newest snapshot but two.
    snapshots = _snapshots(settings)
    delete_records(settings, {p: offsets[-3] + 1 for p, offsets in snapshots.items()})

    gone = run_murmur(settings, "replay", "--from", "offset:1")
    assert (gone.returncode, "is gone, the log begins at" in gone.stderr) == (1, True), gone.stderr
    refused = run_murmur(settings, "replay", "--from", "earliest")
    assert refused.returncode == 1
    (advice,) = re.findall(r"give --from (offset:\d+)", refused.stderr)
    assert advice == f"offset:{max(offsets[-2] for offsets in snapshots.values())}"
    later = run_murmur(settings, "replay", "--from", advice, "--format", "json")
    assert later.returncode == 0, later.stderr
    rows = {row["table"]: row for row in answer_of(later)}
    assert rows["windows"]["identical"] == rows["windows"]["recomputed"] > 0
    assert fingerprint(settings) == before

    args = ("replay", "--from", "earliest", "--fold-version", "2", "--activate")
    hidden = run_murmur(settings, *args)
    assert hidden.returncode == 1
    assert "rest on records the log no longer has" in hidden.stderr
    assert ask(settings, "SELECT fold_version FROM v_active_fold") == (1,)
    assert run_murmur(settings, *args, "--allow-missing").returncode == 0
    assert ask(settings, "SELECT fold_version FROM v_active_fold") == (2,)


def _snapshots(settings: Settings) -> dict[int, list[int]]:
    """Partition of the metrics topic -> offsets of its snapshots, ascending."""
    found: dict[int, list[int]] = {}
    for path in sorted(settings.state_dir.glob("*/swarm.metrics-*/*/*.snap")):
        found.setdefault(int(path.parts[-3].rpartition("-")[2]), []).append(int(path.stem))
    return found
