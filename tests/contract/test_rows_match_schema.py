"""The migrated database, models.rows and the fixed view columns agree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from models.rows import ALERT_TABLES, STREAM_TABLES, TABLES
from sinks.clickhouse.client import connect
from sinks.kafka.records import KEY_COLUMNS
from sinks.memory import IDENTITY
from tests.support.clickhouse import migrated_database

pytestmark = pytest.mark.integration

# Consumers build on these names, in this order, at the front of each view.
VIEW_COLUMNS = {
    "v_metrics": "swarm_id agent_id run_id metric timestamp value unit tags weight source provenance log_id topic "
    "partition offset idx",
    "v_windows": "swarm_id agent_id metric window_ms window_start events sum min max mean stddev p50 p90 p95 p99 "
    "closed",
    "v_swarm_windows": "swarm_id metric window_ms window_start events sum min max mean stddev p50 p90 p95 p99 closed",
    "v_activities": "swarm_id agent_id parent_agent_id run_id kind started_at ended_at duration_ms status role model "
    "tool task_id input_tokens cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens output_tokens cost_usd "
    "cost_provenance error_type tags",
    "v_anomalies": "swarm_id agent_id metric detected_at window_start value expected_low expected_high score severity "
    "detector reason",
    "v_dead_letters": "topic partition offset idx error_code reason",
}
# NULL means not measured, not known, not priced, not reported. Everything else always has a value.
NULLABLE = {
    "activities": {
        *("ended_at", "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens"),
        *("cache_write_1h_tokens", "output_tokens", "cost_usd", "retries", "conflicts", "quality_ratio"),
        *("test_coverage_ratio", "security_findings", "files_touched", "success"),
    },
    "swarms": {"ended_at"},
}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with migrated_database() as settings:
        opened = connect(settings)
        yield opened
        opened.close()


def columns(client: Client, table: str) -> list[tuple[str, str, str, str]]:
    rows = client.query(
        "SELECT name, type, comment, default_kind FROM system.columns "
        "WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
        {"table": table},
    ).result_rows
    return [tuple(row) for row in rows]  # type: ignore[misc]


def clickhouse_type(table: str, field: pa.Field) -> set[str]:
    """The column types that hold this Arrow type without loss."""
    kinds: dict[pa.DataType, set[str]] = {
        pa.float64(): {"Float64"},
        pa.uint8(): {"UInt8"},
        pa.uint16(): {"UInt16"},
        pa.uint32(): {"UInt32"},
        pa.int32(): {"Int32"},
        pa.uint64(): {"UInt64"},
        pa.string(): {"String"},
        pa.binary(): {"String"},
        pa.list_(pa.int32()): {"Array(Int32)"},
        pa.list_(pa.string()): {"Array(String)"},
        pa.list_(pa.uint64()): {"Array(UInt64)"},
        pa.timestamp("ms", tz="UTC"): {"DateTime64(3, 'UTC')"},
        pa.dictionary(pa.int32(), pa.string()): {"LowCardinality(String)"},
        pa.map_(pa.string(), pa.string()): {"Map(LowCardinality(String), String)"},
    }
    fitting = kinds[field.type]
    return {f"Nullable({kind})" for kind in fitting} if field.name in NULLABLE.get(table, set()) else fitting


@pytest.mark.parametrize("table", TABLES | ALERT_TABLES)
def test_each_table_has_exactly_the_columns_of_its_rows_in_order(client: Client, table: str) -> None:
    stored = [(name, kind) for name, kind, _, default in columns(client, table) if default != "MATERIALIZED"]
    schema = (TABLES | ALERT_TABLES)[table]
    assert [name for name, _ in stored] == schema.names
    for (name, kind), field in zip(stored, schema, strict=True):
        assert kind in clickhouse_type(table, field), name


def test_every_column_of_every_table_says_what_it_means(client: Client) -> None:
    silent = client.query(
        "SELECT c.table, c.name FROM system.columns AS c INNER JOIN system.tables AS t "
        "ON c.database = t.database AND c.table = t.name "
        "WHERE c.database = currentDatabase() AND t.engine NOT LIKE '%View' AND length(c.comment) < 5"
    ).result_rows
    assert silent == []


def test_every_table_says_what_it_is(client: Client) -> None:
    silent = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'View' AND comment = ''"
    ).result_rows
    assert silent == []


@pytest.mark.parametrize("view", VIEW_COLUMNS)
def test_each_view_begins_with_its_fixed_columns(client: Client, view: str) -> None:
    fixed = VIEW_COLUMNS[view].split()
    assert [name for name, *_ in columns(client, view)][: len(fixed)] == fixed


@pytest.mark.parametrize("view", VIEW_COLUMNS)
def test_each_view_gives_times_in_utc_and_text_as_text(client: Client, view: str) -> None:
    for name, kind, *_ in columns(client, view):
        if name.endswith("_at") or name in {"timestamp", "window_start"}:
            assert kind in {"DateTime64(3, 'UTC')", "Nullable(DateTime64(3, 'UTC'))"}, name
        if name.endswith("_id") or name in {"metric", "status", "kind"}:
            assert kind in {"String", "LowCardinality(String)"}, name


@pytest.mark.parametrize("table", TABLES)
def test_the_sorting_key_is_the_identity_of_a_row(client: Client, table: str) -> None:
    key = sorting_key(client, table)
    assert set(re.sub(r"toStartOfHour\(timestamp\), ", "", key).split(", ")) == set(IDENTITY[table])


@pytest.mark.parametrize("table", TABLES)
def test_versions_of_a_row_always_lie_in_one_partition(client: Client, table: str) -> None:
    """Rows replace each other only within a partition, so its key must be a function of the sorting key."""
    partition = str(
        client.command(
            f"SELECT partition_key FROM system.tables WHERE database = currentDatabase() AND name = '{table}'"
        )
        or ""
    )
    used = set(re.findall(r"[a-z_]+", re.sub(r"toYYYYMM(DD)?", "", partition)))
    assert used <= set(IDENTITY[table]), partition


@pytest.mark.parametrize("table", sorted(set(KEY_COLUMNS) & set(IDENTITY)))
def test_a_kafka_key_tells_rows_apart_as_the_table_does(table: str) -> None:
    if table == "anomalies":  # the id alone: it is made from the other columns
        assert KEY_COLUMNS[table] == ("anomaly_id",)
    else:
        assert set(KEY_COLUMNS[table]) == set(IDENTITY[table])


def sorting_key(client: Client, table: str) -> str:
    return str(
        client.command(f"SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = '{table}'")
    )


def test_a_swarm_window_key_is_that_of_its_agents_without_agent_and_generation() -> None:
    assert set(KEY_COLUMNS["swarm_windows"]) == set(KEY_COLUMNS["windows"]) - {"agent_id", "gen"}
    assert set(KEY_COLUMNS["swarm_windows"]) < set(STREAM_TABLES["swarm_windows"].names)


def test_an_alert_row_is_known_by_the_same_columns_in_clickhouse_and_on_the_topic(client: Client) -> None:
    assert sorting_key(client, "alerts").split(", ") == list(KEY_COLUMNS["alerts"])
