"""The benchmark's filled month holds rows that a worker could have written."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.history import SWARMS, WINDOWS_MS, Plan, fill, write_last_hour_again
from benchmarks.questions import QUESTIONS
from models.windows import sketch
from reports.build import build_report
from reports.config import ReportConfig
from reports.queries.clickhouse import ClickHouseReader
from sinks.clickhouse.client import connect
from tests.support.clickhouse import migrated_database

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PLAN = Plan(events=60_000, days=2)


def test_a_filled_month_is_consistent_and_every_question_finds_rows() -> None:
    with migrated_database() as settings:
        client = connect(settings)
        fill(client, PLAN)
        write_last_hour_again(client)
        events = int(client.command("SELECT count() FROM v_metrics"))
        assert events >= (PLAN.busy_events + PLAN.session_events) * PLAN.days
        for window_ms in WINDOWS_MS:
            assert client.command(f"SELECT sum(events) FROM v_windows WHERE window_ms = {window_ms}") == events
        assert client.command("SELECT sum(events) FROM v_metric_hours") == events
        assert client.command("SELECT countIf(gen > 0) > 0 FROM windows")
        ((values, keys, counts),) = client.query(
            "SELECT groupArray(value), any(w.sketch_keys), any(w.sketch_counts) FROM v_metrics AS m INNER JOIN "
            "(SELECT * FROM windows FINAL WHERE window_ms = 60000 AND gen = 0 ORDER BY events DESC LIMIT 1) AS w "
            "ON m.swarm_id = w.swarm_id AND m.agent_id = w.agent_id AND m.metric = w.metric "
            "AND toStartOfMinute(m.timestamp) = w.window_start WHERE cityHash64(m.offset, m.idx) % 256 != 0"
        ).result_rows
        wanted = np.unique(sketch.keys_of(np.array(values)), return_counts=True)
        assert (list(keys), list(counts)) == (wanted[0].tolist(), (wanted[1] * sketch.SKETCH_UNITS).tolist())
        for question in QUESTIONS:
            assert client.query(question.sql).row_count or "anomalies" in question.name, question.name
        report = build_report(
            ClickHouseReader(client), ReportConfig(swarms=tuple(PLAN.swarm_ids()[:2])), with_charts=False
        )
        assert len(report.summaries) == 2
        assert client.command("SELECT uniqExact(swarm_id) FROM v_swarm_summary") == SWARMS
        client.close()
