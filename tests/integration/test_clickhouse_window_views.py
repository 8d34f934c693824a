"""v_windows and v_swarm_windows against an independent calculation over the single events.

The parts of a window (partitions, logs, generations) are made here with numpy; the views must give what the events
give when they are taken together.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.clock import SystemClock
from models.windows import sketch
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import T0, table
from tests.support.window_parts import PERCENTILES, Part, assert_matches, origins, window_row

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with migrated_database() as configured:
        opened = connect(configured)
        yield opened
        opened.close()


@pytest.fixture
def swarm_id() -> str:
    return f"swarm-{uuid.uuid4().hex}"


def store(client: Client, rows: list[dict[str, Any]]) -> None:
    client.insert_arrow("windows", table("windows", rows), settings=dict(INSERT_SETTINGS))


def read(client: Client, view: str, swarm_id: str) -> list[dict[str, Any]]:
    result = client.query(
        f"SELECT * FROM {view} WHERE swarm_id = {{swarm:String}} ORDER BY metric, window_ms, window_start",
        {"swarm": swarm_id},
    )
    return [dict(zip(result.column_names, values, strict=True)) for values in result.result_rows]


magnitudes = st.one_of(
    st.floats(-1e100, 1e100, allow_subnormal=False),
    st.floats(0.001, 1e6),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e9, 1e9 + 1, 1e-300]),
)
parts = st.lists(
    st.lists(st.tuples(magnitudes, st.sampled_from([1.0, 1.0, 2.5, 1000.0, 0.25])), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows=st.lists(parts, min_size=1, max_size=12))
def test_parts_of_a_window_together_give_what_their_events_give(client: Client, windows: list[list[Part]]) -> None:
    swarm_id = f"swarm-{uuid.uuid4().hex}"
    starts = [T0 + timedelta(seconds=10 * i) for i in range(len(windows))]
    store(
        client,
        [
            window_row(part, swarm_id=swarm_id, window_start=start, **origins(number))
            for start, window in zip(starts, windows, strict=True)
            for number, part in enumerate(window)
        ],
    )
    found = read(client, "v_windows", swarm_id)
    assert [f["window_start"] for f in found] == starts
    for window, line in zip(windows, found, strict=True):
        assert line["parts"] == len(window)
        assert_matches(line, [event for part in window for event in part])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(window=parts)
def test_agents_of_a_swarm_together_give_what_their_events_give(client: Client, window: list[Part]) -> None:
    swarm_id = f"swarm-{uuid.uuid4().hex}"
    agents = ["", "a1", "a2", "a3"]  # '' is the swarm itself and belongs to it like an agent
    rows = [window_row(part, swarm_id=swarm_id, agent_id=agents[n % 4], **origins(n)) for n, part in enumerate(window)]
    store(client, rows)
    (found,) = read(client, "v_swarm_windows", swarm_id)
    assert_matches(found, [event for part in window for event in part])
    assert "agent_id" not in found


@pytest.mark.parametrize("shape", ["lognormal", "normal around zero", "two humps", "many equal", "integers"])
@pytest.mark.parametrize("size", [1, 2, 7, 100, 5_000])
def test_percentiles_are_within_one_percent_of_numpy(client: Client, swarm_id: str, shape: str, size: int) -> None:
    rng = np.random.default_rng(size)
    values = {
        "lognormal": lambda: rng.lognormal(3, 2, size),
        "normal around zero": lambda: rng.normal(0, 5, size),
        "two humps": lambda: np.where(rng.random(size) < 0.5, rng.normal(-100, 1, size), rng.normal(3, 1, size)),
        "many equal": lambda: rng.choice([0.0, 5.0, 5.0, 7.25], size),
        "integers": lambda: rng.integers(-1000, 1000, size).astype(float),
    }[shape]()
    cut = rng.integers(0, size + 1)
    pieces = [p for p in (values[:cut], values[cut:]) if len(p)]
    store(
        client,
        [window_row([(v, 1.0) for v in p], swarm_id=swarm_id, partition=n) for n, p in enumerate(pieces)],
    )
    (found,) = read(client, "v_windows", swarm_id)
    for percent in PERCENTILES:
        wanted = float(np.quantile(values, percent / 100, method="inverted_cdf"))
        assert found[f"p{percent}"] == pytest.approx(wanted, rel=0.01, abs=1e-300), percent
    assert found["stddev"] == pytest.approx(values.std(), rel=1e-9, abs=1e-12)
    assert found["p50"] <= found["p90"] <= found["p95"] <= found["p99"] <= found["max"]


def test_weights_of_heavily_sampled_events_do_not_overflow_the_rank(client: Client, swarm_id: str) -> None:
    heavy = [(float(v), 1e9) for v in range(1, 101)]  # the largest weight there is; 1e14 units each * 100
    store(client, [window_row(heavy * 50, swarm_id=swarm_id, partition=p) for p in range(4)])
    (found,) = read(client, "v_windows", swarm_id)
    assert [found[f"p{p}"] for p in PERCENTILES] == pytest.approx([50, 90, 95, 99], rel=0.01)
    assert found["events"] == 20_000
    assert found["weight_sum"] == pytest.approx(2e13)


def test_a_rank_between_two_units_of_weight_is_the_upper_one(client: Client, swarm_id: str) -> None:
    # 90 % of 1,024 units is 921.6: the 921 units at 1.0 are not enough.
    store(client, [window_row([(1.0, 921 / 1024), (8.0, 103 / 1024)], swarm_id=swarm_id)])
    (found,) = read(client, "v_windows", swarm_id)
    assert (found["p50"], found["p90"]) == (pytest.approx(1.0, rel=0.01), pytest.approx(8.0, rel=0.01))


def test_a_small_spread_on_a_large_offset_does_not_cancel(client: Client, swarm_id: str) -> None:
    pieces = [[(1e12 + v, 1.0)] for v in (0, 1, 2, 3)]
    store(client, [window_row(p, swarm_id=swarm_id, partition=n) for n, p in enumerate(pieces)])
    (found,) = read(client, "v_windows", swarm_id)
    assert found["stddev"] == pytest.approx(math.sqrt(1.25), rel=1e-9)


def test_an_empty_database_has_no_windows(client: Client) -> None:
    assert read(client, "v_windows", "nobody") == []
    assert read(client, "v_swarm_windows", "nobody") == []


def test_only_the_newest_version_of_a_part_counts(client: Client, swarm_id: str) -> None:
    for ver, part in ((3, [(1.0, 1.0)]), (9, [(1.0, 1.0), (3.0, 1.0)]), (5, [(99.0, 1.0)])):
        store(client, [window_row(part, swarm_id=swarm_id, ver=(1 << 48) + ver)])
    (found,) = read(client, "v_windows", swarm_id)
    assert_matches(found, [(1.0, 1.0), (3.0, 1.0)])


def test_the_parts_of_a_window_are_shown_with_their_sketches(client: Client, swarm_id: str) -> None:
    store(client, [window_row([(5.0, 1.0), (7.0, 2.0)], swarm_id=swarm_id, gen=g) for g in (0, 8)])
    parts = read(client, "v_window_parts", swarm_id)
    keys = sketch.keys_of(np.array([5.0, 7.0])).tolist()
    assert [(p["gen"], p["sketch_keys"], p["sketch_counts"]) for p in parts] == [
        (gen, keys, [1024, 2048]) for gen in (0, 8)
    ]


def test_last_is_the_value_with_the_latest_event_time_of_all_parts(client: Client, swarm_id: str) -> None:
    times = [T0 + timedelta(milliseconds=ms) for ms in (5, 900, 30)]
    store(
        client,
        [
            window_row([(float(n), 1.0)], swarm_id=swarm_id, partition=n, last=float(n), last_at=at)
            for n, at in enumerate(times)
        ],
    )
    (found,) = read(client, "v_windows", swarm_id)
    assert (found["last"], found["last_at"]) == (1.0, times[1])


#   now ----------------------------------------------|
#   |-- window --|-- lateness 5 s --|-- 60 s grace --|      closed whatever its parts say
#                      |-- window --|-- lateness ... |      closed only when every part is
@pytest.mark.parametrize(
    ("age_s", "flags", "closed"),
    [
        (0, [1, 1], 1),
        (0, [1, 0], 0),
        (0, [0], 0),
        (60, [0, 1], 0),  # ended 50 s ago: 15 s are left
        (90, [0, 1], 1),
        (86_400, [0], 1),
    ],
)
def test_a_window_is_closed_by_all_its_parts_or_by_a_minute_of_silence(
    client: Client, swarm_id: str, age_s: int, flags: list[int], closed: int
) -> None:
    start = datetime.fromtimestamp(SystemClock().now_ms() / 1000 - age_s, UTC)
    store(
        client,
        [
            window_row([(1.0, 1.0)], swarm_id=swarm_id, window_start=start, partition=n, closed=flag)
            for n, flag in enumerate(flags)
        ],
    )
    assert [f["closed"] for f in read(client, "v_windows", swarm_id)] == [closed]
    assert [f["closed"] for f in read(client, "v_swarm_windows", swarm_id)] == [closed]


def test_rates_are_per_second_of_window_time(client: Client, swarm_id: str) -> None:
    store(client, [window_row([(4.0, 2.0), (2.0, 1.0)], swarm_id=swarm_id, window_ms=10_000)])
    (found,) = read(client, "v_windows", swarm_id)
    assert (found["sum_per_s"], found["events_per_s"]) == (1.0, 0.3)


def test_only_the_active_version_of_the_fold_is_shown() -> None:
    with migrated_database() as configured:
        client = connect(configured)

        def shown() -> list[float]:
            return [f["sum"] for f in read(client, "v_windows", "s1")]

        def switch(version: int, *, active: int) -> None:
            client.command(
                f"INSERT INTO folds (fold_version, active, allowed_lateness_ms) VALUES ({version}, {active}, 5000)"
            )

        store(client, [window_row([(float(v), 1.0)], fold_version=v, ver=v << 48) for v in (1, 2)])
        assert shown() == [1.0]  # nothing said: the default version
        switch(1, active=1)
        assert shown() == [1.0]
        switch(2, active=1)
        assert shown() == [2.0]
        switch(2, active=0)
        assert shown() == [1.0]
        client.close()
