"""v_activities, v_swarms and the summaries: the newest record wins, and what was not measured stays NULL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import INSERT_SETTINGS, connect
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import T0, row, table

pytestmark = pytest.mark.integration


@pytest.fixture
def client() -> Iterator[Client]:
    with migrated_database() as settings:
        opened = connect(settings)
        yield opened
        opened.close()


def store(client: Client, name: str, *rows: dict[str, Any]) -> None:
    client.insert_arrow(name, table(name, rows), settings=dict(INSERT_SETTINGS))


def read(client: Client, sql: str) -> list[dict[str, Any]]:
    result = client.query(sql)
    return [dict(zip(result.column_names, values, strict=True)) for values in result.result_rows]


def minutes(n: int) -> Any:
    return T0 + timedelta(minutes=n)


def test_a_later_record_of_an_activity_replaces_the_earlier_one(client: Client) -> None:
    store(client, "activities", row("activities", status="running", ver=(1 << 48) + 1))
    store(
        client,
        "activities",
        row("activities", status="completed", ended_at=minutes(1), duration_ms=60_000.0, ver=(1 << 48) + 2),
    )
    (found,) = read(client, "SELECT status, ended_at, duration_ms FROM v_activities")
    assert found == {"status": "completed", "ended_at": minutes(1), "duration_ms": 60_000.0}


def test_an_activity_that_comes_again_in_a_new_log_is_one_activity_and_the_newest_wins(
    client: Client,
) -> None:
    # The old log's version is higher: versions of different logs are not comparable, append times are.
    old = row("activities", log_id="old", status="failed", ver=(1 << 48) + 900, appended_at=minutes(0))
    new = row("activities", log_id="new", status="completed", ver=(1 << 48) + 1, appended_at=minutes(9))
    store(client, "activities", new)
    store(client, "activities", old)
    found = read(client, "SELECT status, log_id FROM v_activities")
    assert found == [{"status": "completed", "log_id": "new"}]


def test_an_activity_whose_kind_was_corrected_is_still_one_activity(client: Client) -> None:
    store(client, "activities", row("activities", kind="task", appended_at=minutes(0)))
    store(client, "activities", row("activities", kind="model_call", appended_at=minutes(1)))
    assert read(client, "SELECT kind FROM v_activities") == [{"kind": "model_call"}]


def test_a_newest_record_without_a_number_gives_null_and_not_an_older_number(client: Client) -> None:
    store(
        client,
        "activities",
        row("activities", cost_usd=1.5, input_tokens=9, log_id="a", appended_at=minutes(0)),
    )
    store(client, "activities", row("activities", cost_usd=None, log_id="b", appended_at=minutes(1)))
    (found,) = read(client, "SELECT cost_usd, input_tokens, duration_ms FROM v_activities")
    assert found == {"cost_usd": None, "input_tokens": None, "duration_ms": None}


def test_a_filter_does_not_bring_a_replaced_record_back(client: Client) -> None:
    store(client, "activities", row("activities", status="running", log_id="a", appended_at=minutes(0)))
    store(client, "activities", row("activities", status="completed", log_id="b", appended_at=minutes(1)))
    for condition in ("status = 'running'", "log_id = 'a'", "swarm_id = 's1' AND status = 'running'"):
        assert read(client, f"SELECT * FROM v_activities WHERE {condition}") == [], condition


def test_equal_ids_of_different_swarms_are_different_activities(client: Client) -> None:
    store(client, "activities", row("activities", swarm_id="s1"), row("activities", swarm_id="s2"))
    assert len(read(client, "SELECT * FROM v_activities")) == 2


def test_a_run_shows_its_newest_state(client: Client) -> None:
    store(client, "swarms", row("swarms", configuration=[("pattern", "mesh")], ver=(1 << 48) + 1))
    store(
        client,
        "swarms",
        row(
            "swarms",
            status="completed",
            ended_at=minutes(5),
            configuration=[("pattern", "star")],
            ver=(1 << 48) + 2,
        ),
    )
    (found,) = read(client, "SELECT run_id, status, ended_at, configuration FROM v_swarms")
    assert found == {
        "run_id": "r1",
        "status": "completed",
        "ended_at": minutes(5),
        "configuration": {"pattern": "star"},
    }


def test_metrics_written_twice_are_read_once_and_logs_are_added(client: Client) -> None:
    store(client, "metrics", *[row("metrics", offset=n) for n in range(3)])
    store(client, "metrics", *[row("metrics", offset=n) for n in range(1, 3)])
    store(client, "metrics", row("metrics", offset=1, log_id="log-b"), row("metrics", offset=1, idx=4))
    assert client.command("SELECT count() FROM v_metrics") == 5


def test_rows_with_old_event_and_append_times_do_not_expire_on_arrival(client: Client) -> None:
    years_ago = T0.replace(year=2011)
    store(client, "metrics", row("metrics", timestamp=years_ago, appended_at=years_ago))
    store(client, "dead_letters", row("dead_letters", appended_at=years_ago))
    for name in ("metrics", "dead_letters"):
        client.command(f"OPTIMIZE TABLE {name} FINAL")
        assert client.command(f"SELECT count() FROM {name}") == 1, name


def a_small_swarm(client: Client) -> None:
    call = {"kind": "model_call", "model": "m-large", "agent_id": "main", "role": "lead"}
    store(
        client,
        "activities",
        row(
            "activities",
            activity_id="c1",
            **call,
            input_tokens=100,
            output_tokens=10,
            cost_usd=0.5,
            cost_provenance="estimated",
            ended_at=minutes(2),
        ),
        row("activities", activity_id="c2", **call, input_tokens=50, output_tokens=None, cost_usd=None),
        row(
            "activities",
            activity_id="c3",
            kind="model_call",
            model="m-small",
            agent_id="sub",
            role="coder",
            parent_agent_id="main",
            input_tokens=7,
            cache_read_tokens=1_000,
            cost_usd=0.25,
            cost_provenance="measured",
            status="failed",
            started_at=minutes(3),
        ),
        row("activities", activity_id="t1", kind="tool_call", agent_id="sub", status="running"),
        # The task's own totals hold its calls' totals and must not be added to them.
        row("activities", activity_id="k1", kind="task", agent_id="main", input_tokens=157, cost_usd=0.75),
    )
    store(client, "metrics", *[row("metrics", agent_id="sub", offset=n, timestamp=minutes(4)) for n in range(6)])
    store(client, "anomalies", row("anomalies", agent_id="sub"))


def test_a_swarm_summary_adds_what_was_measured_and_counts_what_was_not(client: Client) -> None:
    a_small_swarm(client)
    (found,) = read(client, "SELECT * FROM v_swarm_summary")
    assert found == {
        "swarm_id": "s1", "first_at": T0, "last_at": minutes(4), "agents": 2, "activities": 5, "running": 1,
        "completed": 3, "failed": 1, "blocked": 0, "cancelled": 0, "model_calls": 3, "tool_calls": 1,
        "input_tokens": 157, "cache_read_tokens": 1_000, "cache_write_5m_tokens": None,
        "cache_write_1h_tokens": None, "output_tokens": 10, "cost_usd": 0.75, "priced_calls": 2,
        "unpriced_calls": 1, "metric_events": 6, "anomalies": 1,
    }  # fmt: skip


def test_an_agent_summary_tells_agents_apart(client: Client) -> None:
    a_small_swarm(client)
    main, sub = read(client, "SELECT * FROM v_agent_summary WHERE swarm_id = 's1' ORDER BY agent_id")
    assert (main["agent_id"], main["role"], main["parent_agent_id"], main["activities"]) == (
        "main",
        "lead",
        "",
        3,
    )
    assert (main["input_tokens"], main["cost_usd"], main["metric_events"], main["anomalies"]) == (
        150,
        0.5,
        0,
        0,
    )
    assert (sub["agent_id"], sub["role"], sub["parent_agent_id"], sub["activities"]) == (
        "sub",
        "coder",
        "main",
        2,
    )
    assert (sub["input_tokens"], sub["cost_usd"], sub["metric_events"], sub["anomalies"]) == (7, 0.25, 6, 1)


def test_cost_by_model_tells_priced_from_unpriced_calls(client: Client) -> None:
    a_small_swarm(client)
    large, small = read(client, "SELECT * FROM v_cost_by_model ORDER BY model")
    assert (large["model"], large["calls"], large["priced_calls"], large["unpriced_calls"]) == (
        "m-large",
        2,
        1,
        1,
    )
    assert (large["cost_usd"], large["cost_provenances"]) == (0.5, ["estimated"])
    assert (small["cost_usd"], small["cost_provenances"]) == (0.25, ["measured"])


def test_a_swarm_that_only_reports_tasks_is_counted_by_its_tasks(client: Client) -> None:
    store(
        client,
        "activities",
        row("activities", swarm_id="tasks", activity_id="k1", model="m", input_tokens=5, cost_usd=0.1),
        row("activities", swarm_id="tasks", activity_id="k2", model="m", input_tokens=6, cost_usd=None),
    )
    (found,) = read(client, "SELECT input_tokens, cost_usd, unpriced_calls FROM v_swarm_summary")
    assert found == {"input_tokens": 11, "cost_usd": 0.1, "unpriced_calls": 1}


@pytest.mark.parametrize("kind_of_tokens", ["cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"])
def test_calls_that_carry_cache_tokens_alone_are_not_counted_again_by_their_task(
    client: Client, kind_of_tokens: str
) -> None:
    store(
        client,
        "activities",
        row("activities", activity_id="c1", kind="model_call", model="m", **{kind_of_tokens: 5}),
        row("activities", activity_id="k1", kind="task", model="m", **{kind_of_tokens: 5}),
    )
    assert read(client, f"SELECT kind, {kind_of_tokens} AS n FROM v_spending") == [{"kind": "model_call", "n": 5}]
    for view in ("v_agent_summary", "v_swarm_summary"):
        (found,) = read(client, f"SELECT {kind_of_tokens} AS n, unpriced_calls FROM {view}")
        assert found == {"n": 5, "unpriced_calls": 1}, view


def test_a_swarm_without_any_cost_has_no_cost_and_not_zero(client: Client) -> None:
    store(client, "metrics", row("metrics"))
    (found,) = read(client, "SELECT cost_usd, input_tokens, metric_events FROM v_swarm_summary")
    assert found == {"cost_usd": None, "input_tokens": None, "metric_events": 1}


def test_a_filter_on_the_swarm_reaches_the_index_of_every_large_table(client: Client) -> None:
    """Else each question about one swarm would read all swarms."""
    swarms = [{"swarm_id": f"s{n:05}"} for n in range(20_000)]  # more than one granule of 8,192 rows
    for name in ("metrics", "activities", "windows"):
        store(client, name, *swarms)
    for view, sources in {
        "v_metrics": {"metrics"},
        "v_windows": {"windows"},
        "v_swarm_windows": {"windows"},
        "v_activities": {"activities"},
        "v_agent_summary": {"metrics"},
        "v_swarm_summary": {"metrics"},
    }.items():
        plan = client.query(f"EXPLAIN indexes = 1 SELECT * FROM {view} WHERE swarm_id = 's00007'").result_rows
        reads = "\n".join(line for (line,) in plan).split("ReadFromMergeTree ")[1:]
        seen = {name: part for part in reads for name in sources if f".{name})" in part.split("\n")[0]}
        assert set(seen) == sources, (view, reads)
        for name, part in seen.items():
            assert re.search(r"Granules: 1/[2-9]", part), (view, name, part[:900])
