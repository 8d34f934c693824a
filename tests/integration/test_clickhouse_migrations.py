"""Migrations against the real engine: forward, again, half-way, back, and every refusal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from models.settings import Settings
from sinks.base import PermanentSinkError
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import Migration, MigrationError
from sinks.clickhouse.sink import ClickHouseSink
from tests.support.clickhouse import empty_database, server_settings
from tests.support.result_rows import table
from tests.support.window_parts import window_row

pytestmark = pytest.mark.integration


@pytest.fixture
def settings() -> Iterator[Settings]:
    with empty_database() as made:
        yield made


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    opened = connect(settings)
    yield opened
    opened.close()


def step(version: int, up: str, down: str = "") -> Migration:
    return Migration(version, f"step_{version}", up, down)


def tables(client: Client) -> set[str]:
    return {name for (name,) in client.query("SHOW TABLES").result_rows}


def create(name: str) -> str:
    return f"CREATE TABLE IF NOT EXISTS {name} (x Int8) ENGINE = MergeTree ORDER BY x;"


def test_a_dry_run_tells_every_statement_and_changes_nothing(client: Client) -> None:
    steps = migrate.apply(client, dry_run=True)
    assert len(steps) > 20
    assert steps[0].statement.startswith("CREATE TABLE IF NOT EXISTS metrics")
    assert tables(client) == set()


def test_applying_twice_is_applying_once(client: Client) -> None:
    first = migrate.apply(client)
    before = tables(client)
    assert {s.migration.version for s in first} == set(migrate.applied(client))
    assert migrate.pending(client) == []
    assert migrate.apply(client) == []
    assert tables(client) == before


def test_the_schema_goes_back_to_nothing_and_forward_again(client: Client) -> None:
    migrate.apply(client)
    before = tables(client)
    migrate.down(client, to_version=0, allow_data_loss=True)
    assert tables(client) == {migrate.LEDGER}
    assert migrate.applied(client) == {}
    migrate.apply(client)
    assert tables(client) == before


def test_a_database_has_an_id_of_its_own_until_its_schema_is_made_again(client: Client) -> None:
    assert migrate.database_id(client) == ""
    migrate.apply(client)
    before = migrate.database_id(client)
    assert before
    migrate.down(client, to_version=1, allow_data_loss=True)
    migrate.apply(client)
    assert migrate.database_id(client) == before, "what the first migration made is still there"
    migrate.down(client, to_version=0, allow_data_loss=True)
    assert migrate.database_id(client) == ""
    migrate.apply(client)
    assert migrate.database_id(client) not in ("", before)


def test_results_from_before_versions_were_announced_stay_shown(client: Client) -> None:
    """Until 0016 the views showed the newest version there is while `folds` named none."""
    every = migrate.load()
    migrate.apply(client, every[:15])
    rows = [window_row([(1.0, 1.0)], fold_version=version) for version in (1, 3)]
    client.insert_arrow("windows", table("windows", rows))
    shown = "SELECT fold_version, allowed_lateness_ms FROM v_active_fold"
    before = client.query(shown).result_rows
    migrate.apply(client, every)
    assert client.query(shown).result_rows == before == [(3, 5000)]
    assert client.query("SELECT fold_version, active FROM folds FINAL").result_rows == [(3, 1)]


def test_going_back_stops_before_rows_are_lost(client: Client) -> None:
    migrate.apply(client)
    before = tables(client)
    lost = r"(drops a table and the rows in it|removes or renames columns or partitions); .* --allow-data-loss"
    with pytest.raises(MigrationError, match=lost):
        migrate.down(client, to_version=0)
    assert tables(client) == before
    migrate.down(client, to_version=8, allow_data_loss=True)  # roll-ups, which are made again
    migrate.down(client, to_version=3)  # only views: nothing can be lost
    assert sorted(migrate.applied(client)) == [1, 2, 3]


def test_a_file_that_was_changed_after_it_was_applied_is_refused(client: Client) -> None:
    migrate.apply(client, [step(1, create("a"))])
    edited = [step(1, create("b")), step(2, create("c"))]
    with pytest.raises(MigrationError, match=r"0001_step_1\.sql was changed .* restore the file"):
        migrate.apply(client, edited)
    assert "c" not in tables(client)


def test_a_database_of_a_newer_version_is_refused(client: Client) -> None:
    migrate.apply(client, [step(1, create("a")), step(2, create("b"))])
    with pytest.raises(MigrationError, match=r"the database has migration 0002, .* ends at 0001"):
        migrate.pending(client, [step(1, create("a"))])


def test_a_run_that_broke_off_half_way_is_simply_run_again(client: Client) -> None:
    broken = step(1, create("a") + "CREATE TABLE IF NOT EXISTS b (x Nonsense) ENGINE = MergeTree ORDER BY x;")
    with pytest.raises(PermanentSinkError, match=r"migration 0001_step_1\.sql: UNKNOWN_TYPE \(50\)") as caught:
        migrate.apply(client, [broken])
    assert "\n" not in str(caught.value)
    assert migrate.applied(client) == {}
    assert "a" in tables(client)
    migrate.apply(client, [dataclasses.replace(broken, up=create("a") + create("b"))])
    assert {"a", "b"} <= tables(client)
    assert list(migrate.applied(client)) == [1]


def test_a_dangerous_step_needs_the_operators_word_and_runs_nothing_before_it(client: Client) -> None:
    migrate.apply(client, [step(1, create("a"))])
    both = [step(1, create("a")), step(2, create("b")), step(3, "DROP TABLE IF EXISTS a;")]
    with pytest.raises(MigrationError, match=r"0003_step_3: .*--allow-dangerous"):
        migrate.apply(client, both)
    assert "b" not in tables(client)
    migrate.apply(client, both, allow_dangerous=True)
    assert tables(client) == {"b", migrate.LEDGER}


def test_a_missing_database_is_created() -> None:
    settings = server_settings().model_copy(update={"clickhouse_database": "t_made_by_migrate"})
    client = connect(server_settings())
    client.command("DROP DATABASE IF EXISTS t_made_by_migrate SYNC")
    try:
        assert len(migrate.migrate(settings, dry_run=True)) == len(migrate.migrate(settings))
        assert migrate.migrate(settings) == []
    finally:
        client.command("DROP DATABASE IF EXISTS t_made_by_migrate SYNC")
        client.close()


@pytest.mark.parametrize("name", ["", "a b", "x`; DROP DATABASE default; --", "1st"])
def test_a_database_name_that_needs_quoting_is_refused(name: str) -> None:
    settings = server_settings().model_copy(update={"clickhouse_database": name})
    with pytest.raises(MigrationError, match="letters, digits and _"):
        migrate.ensure_database(settings)


async def test_a_sink_does_not_start_before_the_schema_is_there(settings: Settings) -> None:
    sink = ClickHouseSink(settings)
    with pytest.raises(PermanentSinkError, match=r"migrations are pending, the first is 0001_.* `murmur migrate`"):
        await sink.start()
    migrate.migrate(settings)
    await sink.start()
    await sink.close()
