"""Reports over the real ClickHouse engine: every number recounted here, every query repeated as it is printed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.settings import Settings
from reports.build import UnknownSwarmError, build_report, render, write_report
from reports.config import ReportConfig
from reports.queries.clickhouse import ClickHouseReader
from reports.render.view import Report
from reports.store import save_report
from sinks.clickhouse.client import connect
from tests.support.result_rows import T0, T0_MS, table

pytestmark = pytest.mark.integration

AWKWARD = 'it\'s a \\ "swarm"\n{swarms:Array(String)} <b>'  # quotes, a line break, our own placeholder, markup
TASKS = 30


def _activities(swarm_id: str, factor: float, start: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(start)
    rows: list[dict[str, Any]] = []

    def add(**columns: Any) -> None:
        offset = start + len(rows)
        rows.append({"swarm_id": swarm_id, "offset": offset, "activity_id": f"{swarm_id}-{offset}", **columns})

    for i in range(TASKS):
        began = T0 + timedelta(seconds=i)
        task = {"task_id": f"task-{i}", "agent_id": f"agent-{i % 3}", "started_at": began}
        # Task 0 was tried twice, task 1 did not say whether it succeeded, task 2 is still running.
        for attempt in range(2 if i == 0 else 1):
            add(
                kind="task",
                **task,
                duration_ms=None if i == 2 else factor * float(rng.lognormal(6, 0.4)),
                status="running" if i == 2 else "failed" if i % 7 == 3 else "completed",
                success=None if i in (1, 2) else int(i % 7 != 3 and attempt == 0),
            )
        for _ in range(2):
            # Task 5 has a call that nobody priced: its cost is not known, though a part of it is.
            cost = None if i == 5 and len(rows) % 2 else factor * float(rng.lognormal(-5, 0.3))
            add(
                kind="model_call",
                **task,
                duration_ms=float(rng.lognormal(5, 0.4)),
                status="completed",
                model="model-a" if i % 2 else "",
                input_tokens=100 + i,
                output_tokens=10,
                cost_usd=cost,
                cost_provenance="" if cost is None else "estimated",
            )
        add(
            kind="tool_call",
            **task,
            duration_ms=10.0 + i,
            status="failed" if i == 9 else "completed",
            tool="grep",
        )
    return rows


@pytest.fixture(scope="module")
def store() -> Iterator[Settings]:
    from tests.support.clickhouse import migrated_database

    with migrated_database() as settings:
        client = connect(settings)
        activities = [
            *_activities("slow", 1.8, 0),
            *_activities("fast", 1.0, 1_000),
            *_activities(AWKWARD, 1.0, 2_000),
        ]
        metrics = [
            {"swarm_id": s, "agent_id": f"agent-{i % 12}", "metric": "queue_depth", "unit": "events",
             "value": float(i % 12 + k), "weight": 1.0 + i % 2, "timestamp": T0 + timedelta(seconds=i),
             "offset": 1_000 * k + i}
            for k, s in enumerate(("slow", "fast"))
            for i in range(120)
        ]  # fmt: skip
        anomaly = {
            "swarm_id": "slow",
            "severity": "critical",
            "reason": "far <script>alert(1)</script> above",
        }
        for name, rows in (
            ("activities", activities),
            ("metrics", metrics),
            ("anomalies", [anomaly]),
            ("dead_letters", [{}]),
            ("swarms", [{"swarm_id": "slow", "configuration": [("topology", "star")]}]),
        ):
            client.insert_arrow(name, table(name, rows))
        client.close()
        yield settings


@pytest.fixture(scope="module")
def report(store: Settings) -> Report:
    client = connect(store)
    try:
        return build_report(ClickHouseReader(client), ReportConfig(swarms=("slow", "fast")))
    finally:
        client.close()


def _tasks(swarm_id: str, factor: float, start: int) -> dict[str, list[dict[str, Any]]]:
    by_task: dict[str, list[dict[str, Any]]] = {}
    for row in _activities(swarm_id, factor, start):
        by_task.setdefault(row["task_id"], []).append(row)
    return by_task


def _mean_duration(rows: list[dict[str, Any]], kind: str) -> float | None:
    values = [r["duration_ms"] for r in rows if r["kind"] == kind and r["duration_ms"] is not None]
    return float(np.mean(values)) if values else None


def test_task_means_pairs_and_costs_agree_with_a_recount(report: Report) -> None:
    slow, fast = _tasks("slow", 1.8, 0), _tasks("fast", 1.0, 1_000)
    found = {f.metric: f for f in report.comparisons}
    duration = found["task_duration"]
    expected = [[_mean_duration(side[t], "task") for t in sorted(side) if t != "task-2"] for side in (slow, fast)]
    assert duration.paired
    assert duration.n_a == duration.n_b == TASKS - 1
    assert duration.missing_a == duration.missing_b == 1
    assert duration.mean_a == pytest.approx(np.mean(expected[0]))  # type: ignore[arg-type]
    assert duration.p95_b == pytest.approx(np.quantile(expected[1], 0.95))  # type: ignore[arg-type]
    assert duration.ratio == pytest.approx(np.mean(expected[0]) / np.mean(expected[1]))  # type: ignore[arg-type]
    assert duration.verdict == "worse"
    cost = found["cost_usd"]
    assert cost.n_a == TASKS - 1, "a task with an unpriced call has no cost"
    totals = [
        sum(r["cost_usd"] for r in rows if r["kind"] == "model_call") / (2 if t == "task-0" else 1)
        for t, rows in slow.items()
        if t != "task-5"
    ]
    assert cost.mean_a == pytest.approx(np.mean(totals))
    assert cost.provenance == ("estimated",)


def test_success_counts_repeats_as_one_task_and_takes_missing_flags_from_the_status(report: Report) -> None:
    fact = report.summaries[0].fact("success_ratio")
    assert fact is not None
    finished = TASKS  # 31 task runs, one of them still running
    failed = len([i for i in range(TASKS) if i % 7 == 3]) + 1  # and the second try of task 0
    assert fact.n == finished
    assert fact.value == pytest.approx((finished - failed) / finished)
    assert "derived" in fact.provenance
    assert fact.note == "1 of 30 outcomes taken from the status"


def test_agents_are_the_unit_of_plain_metrics_with_weighted_means(report: Report) -> None:
    f = next(f for f in report.comparisons if f.metric == "queue_depth")
    assert f.unit_of_analysis == "agent"
    assert (f.n_a, f.n_b, f.paired) == (12, 12, False)
    assert f.mean_a == pytest.approx(np.mean(range(12)))
    assert f.mean_b == pytest.approx(np.mean(range(1, 13)))


def test_every_printed_query_runs_as_it_stands_and_gives_as_many_rows(report: Report, store: Settings) -> None:
    client = connect(store)
    for query in report.queries.values():
        assert "{" not in query.sql
        assert len(client.query(query.sql).result_rows) == query.rows, query.name
    client.close()


def test_every_number_of_the_json_names_its_unit_and_its_sql(report: Report) -> None:
    result = json.loads(render(report, "json"))
    facts = [fact for swarm in result["swarms"] for fact in swarm["facts"].values()]
    assert len(facts) > 20
    for fact in facts:
        assert fact["unit"]
        assert fact["sql"].startswith(("--", "SELECT"))
        assert isinstance(fact["n"], int)
    for comparison in result["comparisons"]:
        assert comparison["unit"]
        assert "FROM v_" in comparison["sql"]
    for line in (*result["agents"], *result["cost_by_model"], *result["anomalies"]):
        assert "FROM v_" in line["sql"]
    assert [line["unit"] for line in result["anomalies"]] == ["ms"] * len(result["anomalies"])
    assert result["anomalies"]


def test_queries_read_views_only() -> None:
    folder = Path(__file__).parents[2] / "reports" / "queries" / "sql"
    for path in folder.glob("*.sql"):
        words = path.read_text("utf-8").split()
        sources = [words[i + 1] for i, w in enumerate(words) if w in {"FROM", "JOIN"}]
        assert sources
        assert all(s.startswith(("v_", "(", "tasks", "calls", "runs", "talk")) for s in sources), path.name


def test_awkward_names_come_through_every_query_and_cannot_break_out(store: Settings) -> None:
    client = connect(store)
    report = build_report(ClickHouseReader(client), ReportConfig(swarms=(AWKWARD, "fast"), kind="technical"))
    assert report.summaries[0].fact("tasks").value == TASKS + 1  # type: ignore[union-attr]
    for query in report.queries.values():
        assert len(client.query(query.sql).result_rows) == query.rows, query.name
    client.close()
    page = render(report, "html")
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_markup_in_data_is_text_in_html_and_in_charts(report: Report) -> None:
    page = render(report, "html")
    assert page.count("<script") == 1, "the page's own"
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_time_range_bounds_what_is_counted(store: Settings) -> None:
    client = connect(store)
    config = ReportConfig(swarms=("slow",), from_ms=T0_MS + 10_000, to_ms=T0_MS + 20_000)
    half = build_report(ClickHouseReader(client), config)
    client.close()
    assert half.summaries[0].fact("tasks").value == 10  # type: ignore[union-attr]
    assert half.comparisons == ()


def test_an_unknown_swarm_is_named_together_with_those_there_are(store: Settings) -> None:
    client = connect(store)
    with pytest.raises(UnknownSwarmError, match=r"swarm nobody has no event in the database; .*fast"):
        build_report(ClickHouseReader(client), ReportConfig(swarms=("nobody", "fast")))
    client.close()


def test_the_same_rows_give_the_same_numbers(store: Settings, report: Report) -> None:
    client = connect(store)
    again = build_report(ClickHouseReader(client), ReportConfig(swarms=("slow", "fast")))
    client.close()
    assert again.comparisons == report.comparisons
    assert [c.svg for c in again.charts] == [c.svg for c in report.charts]


def test_files_are_written_and_the_report_is_kept_under_its_id(report: Report, store: Settings, tmp_path: Path) -> None:
    paths = write_report(report, tmp_path / "out", ["html", "md", "json"])
    assert [p.suffix for p in paths] == [".html", ".md", ".json"]
    assert paths[0].stat().st_size < 2_000_000
    client = connect(store)
    save_report(client, report, {"json": render(report, "json")})
    save_report(client, report, {"json": render(report, "json")})
    rows = client.query(
        "SELECT kind, body FROM reports FINAL WHERE report_id = {id:String}",
        parameters={"id": report.report_id},
    ).result_rows
    client.close()
    assert len(rows) == 1
    assert rows[0][0] == "comparison"
    assert json.loads(rows[0][1])["report_id"] == report.report_id


def test_no_number_of_the_json_is_infinite_or_nan(report: Report) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, float):
            assert math.isfinite(value)
        elif isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads(render(report, "json")))
