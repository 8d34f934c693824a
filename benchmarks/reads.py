"""Reads over 100 million raw events: the everyday questions of a dashboard, and a comparison of 10 swarms.

    make bench BENCH=reads        python -m benchmarks.reads [--events N] [--data DIR] [--repeats N]

Starts its own ClickHouse on loopback and fills it with the month of 12 swarms of `benchmarks/history.py` (about 10
minutes and 4 GB for 100 M events); with --data the directory is kept and filled only once. Then it waits until
everything is rolled up, writes the last hour again, so that one hour has changed as in a running system, and asks each
question over HTTP. Warm: asked again and again. Cold: marks and caches of the engine dropped, and the files' pages out
of the system's cache, before each time. Rows and bytes are the engine's own counts, CPU is the engine's process.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import machine
from benchmarks.fill import fill_database
from benchmarks.history import SEED, Plan, write_last_hour_again
from benchmarks.questions import QUESTIONS
from reports.build import build_report
from reports.config import ReportConfig
from reports.queries.clickhouse import ClickHouseReader
from sinks.clickhouse import migrate
from sinks.clickhouse.client import Client, connect
from tests.support.clickhouse import EmbeddedClickHouse

DASHBOARD_BUDGET_MS = 50  # p95, warm
COMPARISON_BUDGET_S = 1.0
COMPARED = 10  # swarms
COLD_REPEATS = 3
ROLLUP_TIMEOUT_S = 1_800.0  # two minutes of quiet, then at most 1,000 hours of a swarm a minute


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one question in ms, and what its last run read."""

    warm_ms: list[float]
    cold_ms: list[float]
    cpu_ms: float
    rows: int
    bytes: int

    def line(self, name: str) -> str:
        over = "  over" if _at(self.warm_ms, 0.95) > DASHBOARD_BUDGET_MS else ""
        return (
            f"{name:44} {_at(self.warm_ms, 0.5):>7.1f} {_at(self.warm_ms, 0.95):>7.1f} {self.cpu_ms:>7.1f} "
            f"{_at(self.cold_ms, 0.5):>8.1f} {self.rows:>10,} {self.bytes / 2**20:>8.1f}{over}"
        )


HEADER = f"{'question':44} {'p50 ms':>7} {'p95 ms':>7} {'cpu ms':>7} {'cold ms':>8} {'rows':>10} {'MiB':>8}"


def measure(server: EmbeddedClickHouse, client: Client, sql: str, repeats: int) -> Timing:
    """One question, cold and then warm."""
    assert server.process is not None
    engine = psutil.Process(server.process.pid)
    cold = []
    for _ in range(COLD_REPEATS):
        make_cold(client, server.data)
        cold.append(_timed_ms(lambda: client.query(sql)))
    client.query(sql)
    before = _cpu_s(engine)
    warm = [_timed_ms(lambda: client.query(sql)) for _ in range(repeats)]
    cpu_ms = (_cpu_s(engine) - before) * 1000 / repeats
    read = client.query(sql).summary
    return Timing(warm, cold, cpu_ms, int(read["read_rows"]), int(read["read_bytes"]))


def make_cold(client: Client, data: Path) -> None:
    """The engine's caches dropped, and every file's pages out of the system's cache."""
    for cache in ("MARK CACHE", "UNCOMPRESSED CACHE", "QUERY CONDITION CACHE"):
        client.command(f"SYSTEM CLEAR {cache}")
    for path in data.rglob("*.*"):
        try:
            file = os.open(path, os.O_RDONLY)
        except OSError:  # a part that was merged away meanwhile
            continue
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def compare(client: Client, swarm_ids: list[str]) -> None:
    """A comparison as `murmur compare` makes it, without drawing: the questions, then the statistics."""
    asked: dict[str, float] = {}
    rows: dict[str, int] = {}

    class Timed(ClickHouseReader):
        def _ask(self, name, make, **parameters):  # type: ignore[no-untyped-def]
            started = time.perf_counter()
            result = super()._ask(name, make, **parameters)
            asked[name] = time.perf_counter() - started
            rows[name] = len(result.rows)
            return result

    started, cpu = time.perf_counter(), time.process_time()
    build_report(Timed(client), ReportConfig(swarms=tuple(swarm_ids)), with_charts=False)
    total, spent = time.perf_counter() - started, time.process_time() - cpu
    for name, seconds in sorted(asked.items(), key=lambda item: -item[1]):
        print(f"  {name:20} {seconds * 1000:>8.1f} ms {rows[name]:>8,} rows")
    queries = sum(asked.values())
    print(
        f"comparison of {len(swarm_ids)} swarms: {total:.2f} s (budget {COMPARISON_BUDGET_S} s): "
        f"questions {queries:.2f} s, statistics {total - queries:.2f} s; {spent:.2f} s of CPU in this process"
    )


def wait_for_rollups(client: Client) -> None:
    """Until every hour and day is rolled up."""
    deadline = time.monotonic() + ROLLUP_TIMEOUT_S
    while client.command("SELECT count() FROM v_rollup_marks WHERE NOT clean") or client.command(
        "SELECT count() FROM v_changed_days"
    ):
        if time.monotonic() > deadline:
            raise SystemExit(
                "the roll-ups are not complete: "
                + str(client.query("SELECT view, status, exception FROM system.view_refreshes").result_rows)
            )
        time.sleep(2)


def run(data: Path, plan: Plan, repeats: int) -> None:
    """Fills `data` where it is empty, then measures and prints."""
    server = EmbeddedClickHouse(data).start()
    try:
        migrate.migrate(server.settings)
        client = connect(server.settings)
        if not client.command("SELECT count() FROM (SELECT 1 FROM metrics LIMIT 1)"):
            fill_database(server.settings, plan)
        started = time.perf_counter()
        wait_for_rollups(client)
        print(f"rolled up after {time.perf_counter() - started:.0f} s")
        write_last_hour_again(client)
        stored = client.command("SELECT count() FROM metrics")
        print(
            f"{stored:,} rows in metrics; warm: {repeats} times, cold: {COLD_REPEATS} times; "
            f"load {os.getloadavg()[0]:.1f}"
        )
        print(HEADER)
        for question in QUESTIONS:
            print(measure(server, client, question.sql, repeats).line(question.name), flush=True)
        compare(client, plan.swarm_ids()[:COMPARED])
        client.close()
    finally:
        server.stop()


def _timed_ms(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) * 1000


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _at(samples: list[float], q: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000_000, help="plain raw events; default: %(default)s")
    parser.add_argument("--days", type=int, default=30, help="spread over so many days; default: %(default)s")
    parser.add_argument("--data", type=Path, help="data directory to keep; default: a temporary one")
    parser.add_argument("--repeats", type=int, default=20, help="of each question, warm; default: %(default)s")
    arguments = parser.parse_args()
    plan = Plan(arguments.events, arguments.days)
    print(machine.describe())
    print(f"seed {SEED}, {plan.events:,} events over {plan.days} days, {plan.tasks:,} tasks in each of 12 swarms")
    if arguments.data is not None:
        run(arguments.data, plan, arguments.repeats)
        return
    with tempfile.TemporaryDirectory(prefix="murmur-bench-") as home:
        run(Path(home) / "data", plan, arguments.repeats)


if __name__ == "__main__":
    main()
