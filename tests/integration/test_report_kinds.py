"""Technical, final and trend reports over the real engine: the numbers are those of the rows that went in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from models.alerts.machine import Transition
from reports.build import build_report, render
from reports.config import ReportConfig
from reports.final import RunNotFinishedError
from reports.queries.clickhouse import ClickHouseReader
from sinks.clickhouse.client import connect
from streams.alert_rows import alert_rows
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import T0, T0_MS, table

pytestmark = pytest.mark.integration
DAY_MS = 86_400_000
MIDNIGHT_MS = T0_MS - T0_MS % DAY_MS


def task(swarm: str, i: int, **columns: Any) -> dict[str, Any]:
    own = {"swarm_id": swarm, "activity_id": f"{swarm}-{i}", "task_id": f"task-{i}", "offset": i}
    return {**own, "started_at": T0 + timedelta(seconds=i), "duration_ms": 1_000.0, "success": 1, **columns}


def alert(seq: int, event: str, state: str, at_ms: int) -> Transition:
    return Transition(
        alert_id="alert-1",
        seq=seq,
        at_ms=at_ms,
        rule="error-rate",
        kind="threshold",
        event=event,  # type: ignore[arg-type]  # one of the words
        state=state,  # type: ignore[arg-type]  # one of the words
        severity="critical",
        labels=(("swarm", "works"),),
        value=0.5,
        bound=0.1,
        reason="half of the tasks fail",
        action="look",
        since_ms=at_ms,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    works = [
        task(
            "works",
            i,
            phase="plan" if i < 10 else "build",
            status="failed" if i % 5 == 4 else "completed",
            success=int(i % 5 != 4),
            error_type="timeout" if i % 10 == 4 else "bad_input" if i % 10 == 9 and i < 20 else "",
            duration_ms=100.0 if i < 10 else 300.0,
        )
        for i in range(40)
    ]
    days = [
        task("daily", 100 * day + i, started_at=T0 + timedelta(days=day, seconds=i), duration_ms=1_000.0 + 50 * day)
        for day in range(6)
        for i in range(12)
    ]
    runs = [
        {"swarm_id": "works", "run_id": "r1", "ended_at": T0 + timedelta(seconds=20), "status": "completed"},
        {"swarm_id": "works", "run_id": "r2", "started_at": T0 + timedelta(seconds=30), "offset": 1},
    ]
    with migrated_database() as settings:
        connected = connect(settings)
        connected.insert_arrow("activities", table("activities", works + days))
        connected.insert_arrow("swarms", table("swarms", runs))
        connected.insert_arrow("alerts", alert_rows([alert(1, "firing", "firing", T0_MS + 5_000)]))
        yield connected
        connected.close()


def made(client: Any, **config: Any) -> dict[str, Any]:
    report = build_report(ClickHouseReader(client), ReportConfig(**config), with_charts=False)
    found: dict[str, Any] = json.loads(render(report, "json"))
    return found


def test_a_technical_report_counts_each_phase_and_class_of_error(client: Any) -> None:
    report = made(client, swarms=("works",), kind="technical")
    parts = {(row["dimension"], row["value"]): row for row in report["breakdown"]}
    assert {key: (row["tasks"], row["failed"]) for key, row in parts.items()} == {
        ("phase", "plan"): (10, 2),
        ("phase", "build"): (30, 6),
        ("error type", "timeout"): (4, 4),
        ("error type", "bad_input"): (2, 2),
    }
    assert parts["phase", "build"]["duration_p50_ms"] == 300
    told = [s["text"] for s in report["sentences"] if s["about"] == "tasks_failed"]
    assert told == ["works: 8 of 40 task runs failed; the most frequent class of error is timeout (4 of them)."]


def test_a_technical_report_shows_runs_and_open_alerts_with_their_sql(client: Any) -> None:
    report = made(client, swarms=("works",), kind="technical")
    assert [(run["run_id"], run["status"], run["ended"]) for run in report["runs"]] == [
        ("r1", "completed", "2026-03-01T12:00:20.000Z"),
        ("r2", "running", None),
    ]
    (found,) = report["alerts"]
    assert (found["rule"], found["state"], found["reason"]) == ("error-rate", "firing", "half of the tasks fail")
    assert client.query(found["sql"]).result_rows[0][-1] == "alert-1"


def test_an_alert_after_the_range_is_not_in_it(client: Any) -> None:
    assert made(client, swarms=("works",), kind="technical", to_ms=T0_MS + 5_000)["alerts"] == []


def test_a_final_report_is_about_exactly_the_time_of_its_run(client: Any) -> None:
    report = made(client, swarms=("works",), kind="final", run="r1")
    assert report["time_range"] == {"from": "2026-03-01T12:00:00.000Z", "to": "2026-03-01T12:00:20.001Z"}
    assert report["swarms"][0]["facts"]["tasks"]["value"] == 21  # its last millisecond is within
    assert [run["run_id"] for run in report["runs"]] == ["r1"]


def test_a_run_that_goes_on_has_no_final_report(client: Any) -> None:
    with pytest.raises(
        RunNotFinishedError, match="run r2 of swarm works, begun 2026-03-01 12:00:30 UTC, has not ended"
    ):
        made(client, swarms=("works",), kind="final")


def test_a_trend_has_each_day_and_the_change_from_one_to_the_next(client: Any) -> None:
    span = {"from_ms": MIDNIGHT_MS, "to_ms": MIDNIGHT_MS + 6 * DAY_MS}
    report = made(client, swarms=("daily",), kind="trend", period="daily", **span)
    (line,) = [found for found in report["trend"] if found["metric"] == "task_duration"]
    assert [point["value"] for point in line["points"]] == [1_000, 1_050, 1_100, 1_150, 1_200, 1_250]
    assert [point["n"] for point in line["points"]] == [12] * 6
    assert line["slope"] == pytest.approx(50)
    assert line["verdict"] == "worsening"
    (finding,) = [f for f in report["comparisons"] if f["metric"] == "task_duration"]
    assert (finding["a"], finding["b"]) == ("daily 2026-03-06", "daily 2026-03-05")
    assert finding["ratio"] == pytest.approx(1_250 / 1_200)
