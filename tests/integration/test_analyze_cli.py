"""`murmur analyze` over rows in the real engine, against answers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from models.settings import environment_of
from sinks.clickhouse.client import connect
from tests.support.analyzing import ROOT, activity, analyzed, murmur
from tests.support.result_rows import table

pytestmark = pytest.mark.integration
MODEL = "claude-haiku-4-5"


def _rows() -> list[dict[str, Any]]:
    calls = [
        activity(
            1,
            "model_call",
            0,
            100,
            model=MODEL,
            agent_id="a",
            input_tokens=1_000_000,
            cost_usd=1.0,
            cost_provenance="estimated",
        ),
        activity(
            2,
            "model_call",
            100,
            200,
            model=MODEL,
            agent_id="b",
            input_tokens=10,
            cache_read_tokens=90,
            cost_usd=0.5,
            cost_provenance="estimated",
        ),
        activity(3, "model_call", 20, 30, model="nobody", agent_id="a", input_tokens=10),
    ]
    tools = [
        activity(
            10 + i,
            "tool_call",
            300 + 10 * i,
            10,
            tool="Read",
            agent_id="a",
            input_hash="h1" if i < 3 else "h2",
            success=int(i != 1),
        )
        for i in range(4)
    ]
    tools += [activity(20 + i, "tool_call", 340, 10 * (1 + 9 * (i == 2)), tool=f"T{i}", agent_id="a") for i in range(3)]
    tasks = [
        activity(
            100 + i,
            "task",
            0,
            50 + i,
            run_id=f"r{i}",
            agent_id="worker",
            task_id=f"t{i}",
            success=1,
            cost_usd=0.1 * (1 + i),
            cost_provenance="estimated",
        )
        for i in range(24)
    ]
    return [*calls, *tools, *tasks]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    from tests.support.clickhouse import migrated_database

    runs = [
        {"swarm_id": "s", "run_id": f"r{i}", "configuration": [("model", "new" if i >= 12 else "old")], "offset": i}
        for i in range(24)
    ]
    with migrated_database() as settings:
        client = connect(settings)
        client.insert_arrow("activities", table("activities", _rows()))
        client.insert_arrow("swarms", table("swarms", runs))
        client.close()
        yield {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment_of(settings)}


def test_costs_by_agent_say_what_is_not_priced(environment: dict[str, str]) -> None:
    rows = {row["of"]: row for row in analyzed(environment, "costs", "s", "--by", "agent")["costs"]}
    assert (rows["a"]["cost_usd"], rows["a"]["calls"], rows["a"]["unpriced_ratio"]) == (1.0, 2, 0.5)
    assert rows["b"]["cache_read_ratio"] == 0.9
    assert rows["b"]["cache_saving_usd"] > 0
    assert rows["a"]["share_ratio"] == pytest.approx(2 / 3)


def test_costs_on_another_model_use_the_price_book(environment: dict[str, str]) -> None:
    (row,) = analyzed(environment, "costs", "s", "--filter", f"model={MODEL}", "--all-on", MODEL)["all_on"]
    assert row["ratio"] == 1.0
    (unknown,) = analyzed(environment, "costs", "s", "--all-on", "no-such-model")["all_on"]
    assert unknown["all_on_model_usd"] is None


def test_repeats_leave_out_what_failed(environment: dict[str, str]) -> None:
    (row,) = analyzed(environment, "repeats", "s")["repeated"]
    assert (row["name"], row["hash"], row["times"], row["again_ms"]) == ("Read", "h1", 2, 10.0)


def test_the_slow_tool_is_the_bottleneck(environment: dict[str, str]) -> None:
    found = {
        row["name"]: row
        for row in analyzed(environment, "bottlenecks", "s", "--filter", "kind=tool_call")["bottlenecks"]
    }
    assert set(found) == {"T2"}
    assert (found["T2"]["typical_ms"], found["T2"]["impact_ms"]) == (10.0, 90.0)


def test_the_shape_of_a_run_is_that_of_its_calls(environment: dict[str, str]) -> None:
    (shape,) = analyzed(environment, "run", "run=r1,kind=model_call")["runs"]
    assert (shape["wall_ms"], shape["busy_ms"], shape["path_work_ms"], shape["agents"]) == (300, 300, 300, 2)
    assert [part["agent_id"] for part in shape["path"]] == ["b", "a"]


def test_settings_and_correlations_come_with_their_uncertainty(environment: dict[str, str]) -> None:
    (impact,) = analyzed(environment, "impact", "s", "--metric", "task_duration")["settings"]
    assert (impact["setting"], impact["n_a"], impact["n_b"], impact["verdict"]) == ("model", 12, 12, "worse")
    assert impact["ratio_low"] > 1
    found = {(row["x"], row["y"]): row for row in analyzed(environment, "correlations", "s")["correlations"]}
    assert found["task_duration", "cost_usd"]["rho"] == 1.0
    assert found["task_duration", "cost_usd"]["shown"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("costs", "nobody"), 1, "swarm nobody has no event"),
        (("costs", "s", "--by", "mo del"), 2, "is no key of a filter"),
        (("impact", "s", "--metric", "speed"), 2, "settings are judged by"),
        (("run", "s", "--time-range", "soon"), 2, "write last-24h"),
    ],
)
def test_a_mistake_is_one_line(
    environment: dict[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = murmur(environment, "analyze", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
