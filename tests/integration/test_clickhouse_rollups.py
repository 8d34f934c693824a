"""Roll-ups by the hour and day against the events themselves: before, while and after they are made.

The views must never tell what they were read from. Time is made to pass by making the marks older.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse import migrate
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import T0, table
from tests.support.rollups import roll_up
from tests.support.window_parts import Event, Part, assert_matches, origins, window_row

pytestmark = pytest.mark.integration

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = T0.replace(hour=0)
Windows = dict[tuple[str, datetime], list[Part]]  # (agent, start of a minute) -> its parts


@pytest.fixture
def client() -> Iterator[Client]:
    with migrated_database() as settings:
        opened = connect(settings)
        yield opened
        opened.close()


def random_windows(seed: int) -> Windows:
    """Minutes of three agents and the swarm itself, over three hours of two days."""
    print(f"seed={seed}")
    rng = random.Random(seed)
    windows: Windows = {}
    for start in (MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, MIDNIGHT + DAY + 5 * HOUR):
        for agent in ("", "a1", "a2", "a3"):
            for minute in rng.sample(range(60), 4):
                windows[agent, start + timedelta(minutes=minute)] = [
                    [(rng.lognormvariate(2, 1), rng.choice([1.0, 2.5])) for _ in range(rng.randint(1, 6))]
                    for _ in range(rng.randint(1, 3))
                ]
    return windows


def store(client: Client, windows: Mapping[tuple[str, datetime], Sequence[Part]], **columns: Any) -> None:
    rows = [
        window_row(part, agent_id=agent, window_ms=60_000, window_start=start, **(origins(number) | columns))
        for (agent, start), parts in windows.items()
        for number, part in enumerate(parts)
    ]
    client.insert_arrow("windows", table("windows", rows), settings=dict(INSERT_SETTINGS))


def read(client: Client, sql: str) -> list[dict[str, Any]]:
    result = client.query(sql)
    return [dict(zip(result.column_names, values, strict=True)) for values in result.result_rows]


def assert_rolled_views_show(client: Client, windows: Windows) -> None:
    """v_hours, v_days and their sums over the swarm hold exactly these events."""
    for view, length, by_agent in (
        ("v_hours", HOUR, True),
        ("v_swarm_hours", HOUR, False),
        ("v_days", DAY, True),
        ("v_swarm_days", DAY, False),
    ):
        events: dict[tuple[str, datetime], list[Event]] = defaultdict(list)
        parts: dict[tuple[str, datetime], int] = defaultdict(int)
        for (agent, start), stored in windows.items():
            key = (agent if by_agent else "", MIDNIGHT + (start - MIDNIGHT) // length * length)
            parts[key] += len(stored)
            events[key] += [event for part in stored for event in part]
        found = {(f.get("agent_id", ""), f["window_start"]): f for f in read(client, f"SELECT * FROM {view}")}
        assert found.keys() == events.keys(), view
        for key, line in found.items():
            assert_matches(line, events[key])
            assert line["parts"] == parts[key], (view, key)
            assert line["window_ms"] == length // timedelta(milliseconds=1)


def changed_hours(client: Client) -> int:
    return int(client.command("SELECT count() FROM v_changed_hours"))


@pytest.mark.parametrize("seed", range(3))
def test_hours_and_days_are_those_of_the_events_before_and_after_they_are_rolled_up(client: Client, seed: int) -> None:
    windows = random_windows(seed)
    store(client, windows)
    assert changed_hours(client) == 3
    assert_rolled_views_show(client, windows)
    roll_up(client)
    assert changed_hours(client) == 0
    assert client.command("SELECT count() FROM v_changed_days") == 0
    assert client.command("SELECT count() > 0 FROM window_rollups")
    assert_rolled_views_show(client, windows)


def test_rolled_up_hours_are_read_from_the_roll_up_and_not_from_the_windows(client: Client) -> None:
    client.command("INSERT INTO folds (fold_version, active, allowed_lateness_ms) VALUES (1, 1, 5000)")
    store(client, random_windows(1))
    roll_up(client)
    before = read(client, "SELECT * FROM v_swarm_hours ORDER BY window_start")
    client.command("TRUNCATE TABLE windows")
    assert read(client, "SELECT * FROM v_swarm_hours ORDER BY window_start") == before


def test_percentiles_are_stored_with_a_roll_up_and_computed_for_one_made_before_they_were(client: Client) -> None:
    columns = ("p50", "p90", "p95", "p99")

    def stored() -> set[str]:
        rows = client.query(
            "SELECT DISTINCT column FROM system.parts_columns WHERE database = currentDatabase() "
            f"AND table = 'window_rollups' AND active AND column IN {columns}"
        ).result_rows
        return {name for (name,) in rows}

    windows = random_windows(10)
    migrate.down(client, to_version=14, allow_data_loss=True)
    store(client, windows)
    roll_up(client)
    migrate.apply(client)
    assert stored() == set()
    assert_rolled_views_show(client, windows)
    more = {key: [*parts, [(4.0, 1.0)]] for key, parts in windows.items()}
    store(client, more)
    roll_up(client)
    assert stored() == set(columns)
    assert changed_hours(client) == 0
    assert_rolled_views_show(client, more)


def test_a_late_generation_shows_at_once_and_its_hour_is_rolled_up_again(client: Client) -> None:
    windows = random_windows(2)
    store(client, windows)
    roll_up(client)
    late: Part = [(1e6, 1.0)]
    key = ("a1", MIDNIGHT + HOUR + timedelta(minutes=7))
    store(client, {key: [late]}, gen=999_999)
    windows[key] = [*windows.get(key, []), late]
    assert changed_hours(client) == 1
    assert_rolled_views_show(client, windows)
    roll_up(client)
    assert changed_hours(client) == 0
    assert_rolled_views_show(client, windows)


def test_a_newer_version_of_a_window_shows_at_once(client: Client) -> None:
    windows = random_windows(3)
    store(client, windows)
    roll_up(client)
    key = next(iter(windows))
    windows[key] = [[(5.0, 1.0), (7.0, 1.0), (9.0, 1.0)], *windows[key][1:]]
    store(client, {key: windows[key][:1]}, ver=(1 << 48) + 7)
    assert_rolled_views_show(client, windows)
    roll_up(client)
    assert_rolled_views_show(client, windows)


def test_rows_stored_again_are_not_counted_twice(client: Client) -> None:
    windows = random_windows(4)
    for _ in range(2):
        store(client, windows)
        assert_rolled_views_show(client, windows)
        roll_up(client)
        store(client, windows)
        assert_rolled_views_show(client, windows)


def test_a_roll_up_that_broke_off_half_way_is_never_read(client: Client) -> None:
    windows = random_windows(5)
    store(client, windows)
    roll_up(client)
    extra = ("a2", MIDNIGHT + HOUR)
    store(client, {extra: [[(3.0, 1.0)]]}, gen=77)
    windows[extra] = [*windows.get(extra, []), [(3.0, 1.0)]]
    # The first of an hour's rows, as a server that died while it wrote them would leave it.
    client.command(
        "INSERT INTO window_rollups SELECT * REPLACE (now64(3) + toIntervalHour(2) AS as_of, events + 1000 AS events) "
        "FROM window_rollups WHERE window_ms = 3600000 AND window_start = "
        f"toDateTime64('{MIDNIGHT + HOUR:%F %T}', 3, 'UTC') LIMIT 1"
    )
    client.command("SYSTEM REFRESH VIEW mark_rollups")
    client.command("SYSTEM WAIT VIEW mark_rollups")
    assert changed_hours(client) == 1
    assert_rolled_views_show(client, windows)


def test_a_roll_up_begun_within_two_minutes_of_an_insert_is_not_trusted(client: Client) -> None:
    """An insert that was under way might have been missed: it is acknowledged at most 120 s after its mark."""
    for age_s, hours in ((119, 1), (121, 0)):
        client.command("TRUNCATE TABLE rollup_marks")
        client.command(
            "INSERT INTO rollup_marks (source, fold_version, swarm_id, hour, window_ms, stored_at, rolled_at) SELECT "
            "'windows', 1, 's1', toDateTime('2026-03-01 12:00:00', 'UTC'), 60000, "
            f"now64(3) - 3600 AS stored, stored + {age_s}"
        )
        assert changed_hours(client) == hours, age_s


def test_an_hour_that_still_changes_is_not_rolled_up(client: Client) -> None:
    store(client, random_windows(6))
    for view in ("roll_window_hours", "mark_rollups"):
        client.command(f"SYSTEM REFRESH VIEW {view}")
        client.command(f"SYSTEM WAIT VIEW {view}")
    assert client.command("SELECT count() FROM window_rollups") == 0
    assert changed_hours(client) == 3


def test_of_sliding_windows_every_event_counts_once(client: Client) -> None:
    event: Part = [(4.0, 1.0)]
    at = MIDNIGHT + HOUR
    # Windows of a minute each 20 s: an event at 01:00:50 is in three of them.
    store(client, {("a1", at + timedelta(seconds=s)): [event] for s in (0, 20, 40)})
    assert [f["events"] for f in read(client, "SELECT events FROM v_hours")] == [1]
    roll_up(client)
    assert [f["events"] for f in read(client, "SELECT events FROM v_hours")] == [1]


def test_a_new_version_of_the_fold_shows_its_own_hours(client: Client) -> None:
    def switch(version: int) -> None:
        client.command(f"INSERT INTO folds (fold_version, active, allowed_lateness_ms) VALUES ({version}, 1, 5000)")

    first, second = random_windows(7), random_windows(8)
    switch(1)
    store(client, first)
    roll_up(client)
    store(client, second, fold_version=2, ver=2 << 48)
    assert_rolled_views_show(client, first)
    switch(2)
    assert_rolled_views_show(client, second)
    roll_up(client)
    assert_rolled_views_show(client, second)


def test_what_is_stored_while_the_roll_ups_are_taken_back_is_not_missed(client: Client) -> None:
    windows = random_windows(9)
    store(client, windows)
    roll_up(client)
    migrate.down(client, to_version=8, allow_data_loss=True)
    more: Windows = {("a9", MIDNIGHT + 2 * HOUR): [[(2.0, 1.0)]]}
    store(client, more)
    migrate.apply(client)
    assert_rolled_views_show(client, windows | more)


def metric_rows(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "agent_id": rng.choice(["", "a1", "a2"]),
            "metric": rng.choice(["m1", "m2"]),
            "timestamp": MIDNIGHT + timedelta(milliseconds=rng.randrange(4 * 3_600_000)),
            "value": rng.uniform(-5, 5),
            "weight": rng.choice([1.0, 4.0]),
            "provenance": rng.choice(["measured", "estimated"]),
            "topic": rng.choice(["swarm.metrics", "swarm.activities"]),
            "offset": number,
        }
        for number in range(300)
    ]


def store_metrics(client: Client, rows: list[dict[str, Any]]) -> None:
    client.insert_arrow("metrics", table("metrics", rows), settings=dict(INSERT_SETTINGS))


# The same from the single events: v_metric_hours must give what this gives.
RECOUNT = (
    "SELECT swarm_id, agent_id, metric, toStartOfHour(timestamp) AS hour, count() AS events, "
    "round(sum(weight), 9) AS weight_sum, round(sum(value * weight), 9) AS sum, min(timestamp) AS first_at, "
    "max(timestamp) AS last_at, any(unit) AS unit, arraySort(groupUniqArray(provenance)) AS provenances, topic "
    "FROM v_metrics GROUP BY ALL ORDER BY ALL"
)
ROLLED = (
    "SELECT * REPLACE (round(weight_sum, 9) AS weight_sum, round(sum, 9) AS sum) FROM v_metric_hours "
    "ORDER BY swarm_id, agent_id, metric, hour, events, weight_sum, sum, first_at, last_at, unit, provenances, topic"
)


def test_metric_hours_are_the_recount_of_the_events_whatever_was_stored_when(client: Client) -> None:
    rows = metric_rows(1)
    print("seed=1")

    def same() -> None:
        assert read(client, ROLLED) == read(client, RECOUNT)

    store_metrics(client, rows[:200])
    same()
    roll_up(client)
    assert client.command("SELECT count() FROM v_changed_metric_hours") == 0
    same()
    store_metrics(client, rows[150:])  # 50 of them a second time
    same()
    roll_up(client)
    same()
    assert client.command("SELECT sum(events) FROM v_metric_hours") == 300


def test_a_filter_on_the_swarm_and_metric_reaches_the_index_of_the_roll_ups(client: Client) -> None:
    rows = [
        window_row([(1.0, 1.0)], swarm_id=f"s{n:04}", window_ms=60_000, window_start=T0 + timedelta(hours=h))
        for n in range(1_000)
        for h in range(2)
    ]
    client.insert_arrow("windows", table("windows", rows), settings=dict(INSERT_SETTINGS))
    for _ in range(3):  # 2,000 hours: at most 1,000 a turn
        roll_up(client)
    assert changed_hours(client) == 0
    for view in ("v_hours", "v_swarm_hours", "v_days", "v_swarm_days"):
        plan = client.query(
            f"EXPLAIN indexes = 1 SELECT p95 FROM {view} WHERE swarm_id = 's0007' AND metric = 'task_duration'"
        ).result_rows
        reads = "\n".join(line for (line,) in plan).split("ReadFromMergeTree ")[1:]
        rolled = next(part for part in reads if ".window_rollups)" in part.split("\n")[0])
        granules = re.findall(r"Granules: (\d+)/(\d+)", rolled)[-1]
        assert int(granules[0]) * 5 < int(granules[1]), (view, rolled)
