"""Fills a ClickHouse with the month of 12 swarms that the reads benchmark asks about.

    python -m benchmarks.fill --events 100_000_000 --data DIR    into a data directory of the embedded engine
    python -m benchmarks.fill --events 1_000_000                 into the configured ClickHouse (MURMUR_CLICKHOUSE_URL)

100 M events take about 4 GB of disk. The database must not hold any events yet. The same number of events gives the
same rows. See `benchmarks/history.py` for what is in them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.history import SEED, STATEMENT_S_MAX, Plan, fill
from models.settings import Settings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.clickhouse import EmbeddedClickHouse


def fill_database(settings: Settings, plan: Plan) -> None:
    """Migrates the configured database and fills it; refuses one that holds events."""
    migrate.migrate(settings)
    client = connect(settings, request_timeout_s=STATEMENT_S_MAX)
    started = time.perf_counter()

    def say(step: str) -> None:
        print(f"{time.perf_counter() - started:7.1f} s  {step}", flush=True)

    try:
        if client.command("SELECT count() FROM (SELECT 1 FROM metrics LIMIT 1)"):
            raise SystemExit(f"database {settings.clickhouse_database} holds metric events already: give an empty one")
        fill(client, plan, say=say)
        say("filled")
        for name in ("metrics", "windows", "activities", "anomalies"):
            rows, parts, size = client.query(
                "SELECT sum(rows), count(), sum(bytes_on_disk) FROM system.parts "
                "WHERE active AND database = currentDatabase() AND table = {table:String}",
                {"table": name},
            ).result_rows[0]
            print(f"{name:12}{rows:>14,} rows {parts:>5} parts {size / 2**20:>8,.0f} MiB")
    finally:
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="plain raw events; default: %(default)s")
    parser.add_argument("--days", type=int, default=30, help="spread over so many days; default: %(default)s")
    parser.add_argument("--data", type=Path, help="data directory of the embedded engine, made where it is missing")
    arguments = parser.parse_args()
    plan = Plan(arguments.events, arguments.days)
    print(machine.describe())
    print(f"seed {SEED}, {plan.events:,} events over {plan.days} days, {plan.tasks:,} tasks in each of 12 swarms")
    if arguments.data is None:
        fill_database(Settings(), plan)
        return
    server = EmbeddedClickHouse(arguments.data)
    try:
        fill_database(server.start().settings, plan)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
