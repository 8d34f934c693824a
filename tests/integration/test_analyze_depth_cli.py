"""Scores, the split of time, trends, capacity and the SQL behind them, over rows in the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.settings import Settings, environment_of
from sinks.clickhouse.client import connect
from tests.support.analyzing import ROOT, activity, analyzed, murmur
from tests.support.result_rows import T0, table

pytestmark = pytest.mark.integration
MODEL = "claude-haiku-4-5"
MINUTE_MS = 60_000


def _activities() -> list[dict[str, Any]]:
    tasks = [
        activity(
            n,
            "task",
            n * MINUTE_MS,
            30_000,
            agent_id=f"a{n % 2}",
            role="coder",
            status="failed" if n < 3 else "completed",
        )
        | {"quality_ratio": 0.5 + n / 100 if n >= 5 else None, "phase": "build" if n % 2 else "plan"}
        for n in range(30)
    ]
    declared = activity(90, "task", 0, None, agent_id="a0", tags=[("declared_success", "true")], swarm_id="s")
    talk = [
        activity(100, "message", 0, 1_000, agent_id="a0", to_agent_id="a1"),
        activity(101, "message", 5_000, 1_000, agent_id="x", from_agent_id="a0", to_agent_id="a1", status="failed"),
        activity(102, "message", 11_000, 1_000, agent_id="a1", to_agent_id="a0"),
        activity(103, "message", 50_000, 1_000, agent_id="a1", to_agent_id="a0"),
        activity(104, "message", 3_000, 1_000, agent_id="a1", to_agent_id="a0", run_id="another"),
    ]
    phases = [
        activity(110, "phase", 0, 10, phase="plan"),
        activity(111, "phase", 0, 10, phase="build", status="failed"),
        activity(112, "phase", 0, None, phase="ship", status="running"),
    ]
    edits = [activity(120 + n, "edit", 0, 10, agent_id="a0", conflicts=n) for n in range(3)]
    calls = [
        activity(130, "model_call", 0, 20_000, agent_id="b", run_id="split", model=MODEL, input_tokens=1_000_000),
        activity(131, "tool_call", 10_000, 20_000, agent_id="b", run_id="split", tool="Bash"),
        activity(132, "tool_call", 40_000, 60_000, agent_id="b", run_id="split", tool="Task"),
        activity(133, "model_call", 45_000, 30_000, agent_id="c", run_id="split", parent_agent_id="b", model=MODEL),
    ]
    return [*tasks, declared, *talk, *phases, *edits, *calls]


def _metrics() -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    memory = [
        {
            "swarm_id": "s",
            "agent_id": agent,
            "metric": "memory_usage",
            "unit": "bytes",
            "timestamp": T0 + timedelta(minutes=n),
            "value": 100e6 + slope * n + float(random.normal(0, 1e6)),
            "offset": 1_000 * k + n,
        }
        for k, (agent, slope) in enumerate((("a0", 1e6), ("a1", 0.0)))
        for n in range(60)
    ]
    polled = {"swarm_id": "s", "agent_id": "a0", "metric": "response_time", "unit": "s", "value": 99.0, "offset": 9_000}
    return [*memory, polled]


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    from tests.support.clickhouse import migrated_database

    with migrated_database() as found:
        client = connect(found)
        client.insert_arrow("activities", table("activities", _activities()))
        client.insert_arrow("metrics", table("metrics", _metrics()))
        client.close()
        yield found


@pytest.fixture(scope="module")
def environment(settings: Settings) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment_of(settings)}


def test_scores_count_what_ended_and_leave_out_what_was_only_declared(environment: dict[str, str]) -> None:
    answer = analyzed(environment, "scores", "s")
    a0 = next(one for one in answer["scores"] if one["of"] == "a0")
    a1 = next(one for one in answer["scores"] if one["of"] == "a1")
    assert (a0["completion_n"], a1["completion_n"]) == (15, 15)
    assert a0["completion"] == pytest.approx(13 / 15)
    assert a1["completion"] == pytest.approx(14 / 15)
    # a1 was told twice (arrived at 1 s and 6 s) and first answered at 11 s in that run: 10 s and 5 s.
    assert (a1["response_s"], a1["response_n"], a1["response_from"]) == (7.5, 2, "answers to messages")
    assert (a0["response_s"], a0["response_from"]) == (99.0, "metric response_time")
    assert a1["message_success"] == pytest.approx(4 / 5)
    assert a1["messages_per_agent"] == 5
    terms = {(one["of"], one["term"]): one for one in answer["terms"]}
    assert terms["a1", "messages"]["value"] == 0.5
    assert sum(one["weight"] for one in answer["terms"] if one["of"] == "a1") == pytest.approx(1)
    figures = {one["name"]: one for one in answer["kpis"]}
    assert figures["task completion"]["value"] == pytest.approx(27 / 30)
    assert (figures["phase success"]["value"], figures["phase success"]["n"]) == (0.5, 2)
    assert figures["integration success"]["value"] == pytest.approx(1 / 3)
    (quality,) = answer["quality_trend"]
    assert quality["verdict"] == "improving"
    assert quality["slope_per_hour"] == pytest.approx(0.6, rel=0.05)
    assert any("task completion 90.0 %" in one["text"] for one in answer["sentences"])


def test_a_screen_shows_terms_in_lines_and_the_other_formats_every_column(environment: dict[str, str]) -> None:
    shown = murmur(environment, "analyze", "scores", "s").stdout
    assert "their terms, and the weight of each" in shown
    assert "completion_low" not in shown
    assert "completion_low" in murmur(environment, "analyze", "scores", "s", "--format", "csv").stdout
    assert "completion_low" in murmur(environment, "analyze", "scores", "s", "--format", "markdown").stdout


def test_time_is_split_once_and_percentiles_are_the_calls(environment: dict[str, str]) -> None:
    answer = analyzed(environment, "latency", "run=split")
    (run,) = answer["time"]
    assert (run["wall_ms"], run["model_ms"], run["tool_ms"]) == (100_000, 20_000 + 30_000, 10_000)
    assert (run["agents_ms"], run["idle_ms"], run["measured_ratio"]) == (30_000, 10_000, 1.0)
    by_agent = {one["agent_id"]: one for one in analyzed(environment, "latency", "run=split", "--by", "agent")["time"]}
    assert by_agent["b"]["agents_ms"] == 60_000
    (calls,) = [one for one in answer["calls"] if one["kind"] == "model_call"]
    assert (calls["n"], calls["p50_ms"], calls["max_ms"], calls["sum_ms"]) == (2, 25_000, 30_000, 50_000)
    assert calls["provenances"] == ["measured"]


def test_a_leak_of_one_agent_is_told_from_the_other(environment: dict[str, str]) -> None:
    options = ("--of", "memory_usage", "--by", "agent", "--interval", "1m", "--limit", "200e6", "--forecast", "10m")
    answer = analyzed(environment, "trend", "s", *options)
    found = {one["of"]: one for one in answer["trends"]}
    assert found["a0"]["verdict"] == "worsening"
    assert found["a0"]["slope_per_hour"] == pytest.approx(60e6, rel=0.05)
    assert found["a0"]["limit_in_ms"] == pytest.approx(41 * MINUTE_MS, rel=0.1)
    assert found["a1"]["verdict"] == "no trend shown"
    assert len(found["a0"]["forecast"]) == 10
    success = analyzed(environment, "trend", "s", "--of", "task_success", "--interval", "5m")["trends"]
    assert (success[0]["intervals"], success[0]["events"], success[0]["verdict"]) == (6, 30, "not enough data")


def test_capacity_and_work_come_from_the_tasks(environment: dict[str, str]) -> None:
    answer = analyzed(environment, "capacity", "s", "--tasks-per-hour", "600")
    (pool,) = answer["capacity"]
    assert (pool["service_ms"], pool["agents"], pool["agents_needed"]) == (30_000, 2, 7)
    assert pool["verdict"] == "too few"
    parts = {one["of"]: one for one in analyzed(environment, "work", "s", "--by", "phase")["work"]}
    assert (parts["build"]["tasks"], parts["build"]["failed"], parts["plan"]["failed"]) == (15, 1, 2)


def test_another_price_book_prices_the_same_calls(environment: dict[str, str], tmp_path: Path) -> None:
    book = tmp_path / "other.toml"
    book.write_text(f'[[price]]\nmodel = "{MODEL}"\neffective_from = 2026-01-01\ninput = 3.0\nsource = "test"\n')
    answer = analyzed(environment, "costs", "run=split", "--price-book", str(book))
    (one,) = answer["recosting"]
    assert (one["calls"], one["compared"], one["in_neither"], one["book_usd"]) == (2, 1, 1, 3.0)
    done = murmur(environment, "analyze", "costs", "s", "--price-book", str(tmp_path / "missing.toml"))
    assert (done.returncode, "missing.toml: cannot be read" in done.stderr) == (2, True)


QUESTIONS = (
    ("scores", "s"),
    ("latency", "s"),
    ("trend", "s", "--of", "memory_usage"),
    ("trend", "role=coder", "--of", "quality", "--by", "agent"),
    ("capacity", "s"),
    ("work", "s", "agent=a0"),
    ("costs", "s"),
    ("repeats", "s"),
    ("bottlenecks", "s"),
    ("run", "s"),
    ("correlations", "s"),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_the_sql_of_every_table_runs_as_it_stands(
    environment: dict[str, str], settings: Settings, question: tuple[str, ...]
) -> None:
    answer = analyzed(environment, *question)
    assert answer["queries"]
    client = connect(settings)
    for query in answer["queries"]:
        assert len(client.query(query["sql"]).result_rows) == query["rows"], query["name"]
    client.close()


def test_the_sql_runs_in_murmur_sql(environment: dict[str, str]) -> None:
    (query,) = analyzed(environment, "bottlenecks", "s")["queries"]
    done = murmur(environment, "sql", "--format", "json", stdin=query["sql"])
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == query["rows"]


def test_a_technical_report_says_it_too_and_leads_to_the_sql(environment: dict[str, str], tmp_path: Path) -> None:
    flags = ("--swarm", "s", "--kind", "technical", "--format", "json,html", "--out", str(tmp_path))
    done = murmur(environment, "report", "generate", *flags)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    report = json.loads(path.read_text())
    said = {one["text"]: one["query"] for one in report["sentences"]}
    (completion,) = [text for text in said if text.startswith("s: task completion 90.0 %")]
    (quality,) = [text for text in said if "mean of quality: improving" in text]
    assert (said[completion], said[quality]) == ("kpis", "series_quality")
    assert any("in the model API" in text for text in said)
    for name in {"kpis", "series_quality", "time_spans", "agent_work"}:
        assert "SELECT" in report["queries"][name]["sql"]
    (page,) = (path.read_text() for path in tmp_path.glob("*.html"))
    assert 'href="#q-series_quality"' in page
    assert 'id="q-series_quality"' in page


def test_sql_stands_below_the_tables_where_it_is_asked_for(environment: dict[str, str]) -> None:
    shown = murmur(environment, "analyze", "bottlenecks", "s", "--sql").stdout
    assert "-- durations: " in shown
    assert shown.rstrip().endswith(";")
    assert "SELECT" not in murmur(environment, "analyze", "bottlenecks", "s").stdout
    assert "```sql" in murmur(environment, "analyze", "bottlenecks", "s", "--sql", "--format", "markdown").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("bottlenecks", "s", "--sql", "--format", "csv"), 2, "it holds rows only"),
        (("trend", "s", "--of", "nobody_knows"), 1, "no metric event of these sides has it"),
        (("trend", "s", "--forecast", "soon"), 2, "is not a length of time"),
        (
            ("trend", "s", "--of", "memory_usage", "--by", "role"),
            2,
            "metric events have swarm, run, agent and tags only",
        ),
        (("trend", "s", "--of", "memory_usage", "--interval", "1s", "--stat", "count"), 2, "at most 1,500"),
        (("trend", "s", "--of", "a b"), 2, "is no name of a metric"),
    ],
)
def test_a_mistake_is_one_line(
    environment: dict[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = murmur(environment, "analyze", *arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
