"""The life of the server's process: start, refuse to start, stop, crash, come back."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clickhouse import ROOT, EmbeddedClickHouse, require_engine
from tests.support.tmpfs import fill_up, small_disk

pytestmark = pytest.mark.integration

START_TIMEOUT_S = 60
STOP_WITHIN_S = 5.0
FILE_BYTES_MAX = 6 << 20  # 100,000 wide rows fit, 300,000 do not
LITTLE_ROOM_BYTES = 8 << 20
DISK_BYTES = 128 << 20  # the engine itself keeps about 20 MB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    require_engine()
    running = EmbeddedClickHouse(tmp_path / "data")
    yield running
    running.stop()


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A start that must fail: its exit code and what it said."""
    require_engine()
    return subprocess.run(
        [sys.executable, "-m", "infra.local.clickhouse_http", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
    )


def one_line(result: subprocess.CompletedProcess[str], code: int = 1) -> str:
    assert result.returncode == code, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("clickhouse_http: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def ask(port: int, sql: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", sql.encode())
    with urllib.request.urlopen(request, timeout=30) as reply:
        return str(reply.read().decode())


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(start("--port", str(port), "--data", str(tmp_path / "data")))
    assert f"port {port} on 127.0.0.1 is taken" in line
    assert "--port" in line
    assert not (tmp_path / "data").exists(), "nothing was opened for it"


def test_a_data_directory_in_use_is_told_in_one_line(server: EmbeddedClickHouse) -> None:
    server.start()
    line = one_line(start("--port", "0", "--data", str(server.data)))
    assert f"data directory {server.data}: another process has it open" in line
    assert ask(server.port, "SELECT 1") == "1\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "cannot be made" in one_line(start("--port", "0", "--data", str(tmp_path / "closed" / "data")))
    assert "not writable" in one_line(start("--port", "0", "--data", str(tmp_path / "closed")))


def test_a_file_in_place_of_the_directory_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "cannot be made" in one_line(start("--port", "0", "--data", str(tmp_path / "data")))


def test_too_little_disk_space_is_told_in_one_line(tmp_path: Path) -> None:
    line = one_line(
        start("--port", "0", "--data", str(tmp_path / "data"), "--limit", f"disk_free_bytes_min={2**60}"),
        code=os.EX_TEMPFAIL,
    )
    assert re.search(r"\d+ MiB free, at least \d+ MiB are needed", line)


def test_a_log_that_cannot_be_written_does_not_change_the_exit_code(tmp_path: Path) -> None:
    """The log lies on the full disk, too; by the code alone a supervisor knows that a later start may succeed."""
    require_engine()
    command = [sys.executable, "-m", "infra.local.clickhouse_http", "--port", "0", "--data", str(tmp_path / "data")]
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [*command, "--limit", f"disk_free_bytes_min={2**60}"],
            cwd=ROOT,
            stdout=full,
            stderr=full,
            timeout=START_TIMEOUT_S,
        )
    assert process.returncode == os.EX_TEMPFAIL


