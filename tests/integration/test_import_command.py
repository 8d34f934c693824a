"""`murmur import` as a user types it, without servers: summaries, exit codes, one line for each mistake."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.brokers import free_port
from tests.support.stacks import murmur
from tests.support.transcripts import Author, usage, write

pytestmark = pytest.mark.e2e


def run(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    nowhere = {
        "kafka_bootstrap": f"127.0.0.1:{free_port()}",
        "clickhouse_url": f"http://127.0.0.1:{free_port()}",
    }
    return murmur("import", *args, home=tmp_path / "home", settings=nowhere)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1", usage=usage(output=5))
    return write(tmp_path / "transcripts" / "s1.jsonl", main.lines, tail=b'{"type":"us')


def test_a_dry_run_counts_needs_no_server_and_names_damage_on_stderr(tmp_path: Path, session: Path) -> None:
    done = run(tmp_path, "claude-code", str(session.parent), "--dry-run", "--format", "json")
    assert done.returncode == 0
    (summary,) = json.loads(done.stdout)
    assert (summary["swarms"], summary["model_call_events"], summary["published"]) == (1, 1, 0)
    assert summary["issues_by_kind"] == {"half-written line": 1}
    assert done.stderr == f"murmur: {session}:3: half-written last line (no line end, not JSON)\n"


def test_the_table_summary_is_for_people(tmp_path: Path, session: Path) -> None:
    done = run(tmp_path, "claude-code", str(session), "--dry-run")
    assert done.returncode == 0
    assert "import claude-code (dry run)" in done.stdout
    assert [line.split() for line in done.stdout.splitlines() if "model call events" in line] == [
        ["model", "call", "events", "1"]
    ]


def test_servers_that_are_away_end_with_one_line_and_exit_code_1(tmp_path: Path, session: Path) -> None:
    for flags, named in (([], "ClickHouse"), (["--force"], "Kafka")):
        done = run(tmp_path, "claude-code", str(session), *flags)
        assert done.returncode == 1
        assert named in done.stderr.splitlines()[-1]
        assert len(done.stderr.splitlines()) == 2  # the damaged line, then the server
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["claude-code", "nowhere"], "no such file or folder"),
        (["claude-flow", "nowhere"], "no such file or folder"),
        (["executions", "nowhere"], "no such file"),
        (["executions", "."], "is a folder; give one file"),
        (["file", "nowhere.csv"], "no such file"),
        (["claude-code", "--config-dir", "nowhere"], "no Claude Code transcripts found"),
    ],
)
def test_a_wrong_path_is_one_line_and_exit_code_2(tmp_path: Path, args: list[str], said: str) -> None:
    done = run(tmp_path, *args, "--dry-run")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_table_is_mapped_and_bad_flags_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cpu.csv"
    path.write_text("t,load\n1767225600,0.5\n1767225601,x\n")
    good = ["file", str(path), "--map", "timestamp=t", "--map", "value=load", "--set", "metric=cpu_usage"]
    seconds = ["--timestamp-unit", "s", "--swarm", "lab", "--dry-run"]
    done = run(tmp_path, *good, *seconds, "--format", "csv", "--format", "json")
    assert done.returncode == 0
    (summary,) = json.loads(done.stdout)
    assert (summary["rows"], summary["metric_events"], summary["issues"]) == (2, 1, 1)
    assert done.stderr == f"murmur: {path}:3: value 'x' is not a number\n"

    for flags, said in (
        (["--map", "valeu=load", *seconds], "'valeu' is no field"),
        (["--map", "unit=nope", *seconds], "no column nope; it has t, load"),
        (["--format", "csv", "--format", "parquet", *seconds], "a file has one format"),
        (["--swarm", "x" * 300, "--dry-run"], "at most 256 characters"),
    ):
        done = run(tmp_path, *good, *flags)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_file_without_one_usable_row_ends_with_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"success": true}\n')
    done = run(tmp_path, "executions", str(path), "--dry-run")
    assert done.returncode == 1
    assert "nothing that could be imported" in done.stderr
