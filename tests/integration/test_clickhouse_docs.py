"""docs/data-model.md says what the database is, and its examples run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from models.clock import SystemClock
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from streams.alert_rows import alert_rows, message_rows
from tests.support.alerting import outcome, transition
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import one_of_each, row, table

pytestmark = pytest.mark.integration

TEXT = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
# What the examples ask for has to be found by them, else they show nothing.
EMPTY_ALLOWED = ("v_prices", "now() - INTERVAL 1 HOUR", "times > 1", "v_active_fold", "system.view_refreshes")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    with migrated_database() as settings:
        opened = connect(settings)
        batch = {
            **one_of_each(swarm_id="demo", agent_id="agent-1", detected_at=now),
            "anomalies": table(
                "anomalies",
                [
                    row("anomalies", swarm_id="demo", agent_id="agent-1", detected_at=now),
                    row("anomalies", swarm_id="demo", anomaly_id="c", detector="change_point", severity="info"),
                ],
            ),
            "windows": table("windows", [row("windows", swarm_id="demo", window_ms=ms) for ms in (10_000, 60_000)]),
            "activities": table(
                "activities",
                [
                    row("activities", swarm_id="demo", kind="tool_call", activity_id="t", status="failed"),
                    row(
                        "activities",
                        swarm_id="demo",
                        kind="model_call",
                        activity_id="m",
                        model="m",
                        cost_usd=0.5,
                    ),
                ],
            ),
        }
        batch |= {
            "alerts": alert_rows([transition(event="firing", state="firing")]),
            "alert_messages": message_rows([outcome(status="undelivered", problem="no answer")]),
        }
        for name, rows in batch.items():
            opened.insert_arrow(name, rows, settings=dict(INSERT_SETTINGS))
        yield opened
        opened.close()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 15


@pytest.mark.parametrize("sql", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_runs_and_finds_rows(client: Client, sql: str) -> None:
    rows = client.query(sql).result_rows
    assert rows or any(reason in sql for reason in EMPTY_ALLOWED), sql


def test_every_table_is_documented_column_by_column_with_its_comment(client: Client) -> None:
    rows = client.query(
        "SELECT c.table, c.name, c.type, c.comment FROM system.columns AS c INNER JOIN system.tables AS t "
        "ON c.database = t.database AND c.table = t.name WHERE c.database = currentDatabase() "
        "AND t.engine NOT LIKE '%View' AND c.table != 'schema_migrations' "
        "ORDER BY c.table, c.position"
    ).result_rows
    assert len(rows) > 100
    for name in {of for of, *_ in rows}:
        documented = section(name)
        wanted = [
            f"| `{column}` | `{kind}` | {comment.replace('|', chr(92) + '|')} |"
            for of, column, kind, comment in rows
            if of == name
        ]
        assert [line for line in documented if line.startswith("| `")] == wanted, name


def test_every_view_is_documented_with_all_its_columns(client: Client) -> None:
    views: dict[str, list[str]] = {}
    for view, column in client.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND table LIKE 'v\\_%' "
        "ORDER BY table, position"
    ).result_rows:
        views.setdefault(view, []).append(column)
    assert len(views) > 10
    for name, columns in views.items():
        (line,) = [text for text in section(name) if text.startswith("columns: ")]
        assert re.findall(r"`([a-z0-9_]+)`", line) == columns, name


def section(name: str) -> list[str]:
    found = re.search(rf"^### `{name}`\n(.*?)(?=^##)", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, f"docs/data-model.md has no section `{name}`"
    return found[1].splitlines()