def test_mistakes_on_the_command_line_are_told(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert "no such bound" in one_line(start("--port", "0", "--data", data, "--limit", "speed=1"))
    assert "not a number" in one_line(start("--port", "0", "--data", data, "--limit", "queries_max=x"))
    assert "cannot be read" in one_line(start("--port", "0", "--data", data, "--users-file", f"{data}/none"))
    assert "--users-file" in one_line(start("--port", "0", "--data", data, "--host", "0.0.0.0"))


def test_a_running_query_does_not_delay_the_stop(server: EmbeddedClickHouse) -> None:
    server.start()
    assert server.process is not None
    ended = threading.Event()

    def slow() -> None:
        try:
            ask(server.port, "SELECT sum(sleepEachRow(0.01)) FROM numbers(100000) SETTINGS max_block_size = 1")
        except (urllib.error.URLError, OSError):
            ended.set()

    thread = threading.Thread(target=slow)
    thread.start()
    deadline_s = time.monotonic() + 20
    while ask(server.port, "SELECT count() FROM system.processes WHERE query LIKE '%sleepEach%'") < "2":
        assert time.monotonic() < deadline_s
    began_s = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(STOP_WITHIN_S) == 0
    assert time.monotonic() - began_s < STOP_WITHIN_S
    thread.join(10)
    assert ended.is_set(), "the client was told, not left waiting"


def test_acknowledged_rows_survive_kill_9(server: EmbeddedClickHouse) -> None:
    server.start()
    ask(server.port, "CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a")
    acknowledged: set[int] = set()

    def write() -> None:
        number = 0
        try:
            while True:
                ask(server.port, f"INSERT INTO kept FORMAT CSV\n{number}\n")
                acknowledged.add(number)
                number += 1
        except (urllib.error.URLError, OSError):
            return

    thread = threading.Thread(target=write)
    thread.start()
    deadline_s = time.monotonic() + 30
    while len(acknowledged) < 50:
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)
    server.kill()
    thread.join(10)
    (server.data / "http_spool" / "leftover").write_bytes(b"of the killed server")
    server.start()
    stored = {int(line) for line in ask(server.port, "SELECT a FROM kept").splitlines()}
    assert acknowledged <= stored
    assert len(stored - acknowledged) <= 1, "at most the insert that was under way"
    assert list((server.data / "http_spool").iterdir()) == []


def wide_rows(count: int) -> str:
    """Rows that cannot be compressed: about 24 bytes each on disk."""
    return f"SELECT number, toString(rand64()) || toString(rand64(1)) FROM numbers({count})"


def let_writes_fail(server: EmbeddedClickHouse) -> None:
    """From now on the server's process may write no file beyond FILE_BYTES_MAX, as if the disk were full then."""
    assert server.process is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))


def await_failed_write(server: EmbeddedClickHouse) -> None:
    """The process has ended by itself and said why."""
    assert server.process is not None
    assert server.process.wait(START_TIMEOUT_S) == os.EX_IOERR
    said = (server.data.parent / "clickhouse.log").read_text()
    assert "write_failed" in said
    assert "the next start takes only whole parts" in said


def test_an_insert_whose_write_failed_is_not_acknowledged_and_leaves_nothing(server: EmbeddedClickHouse) -> None:
    server.start()
    ask(server.port, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    ask(server.port, f"INSERT INTO t {wide_rows(1_000)}")
    let_writes_fail(server)
    with pytest.raises(OSError, match=r"without response|closed|reset"):
        ask(server.port, f"INSERT INTO t {wide_rows(400_000)}")
    await_failed_write(server)
    server.start()
    assert ask(server.port, "SELECT count(), countIf(s != '') FROM t") == "1000\t1000\n"


def test_a_merge_that_could_not_be_written_costs_no_row(server: EmbeddedClickHouse) -> None:
    server.start()
    ask(
        server.port,
        "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a SETTINGS min_age_to_force_merge_seconds = 2",
    )
    let_writes_fail(server)
    for _ in range(3):  # each fits, all together do not
        ask(server.port, f"INSERT INTO t {wide_rows(100_000)}")
    await_failed_write(server)
    server.start()
    assert ask(server.port, "SELECT count(), countIf(s != '') FROM t") == "300000\t300000\n"


def test_without_room_nothing_is_added_and_space_can_be_given_back(server: EmbeddedClickHouse) -> None:
    with small_disk(server.data, DISK_BYTES):
        server.start()
        ask(server.port, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
        ask(server.port, f"INSERT INTO t {wide_rows(10)}")
        ballast = fill_up(server.data)
        os.truncate(ballast, ballast.stat().st_size - LITTLE_ROOM_BYTES)
        for sql in (f"INSERT INTO t {wide_rows(1)}", "INSERT INTO t VALUES (1, 'a')", "CREATE TABLE u AS t"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(server.port, sql)
            said = refused.value.read().decode()
            assert "Code: 243" in said
            assert "MiB are free in the data directory, at least 64 MiB are needed" in said
        assert ask(server.port, "SELECT count() FROM t") == "10\n"
        ask(server.port, "TRUNCATE TABLE t")
        ballast.unlink()
        ask(server.port, "INSERT INTO t VALUES (1, 'a')")
        assert ask(server.port, "SELECT count() FROM t") == "1\n"
        server.stop()
