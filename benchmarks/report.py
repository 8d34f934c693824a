"""How long a technical report over a million activities takes once its questions are answered, and how large it is.

    make bench BENCH=report        python -m benchmarks.report [--activities N] [--runs N] [--write]

Two swarms with half of the activities each: of 31 activities one is a task, 10 are model calls, 20 tool calls (the SQL
of the reads benchmark). Time in questions is the whole round trip, rows as typed values included, those of the analysis
(scores, trends, where time went) as well; the rest is statistics, charts and HTML. Raw metric events reach a report
as sums of hours, so their number is no cost of the rest.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from benchmarks import machine
from benchmarks.history import DAY_MS, SEED, TO_MS
from benchmarks.results import Table, publish, spread, verdict
from reports.build import build_report, render
from reports.config import ReportConfig
from reports.pictures import Drawn, pictures
from reports.queries.clickhouse import ClickHouseReader
from reports.render.view import Chart
from sinks.clickhouse import migrate
from sinks.clickhouse.client import Client, connect
from tests.support.clickhouse import EmbeddedClickHouse

SQL = Path(__file__).parent / "sql" / "activities.sql"
ACTIVITIES = 1_000_000
PER_TASK = 31
SWARMS = ("swarm-01", "swarm-02")
DAYS = 30
RUNS = 5
BUDGET_S = 2.0  # after the questions
BYTES_MAX = 2_000_000
T = TypeVar("T")


class Cost(NamedTuple):
    """Of one part: wall seconds, and CPU seconds of this process, which a busy machine does not stretch."""

    wall_s: float
    cpu_s: float


class Run(NamedTuple):
    """One report in its parts, and what came out."""

    questions: Cost
    statistics: Cost
    charts: Cost
    html: Cost
    html_bytes: int
    drawn: int

    @property
    def after(self) -> Cost:
        """Everything but the questions."""
        parts = (self.statistics, self.charts, self.html)
        return Cost(sum(part.wall_s for part in parts), sum(part.cpu_s for part in parts))


def fill(client: Client, activities: int) -> int:
    """The two swarms; returns how many activities they have."""
    tasks = activities // len(SWARMS) // PER_TASK
    parameters = {"seed": SEED, "from_ms": TO_MS - DAYS * DAY_MS, "days": DAYS, "tasks": tasks}
    client.command(SQL.read_text("utf-8") + "WHERE swarm IN (1, 2)", parameters=parameters)
    return int(client.command("SELECT count() FROM v_activities"))  # type: ignore[arg-type]  # a number


def measure(client: Client) -> Run:
    """One technical report with its charts and its HTML."""
    asked, drawn = Cost(0.0, 0.0), Cost(0.0, 0.0)

    class Timed(ClickHouseReader):
        def _run(self, name, sql, make, parameters):  # type: ignore[no-untyped-def]
            nonlocal asked
            result, cost = _timed(lambda: super(Timed, self)._run(name, sql, make, parameters))
            asked = _sum(asked, cost)
            return result

    def draw(config: ReportConfig, data: Drawn) -> tuple[Chart, ...]:
        nonlocal drawn
        charts, drawn = _timed(lambda: pictures(config, data))
        return charts

    config = ReportConfig(swarms=SWARMS, kind="technical")
    report, whole = _timed(lambda: build_report(Timed(client), config, draw=draw))
    page, html = _timed(lambda: render(report, "html"))
    rest = Cost(*(a - b - c for a, b, c in zip(whole, asked, drawn, strict=True)))
    return Run(asked, rest, drawn, html, len(page.encode()), len(report.charts))


def _timed(work: Callable[[], T]) -> tuple[T, Cost]:
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return made, Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(one.wall_s + other.wall_s, one.cpu_s + other.cpu_s)


def table(runs: list[Run], activities: int) -> Table:
    """Median, lowest and highest of each part."""
    rows = []
    for name in ("questions", "statistics", "charts", "html", "after"):
        costs: list[Cost] = [getattr(run, name) for run in runs]
        met = verdict(statistics.median(cost.wall_s for cost in costs), BUDGET_S, at_least=False)
        words = "after the questions" if name == "after" else name
        walls, cpus = (spread([cost[i] for cost in costs], ".2f") for i in (0, 1))
        rows.append([words, walls, cpus, met if name == "after" else ""])
    size = max(run.html_bytes for run in runs)
    note = f"{runs[0].drawn} charts; the HTML has {size:,} bytes ({verdict(size, BYTES_MAX, at_least=False)})."
    return Table(f"A technical report over {activities:,} activities", ["", "s", "CPU s", "budget"], rows, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--activities", type=int, default=ACTIVITIES, help="of both swarms; default: %(default)s")
    parser.add_argument("--runs", type=int, default=RUNS, help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="save the figures and refresh docs/benchmarks.md")
    arguments = parser.parse_args()
    facts = machine.facts()
    with tempfile.TemporaryDirectory(prefix="murmur-report-bench-") as folder:
        server = EmbeddedClickHouse(Path(folder) / "data").start()
        try:
            migrate.migrate(server.settings)
            client = connect(server.settings)
            activities = fill(client, arguments.activities)
            runs = [measure(client) for _ in range(arguments.runs)]
            client.close()
        finally:
            server.stop()
    publish(
        "report",
        machine=facts,
        stated={"seed": SEED, "activities": activities, "swarms": len(SWARMS), "runs": arguments.runs},
        runs=runs,
        tables=[table(runs, activities)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
