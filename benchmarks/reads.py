"""Reads over 100 million raw events: the everyday questions of a dashboard, and a comparison of 10 swarms.

    make bench BENCH=reads        python -m benchmarks.reads [--events N] [--data DIR] [--repeats N] [--write]

Starts its own ClickHouse on loopback and fills it with the month of 12 swarms of `benchmarks/history.py` (about 10
minutes and 4 GB for 100 M events); with --data the directory is kept and filled only once. Then it waits until
everything is rolled up, writes the last hour again, so that one hour has changed as in a running system, and asks each
question over HTTP. Warm: asked again and again. Cold: marks and caches of the engine dropped, and the files' pages out
of the system's cache, before each time. Rows and bytes are the engine's own counts, CPU is the engine's process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import machine
from benchmarks.fill import fill_database
from benchmarks.history import SEED, Plan, write_last_hour_again
from benchmarks.questions import QUESTIONS
from benchmarks.results import MIB, Table, publish, spread, verdict
from reports.build import build_report
from reports.comparison import ComparisonRequest, all_pairs, build_comparison
from reports.config import ReportConfig
from reports.queries.clickhouse import ClickHouseReader
from reports.queries.side import Condition, Side
from sinks.clickhouse import migrate
from sinks.clickhouse.client import Client, connect
from tests.support.clickhouse import EmbeddedClickHouse

DASHBOARD_BUDGET_MS = 50  # p95, warm
COMPARISON_BUDGET_S = 1.0
COMPARED = 10  # swarms
COLD_REPEATS = 3
COMPARISONS = 5  # the first pays for what is loaded once
ROLLUP_TIMEOUT_S = 1_800.0  # two minutes of quiet, then at most 1,000 hours of a swarm a minute


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one question in ms, and what its last run read."""

    warm_ms: list[float]
    cold_ms: list[float]
    cpu_ms: float
    rows: int
    bytes: int

    def row(self, name: str) -> list[str]:
        """A line of the table."""
        return [
            name,
            f"{_at(self.warm_ms, 0.5):.1f}",
            f"{_at(self.warm_ms, 0.95):.1f}",
            f"{self.cpu_ms:.1f}",
            f"{_at(self.cold_ms, 0.5):.1f}",
            f"{self.rows:,}",
            f"{self.bytes / MIB:.1f}",
            verdict(_at(self.warm_ms, 0.95), DASHBOARD_BUDGET_MS, at_least=False),
        ]


HEADER = ["question", "p50 ms", "p95 ms", "CPU ms", "cold ms", "rows", "MiB", "budget, p95"]


class Compared(NamedTuple):
    """One comparison, in seconds: as a report, its questions by name and when the last was answered, CPU of this
    process, and as `murmur compare`, which asks four of these questions."""

    report_s: float
    questions_s: dict[str, float]
    answered_s: float
    cpu_s: float
    compare_s: float


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


def compare(client: Client, swarm_ids: list[str]) -> Compared:
    """A comparison as a report without drawing, and then as `murmur compare` makes it."""
    asked: dict[str, tuple[float, float]] = {}

    class Timed(ClickHouseReader):
        def _ask(self, name, make, **parameters):  # type: ignore[no-untyped-def]
            began = time.perf_counter()
            result = super()._ask(name, make, **parameters)
            asked[name] = began, time.perf_counter()
            return result

    started, cpu = time.perf_counter(), time.process_time()
    build_report(Timed(client), ReportConfig(swarms=tuple(swarm_ids)), with_charts=False)
    report_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    sides = tuple(Side(name, (Condition("swarm_id", (name,)),)) for name in swarm_ids)
    again = time.perf_counter()
    build_comparison(client, ComparisonRequest(sides, all_pairs(sides)))
    return Compared(
        report_s=report_s,
        questions_s={name: end - began for name, (began, end) in asked.items()},
        answered_s=max(end for _, end in asked.values()) - started,
        cpu_s=cpu_s,
        compare_s=time.perf_counter() - again,
    )


def comparison_table(runs: list[Compared]) -> Table:
    """Both ways to compare, and every question."""

    def judged(name: str, seconds: list[float]) -> list[str]:
        return [name, spread(seconds, ".2f"), verdict(statistics.median(seconds), COMPARISON_BUDGET_S, at_least=False)]

    rows = [
        judged("as a report", [run.report_s for run in runs]),
        judged("`murmur compare`", [run.compare_s for run in runs]),
        ["of the report: the last answer", spread((run.answered_s for run in runs), ".2f"), ""],
        ["of the report: CPU of the comparing process", spread((run.cpu_s for run in runs), ".2f"), ""],
    ]
    for name in sorted(runs[0].questions_s, key=lambda name: -runs[0].questions_s[name]):
        rows.append([f"question `{name}`", spread((run.questions_s[name] for run in runs), ".2f"), ""])
    note = (
        f"{len(runs)} times, the first with everything still to be loaded; median, lowest to highest. Questions are "
        "asked two at a time, while the statistics are computed: they wait for each other and do not add up."
    )
    return Table(f"Comparison of {COMPARED} swarms, seconds", ["", "s", "budget"], rows, note)


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


def run(data: Path, plan: Plan, repeats: int) -> tuple[dict[str, Timing], list[Compared], int]:
    """Fills `data` where it is empty, then measures; the number of stored events comes last."""
    server = EmbeddedClickHouse(data).start()
    try:
        migrate.migrate(server.settings)
        client = connect(server.settings)
        if not client.command("SELECT count() FROM (SELECT 1 FROM metrics LIMIT 1)"):
            fill_database(server.settings, plan)
        started = time.perf_counter()
        wait_for_rollups(client)
        print(f"rolled up after {time.perf_counter() - started:.0f} s; load {os.getloadavg()[0]:.1f}", flush=True)
        write_last_hour_again(client)
        stored = int(client.command("SELECT count() FROM metrics"))  # type: ignore[arg-type]
        asked = {question.name: measure(server, client, question.sql, repeats) for question in QUESTIONS}
        compared = [compare(client, plan.swarm_ids()[:COMPARED]) for _ in range(COMPARISONS)]
        client.close()
    finally:
        server.stop()
    return asked, compared, stored


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
    parser.add_argument("--write", action="store_true", help="save the figures and refresh docs/benchmarks.md")
    arguments = parser.parse_args()
    plan = Plan(arguments.events, arguments.days)
    facts = machine.facts()
    with tempfile.TemporaryDirectory(prefix="murmur-bench-") as home:
        asked, compared, stored = run(arguments.data or Path(home) / "data", plan, arguments.repeats)
    within = sum(_at(timing.warm_ms, 0.95) <= DASHBOARD_BUDGET_MS for timing in asked.values())
    rows = [timing.row(name) for name, timing in asked.items()]
    note = (
        f"{within} of {len(asked)} questions are within the budget. CPU is the engine's; rows and bytes are its counts."
    )
    publish(
        "reads",
        machine=facts,
        stated={
            "seed": SEED,
            "rows in metrics": f"{stored:,}",
            "days": plan.days,
            "tasks of a swarm": plan.tasks,
            "repeats": f"{arguments.repeats} warm and {COLD_REPEATS} cold",
            "load when it ended": round(os.getloadavg()[0], 1),
        },
        runs=[{name: asdict(timing) for name, timing in asked.items()}, *compared],
        tables=[Table("Questions of a dashboard", HEADER, rows, note), comparison_table(compared)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
