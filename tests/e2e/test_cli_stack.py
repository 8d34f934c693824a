"""What a user types, from `up` to `down`: events in on stdin, rows out of ClickHouse, all through the commands."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.clock import SystemClock
from tests.support.stacks import environment, home_of_stack, murmur, processes_of
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

UP_WITHIN_S = 60.0  # a hang, not a figure: `make bench` measures how long it takes
DOWN_WITHIN_S = 30.0  # likewise
ROWS_WITHIN_S = 30.0
EVENTS = 2_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running stack with a worker for the tests of this file."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    with home_of_stack(home):
        done = murmur("up", home=home)
        assert done.returncode == 0, done.stderr
        yield home


def rows(home: Path, sql: str) -> list[dict[str, object]]:
    done = murmur("sql", "--format", "json", sql, home=home)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_up_status_and_down_keep_their_promises(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_of_stack(home):
        started_s = time.monotonic()
        done = murmur("up", "--format", "json", home=home)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - started_s < UP_WITHIN_S
        state = json.loads(murmur("status", "--format", "json", home=home).stdout)
        assert state["ready"] is True
        assert {p["name"] for p in state["processes"]} == {
            *("supervisor", "broker", "clickhouse", "worker-1", "alerter")
        }
        assert all(p["state"] == "ready" and p["pid"] for p in state["processes"])
        assert state["clickhouse_url"].startswith("http://127.0.0.1:")
        assert state["kafka_bootstrap"].startswith("127.0.0.1:")
        assert state["clickhouse_user"]
        assert len(state["clickhouse_password"]) >= 16
        assert json.loads(done.stdout)[0]["clickhouse_url"] == state["clickhouse_url"]
        assert murmur("doctor", home=home).returncode == 0
        assert murmur("alerts", "status", home=home).returncode == 0

        started_s = time.monotonic()
        assert murmur("down", home=home).returncode == 0
        assert time.monotonic() - started_s < DOWN_WITHIN_S
        assert not processes_of(home)
        after = murmur("status", "--format", "json", home=home)
        assert (after.returncode, json.loads(after.stdout)["ready"]) == (3, False)


def test_a_stalled_worker_is_told_with_its_reason_until_it_goes_on(home: Path) -> None:
    def state() -> tuple[int, dict[str, Any]]:
        done = murmur("status", "--format", "json", home=home)
        return done.returncode, json.loads(done.stdout)

    eventually(lambda: state()[0] == 0, within_s=60, what="a ready stack")
    kept = (home / "state").rename(home / "state.kept") if (home / "state").exists() else None
    (home / "state").write_text("a file where the folder should be")
    line = b'{"swarm_id":"stalled","metric":"m","value":1}'
    assert murmur("publish", "--stamp", home=home, stdin=line).returncode == 0
    eventually(lambda: state()[1]["phase"] == "stalled", within_s=60, what="the stall told")
    code, said = state()
    assert (code, said["ready"]) == (1, False)
    assert "worker-1: snapshot at" in said["error"]
    assert next(p for p in said["processes"] if p["name"] == "worker-1")["state"] == "stalled"
    table = murmur("status", home=home).stdout
    assert "stalled" in table
    assert "cannot be written" in table
    again = murmur("up", home=home)
    assert again.returncode == 1
    assert "worker-1 is stalled: snapshot at" in again.stderr
    doctor = murmur("doctor", "--format", "json", home=home)
    assert next(f for f in json.loads(doctor.stdout) if f["check"] == "worker-1")["state"] == "fail"
    (home / "state").unlink()
    if kept is not None:
        kept.rename(home / "state")
    eventually(lambda: state()[0] == 0, within_s=60, what="ready again")


def test_the_inside_of_a_worker_is_shown_partition_by_partition(home: Path) -> None:
    line = b'{"swarm_id":"inside","metric":"m","value":1}'
    assert murmur("publish", "--stamp", home=home, stdin=line).returncode == 0

    def worker() -> dict[str, Any]:
        (found,) = json.loads(murmur("status", "--detail", "--format", "json", home=home).stdout)["workers"]
        return dict(found)

    def settled() -> bool:
        partitions = worker()["partitions"]
        return len(partitions) == 8 and any(p["committed_offset"] and not p["lag_records"] for p in partitions)

    eventually(settled, within_s=60, what="rows, snapshot and commit of the event")
    for p in worker()["partitions"]:
        assert (p["committed_offset"] or 0) <= p["snapshot_offset"] <= p["acknowledged_offset"] <= p["next_offset"]
        assert all(c["size"] >= 0 and c["size"] <= (c["bound"] or c["size"]) for c in p["containers"].values())
    assert sum(p["containers"]["producers"]["size"] for p in worker()["partitions"]) > 0
    assert worker()["buffers"].keys() == {"swarm.metrics", "swarm.activities"}
    table = murmur("status", "--detail", home=home).stdout
    assert "swarm.metrics[3]" in table
    assert "at most" in table
    rows = list(csv.DictReader(io.StringIO(murmur("status", "--detail", "--format", "csv", home=home).stdout)))
    assert {"worker", "place", "container", "size", "bound"} == rows[0].keys()


def test_published_lines_come_out_as_rows_and_windows(home: Path) -> None:
    now_ms = SystemClock().now_ms()
    base_ms = now_ms - now_ms % 60_000 - 60_000  # the minute before this one: both window sizes align with it
    events = [
        {
            "swarm_id": "e2e",
            "agent_id": f"a{i % 3}",
            "metric": "queue_depth",
            "value": i * 0.5,
            "timestamp": base_ms + i * 5,
        }
        for i in range(EVENTS)
    ]
    activity = {
        "swarm_id": "e2e",
        "agent_id": "a0",
        "id": "act-1",
        "kind": "task",
        "status": "completed",
        "started_at": base_ms,
        "ended_at": base_ms + 1_500,
        "duration_ms": 1_500,
    }
    lines = "\n".join(json.dumps(event) for event in [*events, activity])
    done = murmur("publish", "--format", "json", home=home, stdin=lines.encode())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["published"] == EVENTS + 1

    mine = "WHERE swarm_id = 'e2e' AND metric = 'queue_depth'"
    eventually(
        lambda: rows(home, f"SELECT count() AS n FROM v_metrics {mine}")[0]["n"] == EVENTS,
        within_s=ROWS_WITHIN_S,
        what="all rows",
    )
    wanted = Counter(
        (event["agent_id"], event["timestamp"] // 10_000 * 10_000)
        for event in events  # type: ignore[operator]
    )
    # Rows of raw events and of windows leave the worker in the same flush, but not in the same insert.
    eventually(
        lambda: (
            {
                (row["agent_id"], row["start_ms"]): row["events"]
                for row in rows(
                    home,
                    "SELECT agent_id, toUnixTimestamp64Milli(window_start) AS start_ms, events FROM v_windows "
                    f"{mine} AND window_ms = 10000",
                )
            }
            == dict(wanted)
        ),
        within_s=ROWS_WITHIN_S,
        what="windows as recounted",
    )
    eventually(
        lambda: (
            rows(home, "SELECT kind, duration_ms FROM v_activities WHERE swarm_id = 'e2e'")
            == [{"kind": "task", "duration_ms": 1500.0}]
        ),
        within_s=ROWS_WITHIN_S,
        what="the activity",
    )

    shown = murmur("monitor", "--swarm", "e2e", "--metric", "queue_depth", "--format", "csv", home=home)
    table = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["agent_id"] for row in table] == ["a0", "a1", "a2"]
    assert {row["metric"] for row in table} == {"queue_depth"}


def test_bad_lines_are_named_with_number_and_rule_and_the_others_are_sent(home: Path) -> None:
    good = b'{"swarm_id":"half","metric":"m","value":1,"timestamp":1795172792000}'
    lines = [
        good,
        b"not json",
        b"",
        b'{"swarm_id":"half","metric":"m","value":"1","timestamp":1795172792000}',
        b'{"swarm_id":"half","metric":"m","value":NaN,"timestamp":1795172792000}',
        b'{"swarm_id":"half","metric":"m","value":1}',
        good,  # and no newline at the end
    ]
    done = murmur("publish", "--format", "json", home=home, stdin=b"\n".join(lines))
    assert done.returncode == 1
    assert json.loads(done.stdout)[0] == {"events": 6, "published": 2, "bad": 4, "records": 1}
    said = [line.split(": ")[1:3] for line in done.stderr.splitlines()]
    assert said == [
        ["line 2", "E_JSON"],
        ["line 4", "E_FIELD_TYPE"],
        ["line 5", "E_VALUE_NOT_FINITE"],
        ["line 6", "E_FIELD_MISSING"],
    ]


def test_a_live_pipe_is_published_while_it_is_still_open(home: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "interfaces.cli.main", "publish", "--stamp"],
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert command.stdin is not None
    command.stdin.write(b'{"swarm_id":"live","metric":"m","value":1}\n')
    command.stdin.flush()
    eventually(
        lambda: rows(home, "SELECT count() AS n FROM v_metrics WHERE swarm_id = 'live'")[0]["n"] == 1,
        within_s=ROWS_WITHIN_S,
        what="the line arrived before the pipe ended",
    )
    assert command.poll() is None
    command.stdin.close()
    assert command.wait(30) == 0


def test_publishing_without_a_broker_says_so_and_fails(tmp_path: Path) -> None:
    done = murmur(
        "publish",
        home=tmp_path,
        settings={"kafka_bootstrap": "127.0.0.1:1"},
        stdin=b'{"swarm_id":"s","metric":"m","value":1,"timestamp":1795172792000}',
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr


def test_sql_reads_in_every_format_and_writes_only_when_told_to(home: Path) -> None:
    question = "SELECT 1 AS a, NULL AS b, 'x' AS c"
    printed = {f: murmur("sql", "--format", f, question, home=home).stdout for f in ("csv", "ndjson", "markdown")}
    assert printed["csv"] == '"a","b","c"\n1,,"x"\n'
    assert json.loads(printed["ndjson"]) == {"a": 1, "b": None, "c": "x"}
    assert printed["markdown"].splitlines()[0] == "| a | b | c |"
    assert murmur("sql", home=home, stdin=f"{question};\n".encode()).returncode == 0
    own = murmur("sql", f"{question} FORMAT TSVWithNames", home=home)
    assert own.stdout == "a\tb\tc\n1\t\\N\tx\n"

    for refused in (
        "CREATE TABLE t (a Int8) ENGINE = Memory",
        "WITH 1 AS a INSERT INTO reports (title) SELECT 'x'",
    ):
        done = murmur("sql", refused, home=home)
        assert done.returncode != 0
        assert len(done.stderr.splitlines()) == 1
    assert rows(home, "SELECT count() AS n FROM system.tables WHERE name = 't'") == [{"n": 0}]
    assert rows(home, "SELECT count() AS n FROM reports WHERE title = 'x'") == [{"n": 0}]
    assert murmur("sql", "--write", "CREATE TABLE t (a Int8) ENGINE = Memory", home=home).returncode == 0
    assert rows(home, "SELECT count() AS n FROM system.tables WHERE name = 't'") == [{"n": 1}]


@pytest.mark.parametrize(
    ("question", "said"),
    [("SELECT * FROM nowhere", "UNKNOWN_TABLE (60)"), ("SELEC 1", "--write"), (";", "empty")],
)
def test_a_question_that_cannot_be_answered_is_one_line(home: Path, question: str, said: str) -> None:
    done = murmur("sql", question, home=home)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_read_only_user_of_the_stack_cannot_write(home: Path) -> None:
    state = json.loads(murmur("status", "--format", "json", home=home).stdout)
    reader = {
        "clickhouse_url": state["clickhouse_url"],
        "clickhouse_user": state["clickhouse_read_user"],
        "clickhouse_password": state["clickhouse_read_password"],
    }
    assert murmur("sql", "--format", "csv", "SELECT 1", home=home, settings=reader).stdout == '"1"\n1\n'
    done = murmur("sql", "--write", "DROP TABLE reports", home=home, settings=reader)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert rows(home, "SELECT count() AS n FROM system.tables WHERE name = 'reports'") == [{"n": 1}]


def test_migrate_says_where_the_schema_stands(home: Path) -> None:
    state = murmur("migrate", "status", "--format", "json", home=home)
    assert state.returncode == 0
    assert {row["state"] for row in json.loads(state.stdout)} == {"applied"}
    assert murmur("migrate", home=home).stdout == "the schema is up to date\n"
    refused = murmur("migrate", "down", "--to", "0", home=home)
    assert refused.returncode == 1
    assert "--allow-data-loss" in refused.stderr
    other = {"clickhouse_database": "other"}
    dry = murmur("migrate", "--dry-run", home=home, settings=other)
    assert "CREATE TABLE" in dry.stdout
    assert rows(home, "SELECT count() AS n FROM system.databases WHERE name = 'other'") == [{"n": 0}]


def test_monitor_names_the_swarms_it_knows_when_asked_for_another(home: Path) -> None:
    done = murmur("monitor", "--swarm", "nobody", home=home)
    assert done.returncode == 1
    assert "no windows of 10000 ms for swarm 'nobody'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_killed_worker_comes_back_and_goes_on(home: Path) -> None:
    def worker() -> dict[str, object]:
        state = json.loads(murmur("status", "--format", "json", home=home).stdout)
        return next(p for p in state["processes"] if p["name"] == "worker-1")

    before = worker()
    os.kill(int(str(before["pid"])), signal.SIGKILL)
    eventually(
        lambda: worker()["state"] == "ready" and worker()["pid"] != before["pid"],
        within_s=60,
        what="a new worker",
    )
    line = b'{"swarm_id":"after","metric":"m","value":1}'
    assert murmur("publish", "--stamp", home=home, stdin=line).returncode == 0
    eventually(
        lambda: rows(home, "SELECT count() AS n FROM v_metrics WHERE swarm_id = 'after'")[0]["n"] == 1,
        within_s=ROWS_WITHIN_S,
        what="rows after the restart",
    )


def test_a_crashed_embedded_broker_takes_the_worker_through_a_fresh_start(home: Path) -> None:
    """Its log is in memory: the topics are made anew, rows of the earlier log stay, new events are taken."""

    def state() -> dict[str, dict[str, object]]:
        processes = json.loads(murmur("status", "--format", "json", home=home).stdout)["processes"]
        return {p["name"]: p for p in processes}

    def publish(value: int) -> int:
        line = b'{"swarm_id":"two-logs","metric":"m","value":%d}' % value
        return murmur("publish", "--stamp", home=home, stdin=line).returncode

    def values() -> list[object]:
        found = rows(home, "SELECT value FROM v_metrics WHERE swarm_id = 'two-logs' ORDER BY value")
        return [row["value"] for row in found]

    assert publish(1) == 0
    eventually(lambda: values() == [1.0], within_s=ROWS_WITHIN_S, what="the event of the first log")
    before = state()
    os.kill(int(str(before["broker"]["pid"])), signal.SIGKILL)
    eventually(
        lambda: all(
            state()[name]["state"] == "ready" and state()[name]["pid"] != before[name]["pid"]
            for name in ("broker", "worker-1")
        ),
        within_s=90,
        what="broker and worker back",
    )
    assert publish(2) == 0
    eventually(lambda: values() == [1.0, 2.0], within_s=ROWS_WITHIN_S, what="events of both logs")
