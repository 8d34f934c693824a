"""Stored bytes of a raw event, on real telemetry: transcripts of agent runs, imported as a user imports them.

    make bench BENCH=storage        python -m benchmarks.storage [--sessions FOLDER]

The files go through `murmur import claude-code`, the broker and the worker into ClickHouse; the tables are merged by
OPTIMIZE before they are measured, as ClickHouse merges them by itself in the course of time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine
from benchmarks.results import Table, publish, spread, verdict
from benchmarks.stack import TOPICS, Questions, Stack, add_arguments, running, until
from models.settings import Settings, environment_of
from tests.support.workers import worker

ROOT = Path(__file__).parents[1]
SESSIONS = ROOT.parent / "shared" / "data" / "claude_code" / "sessions"
BYTES_BUDGET = 12
PARTITIONS = 4


class Stored(NamedTuple):
    """One table after merging."""

    table: str
    rows: int
    bytes_on_disk: int
    parts: int

    @property
    def bytes_a_row(self) -> float:
        return self.bytes_on_disk / self.rows if self.rows else 0.0


def store(stack: Stack, sessions: Path) -> list[Stored]:
    """Imports the sessions into a fresh database and measures its tables."""
    stack.create_topics(TOPICS, partitions=PARTITIONS)
    settings = stack.fresh(partitions=PARTITIONS)
    with Questions(settings) as ask, worker(settings) as process:
        _import(settings, sessions)
        ends = stack.ends(TOPICS, partitions=PARTITIONS)
        until(lambda: _read_up(ends, process.status()), "the worker has read everything", process, every_s=0.2)
        for table in ("metrics", "activities"):
            ask.command(f"OPTIMIZE TABLE {table} FINAL")
        return [_measure(ask, table) for table in ("metrics", "activities")]


def _import(settings: Settings, sessions: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "interfaces.cli.main", "import", "claude-code", str(sessions)],
        cwd=ROOT,
        env=os.environ | environment_of(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):  # 1: some lines of the files are damaged, and said to be
        raise RuntimeError(f"the import ended with {done.returncode}: {done.stderr[-2_000:]}")


def _read_up(ends: dict[tuple[str, int], int], status: dict[str, Any]) -> bool:
    """Everything the log held after the import is acknowledged, by the broker's ends and by the worker's lag."""
    read = {(p["topic"], p["partition"]): p["acknowledged_offset"] for p in status.get("partitions", ())}
    return status.get("lag_records") == 0 and all(read.get(place, 0) >= end for place, end in ends.items())


def _measure(ask: Questions, table: str) -> Stored:
    parts = f"active AND database = currentDatabase() AND table = '{table}'"
    return Stored(
        table,
        ask.number(f"SELECT count() FROM {table}"),
        ask.table_bytes(table),
        ask.number(f"SELECT count() FROM system.parts WHERE {parts}"),
    )


def storage_table(runs: list[list[Stored]]) -> Table:
    """Bytes a row of each table."""
    rows = []
    for found in zip(*runs, strict=True):
        each = [s.bytes_a_row for s in found]
        budget = verdict(statistics.median(each), BYTES_BUDGET, at_least=False) if found[0].table == "metrics" else ""
        rows.append([found[0].table, f"{found[0].rows:,}", f"{found[0].parts}", spread(each, ".1f"), budget])
    head = ["table", "rows", "parts", "bytes on disk a row", "budget"]
    note = "Every day of events is a part of its own. Most metric events here are made from activities by the worker."
    return Table("Stored bytes of a raw event, real transcripts", head, rows, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=Path, default=SESSIONS, help="folder of Claude Code transcripts")
    add_arguments(parser, runs=1)
    arguments = parser.parse_args()
    if not arguments.sessions.is_dir():
        raise SystemExit(f"{arguments.sessions} is not here: give a folder of Claude Code transcripts by --sessions")
    facts = machine.facts()
    runs = []
    for _ in range(arguments.runs):
        with running(arguments.broker) as stack:
            runs.append(store(stack, arguments.sessions))
    publish(
        f"storage-{arguments.broker}",
        machine=facts,
        stated={"broker": arguments.broker, "runs": arguments.runs, "data": "real Claude Code transcripts"},
        runs=runs,
        tables=[storage_table(runs)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
