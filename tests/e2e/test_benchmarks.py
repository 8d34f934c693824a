"""Every benchmark runs from its command line to its last table, with numbers too small to mean anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peer import PEERS_PYTHON
from benchmarks.storage import SESSIONS
from tests.support.clickhouse import require_engine

ROOT = Path(__file__).parents[2]
WITHIN_S = 240

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(WITHIN_S + 30)]


def run(name: str, *flags: str) -> str:
    """What the benchmark prints; fails with its words when it fails."""
    require_engine()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--runs", "1", *flags],
        cwd=ROOT,
        env=os.environ | {"MURMUR_SESSION_TIMEOUT_MS": "6000", "MURMUR_SNAPSHOT_INTERVAL_MS": "1000"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


def rows(printed: str, first: str) -> list[str]:
    """The lines of the tables that begin so."""
    return [line for line in printed.splitlines() if line.startswith(first)]


def test_ingest_measures_ours_and_every_installed_peer_on_the_same_records() -> None:
    printed = run("ingest", "--forms", "single", "--events", "2000")
    assert rows(printed, "Murmuration"), printed
    for peer in ("bare aiokafka", "plain Faust agent"):
        (line,) = rows(printed, f"{peer}  ")
        assert "2,000" in line, line
        assert "did not run" not in line
    for peer in ("Quix Streams", "Bytewax"):
        (line,) = rows(printed, f"{peer}  ")
        assert ("did not run" in line) == (not PEERS_PYTHON.exists()), line


def test_emit_measures_calls_and_loses_nothing() -> None:
    printed = run("emit", "--calls", "2000", "--seconds", "1")
    assert rows(printed, "back to back")
    assert "dropped 0 events" in printed


def test_freshness_dates_rows_and_anomaly_records() -> None:
    printed = run("freshness", "--rate", "1000", "--seconds", "20")
    assert rows(printed, "event to queryable row")
    assert rows(printed, "first wrong event to anomaly record")


def test_recovery_finds_every_event_once_after_a_kill_and_after_a_loss() -> None:
    printed = run("recovery", "--lag", "2000")
    assert rows(printed, "events of lag after kill -9")[0].split()[-1] == "2,000"
    assert rows(printed, "two / one, in the same run")


def test_scale_measures_both_curves() -> None:
    printed = run("scale", "--events", "1000", "--series", "104", "--series-events", "1000")
    assert rows(printed, "events  1,000")
    assert rows(printed, "series  1,000")
    assert rows(printed, "snapshot bytes a series")


def test_storage_measures_real_transcripts() -> None:
    if not SESSIONS.is_dir():
        pytest.skip(f"no transcripts at {SESSIONS}")
    printed = run("storage")
    assert rows(printed, "metrics")
    assert rows(printed, "activities")


def test_comparison_counts_error_rates_and_takes_the_time() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.comparison", "--simulations", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert rows(done.stdout, "360 comparisons of 1,000 tasks")
    assert len(rows(done.stdout, "normal")) == 8


def test_closed_holds_both_ways_against_each_other_on_the_same_samples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.closed", "--simulations", "4", "--draws", "200", "--units", "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    (line,) = (line for line in rows(done.stdout, "normal") if "unpaired" in line)
    assert line.split()[2:4] == ["600", "100"], "a normal sample of 600 needs no draws"
    assert "Over all: false findings" in done.stdout
