"""What a report asks of raw events and windows, answered from roll-ups: the same as from the rows themselves."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from reports.charts.line import WINDOWS_MAX, window_size
from reports.queries.clickhouse import ClickHouseReader
from reports.queries.port import TimeRange
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import T0, T0_MS, table
from tests.support.rollups import roll_up
from tests.support.window_parts import window_row

pytestmark = pytest.mark.integration

HOUR_MS = 3_600_000
SEED = 3


@pytest.fixture
def client() -> Iterator[Client]:
    with migrated_database() as settings:
        opened = connect(settings)
        yield opened
        opened.close()


def events() -> list[dict[str, Any]]:
    """400 events over five hours, a few exactly on the hour."""
    print(f"seed={SEED}")
    rng = random.Random(SEED)
    rows = []
    for number in range(400):
        at_ms = rng.randrange(5) * HOUR_MS if number % 40 == 0 else rng.randrange(5 * HOUR_MS)
        rows.append(
            {
                "agent_id": rng.choice(["", "a1", "a2"]),
                "metric": rng.choice(["m1", "m2"]),
                "timestamp": T0 + timedelta(milliseconds=at_ms),
                "value": rng.uniform(0, 9),
                "weight": rng.choice([1.0, 4.0]),
                "provenance": rng.choice(["measured", "estimated"]),
                "topic": rng.choice(["swarm.metrics", "swarm.metrics", "swarm.activities"]),
                "offset": number,
            }
        )
    return rows


def in_range(row: dict[str, Any], time: TimeRange) -> bool:
    at_ms = T0_MS + (row["timestamp"] - T0) // timedelta(milliseconds=1)
    return (time.from_ms is None or at_ms >= time.from_ms) and (time.to_ms is None or at_ms < time.to_ms)


RANGES = {
    "all": TimeRange(),
    "whole hours": TimeRange(T0_MS + HOUR_MS, T0_MS + 3 * HOUR_MS),
    "cut hours": TimeRange(T0_MS + 1_234_567, T0_MS + 3 * HOUR_MS + 7_654),
    "within an hour": TimeRange(T0_MS + HOUR_MS + 60_000, T0_MS + HOUR_MS + 1_800_000),
    "over one edge": TimeRange(T0_MS + 2 * HOUR_MS - 900_000, T0_MS + 2 * HOUR_MS + 900_000),
    "from an edge": TimeRange(T0_MS + 2 * HOUR_MS, None),
}


def test_a_report_counts_the_same_events_in_any_time_range_before_and_after_roll_up(client: Client) -> None:
    rows = events()
    client.insert_arrow("metrics", table("metrics", rows), settings=dict(INSERT_SETTINGS))
    reader = ClickHouseReader(client)
    for _ in range(2):
        for name, time in RANGES.items():
            chosen = [row for row in rows if in_range(row, time)]
            assert [s.metric_events for s in reader.swarms(["s1"], time).rows] == [len(chosen)], name
            sides: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
            for row in chosen:
                if row["topic"] == "swarm.metrics":
                    sides[row["metric"], row["agent_id"]].append(row)
            found = reader.agent_metrics(["s1"], time).rows
            assert [(r.metric, r.agent_id, r.events) for r in found] == [(*k, len(sides[k])) for k in sorted(sides)], (
                name
            )
            for r in found:
                own = sides[r.metric, r.agent_id]
                mean = sum(e["value"] * e["weight"] for e in own) / sum(e["weight"] for e in own)
                assert r.mean == pytest.approx(mean, rel=1e-12)
                assert r.provenances == tuple(sorted({e["provenance"] for e in own}))
        roll_up(client)
    assert client.command("SELECT count() FROM v_changed_metric_hours") == 0


@pytest.mark.parametrize(("hours", "shown_ms"), [(2, 60_000), (40, HOUR_MS), (1_600, 24 * HOUR_MS)])
def test_a_line_over_a_long_time_is_drawn_from_hours_or_days(client: Client, hours: int, shown_ms: int) -> None:
    rows = [
        window_row([(1.0, 1.0)], window_ms=60_000, window_start=T0 + timedelta(hours=hour, minutes=minute))
        for hour in range(hours)
        for minute in range(0, 60, 2 if hours < 100 else 30)
    ]
    client.insert_arrow("windows", table("windows", rows), settings=dict(INSERT_SETTINGS))
    found = ClickHouseReader(client).windows(["s1"], ["task_duration"], TimeRange()).rows
    assert window_size(found) == shown_ms
    shown = [row for row in found if row.window_ms == shown_ms]
    assert len(shown) <= WINDOWS_MAX
    assert sum(row.events for row in shown) == len(rows)
    assert len(found) <= 5 * WINDOWS_MAX
