"""A success that a tool declares of every task is no outcome: no report counts it."""

from __future__ import annotations

import pytest

from reports.build import build_report
from reports.config import ReportConfig
from reports.queries.clickhouse import ClickHouseReader
from sinks.clickhouse.client import connect
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import table

pytestmark = pytest.mark.integration


def test_a_declared_success_is_no_outcome_and_a_completed_task_without_one_is() -> None:
    with migrated_database() as settings:
        client = connect(settings)
        tasks = [
            {
                "swarm_id": swarm,
                "activity_id": f"{swarm}-{number}",
                "offset": number,
                "kind": "task",
                "status": "completed",
                "success": None,
                "tags": tags,
            }
            for swarm, tags in (("declares", [("declared_success", "true")]), ("ends", []))
            for number in range(3)
        ]
        client.insert_arrow("activities", table("activities", tasks))
        report = build_report(ClickHouseReader(client), ReportConfig(swarms=("declares", "ends")))
        client.close()
    facts = {
        summary.swarm_id: {name: summary.fact(name) for name in ("tasks_completed", "success_ratio")}
        for summary in report.summaries
    }
    shown = {swarm: {name: fact and fact.value for name, fact in found.items()} for swarm, found in facts.items()}
    assert shown == {
        "declares": {"tasks_completed": 3, "success_ratio": None},
        "ends": {"tasks_completed": 3, "success_ratio": 1.0},
    }
