"""What each failure of the real engine becomes: retry, stop, or a refused row; always one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from pydantic import SecretStr

from interfaces.cli.clickhouse import open_client
from models.settings import Settings
from sinks.base import PermanentSinkError, RetryableSinkError
from sinks.clickhouse import migrate
from sinks.clickhouse.client import INSERT_SETTINGS, connect
from sinks.clickhouse.errors import PERMANENT, RETRYABLE, ROW_REJECTED, RowRejectedError, translate
from sinks.clickhouse.sink import ClickHouseSink, DatabaseReplacedError
from tests.support.brokers import free_port
from tests.support.clickhouse import EmbeddedClickHouse, migrated_database, require_engine
from tests.support.result_rows import one_of_each, row, table

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with migrated_database() as made:
        yield made


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    opened = connect(settings)
    yield opened
    opened.close()


def test_every_code_in_the_table_has_the_engines_own_name(client: Client) -> None:
    ours = {**RETRYABLE, **ROW_REJECTED, **{code: name for code, (name, _) in PERMANENT.items()}}
    assert len(ours) == len(RETRYABLE) + len(ROW_REJECTED) + len(PERMANENT), "a code stands in two tables"
    codes = sorted(ours)
    rows = client.query(
        "SELECT code, errorCodeToName(code) FROM (SELECT arrayJoin({codes:Array(UInt32)}) AS code)",
        {"codes": codes},
    ).result_rows
    assert dict(rows) == {code: ours[code] for code in codes}


def test_every_insert_setting_exists_in_the_engine(client: Client) -> None:
    found = client.query(
        "SELECT name FROM system.settings WHERE name IN {names:Array(String)}",
        {"names": list(INSERT_SETTINGS)},
    ).result_rows
    assert {name for (name,) in found} == set(INSERT_SETTINGS)


def test_a_server_that_is_not_there_asks_for_a_retry() -> None:
    nowhere = Settings(clickhouse_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RetryableSinkError, match=r"not reachable; is the server running.*Connection refused") as caught:
        connect(nowhere)
    assert "\n" not in str(caught.value)


def test_a_missing_database_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(PermanentSinkError, match=r"UNKNOWN_DATABASE \(81\): run `murmur migrate`"):
        connect(settings.model_copy(update={"clickhouse_database": "nowhere"})).query("SELECT 1")


def test_a_web_server_that_is_not_clickhouse_is_named_as_such() -> None:
    error = DatabaseError("HTTP driver received HTTP status 404, server response: <html>")
    assert "Check MURMUR_CLICKHOUSE_URL" in str(translate(error, where="x"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DatabaseError("Code: 252. DB::Exception: Too many parts", code=252), RetryableSinkError),
        (DatabaseError("Code: 241. DB::Exception: Memory limit", code=241), RetryableSinkError),
        (DatabaseError("Code: 319. DB::Exception: Unknown status", code=319), RetryableSinkError),
        (DatabaseError("Code: 60. DB::Exception: no table", code=60), PermanentSinkError),
        (DatabaseError("Code: 9999. DB::Exception: a code of the future", code=9999), PermanentSinkError),
        (DatabaseError("HTTP driver received HTTP status 503"), RetryableSinkError),
        (DatabaseError("HTTP driver received HTTP status 401"), PermanentSinkError),
        (DatabaseError("HTTP driver received HTTP status 413"), PermanentSinkError),
        (OperationalError("Error HTTPConnectionPool: Read timed out."), RetryableSinkError),
        (ConnectionResetError(104, "Connection reset by peer"), RetryableSinkError),
        (DatabaseError("Code: 349. DB::Exception: NULL", code=349), RowRejectedError),
    ],
)
def test_the_class_of_an_error_follows_its_code(error: Exception, kind: type[Exception]) -> None:
    assert type(translate(error, where="x")) is kind


def test_an_overloaded_server_is_given_more_time() -> None:
    busy = translate(DatabaseError("Code: 252", code=252), where="x")
    reset = translate(DatabaseError("Code: 210", code=210), where="x")
    assert isinstance(busy, RetryableSinkError)
    assert isinstance(reset, RetryableSinkError)
    assert busy.retry_after_s > reset.retry_after_s


async def test_a_missing_number_is_refused_and_never_stored_as_zero(settings: Settings, client: Client) -> None:
    rows = [row("metrics", log_id="null-test", offset=n, value=None if n == 1 else 2.0) for n in range(3)]
    sink = ClickHouseSink(settings)
    await sink.start()
    result = await sink.write({"metrics": table("metrics", rows)})
    await sink.close()
    assert [r.row["offset"] for r in result.rejected] == [1]
    assert "NULL" in result.rejected[0].reason
    stored = client.query("SELECT offset, value FROM v_metrics WHERE log_id = 'null-test' ORDER BY offset").result_rows
    assert stored == [(0, 2.0), (2, 2.0)]


async def test_one_insert_may_touch_more_days_than_the_servers_default_allows(
    settings: Settings, client: Client
) -> None:
    from datetime import timedelta

    from tests.support.result_rows import T0

    rows = [row("metrics", log_id="days", offset=n, timestamp=T0 - timedelta(days=n)) for n in range(150)]
    sink = ClickHouseSink(settings)
    await sink.start()
    assert (await sink.write({"metrics": table("metrics", rows)})).rows == 150
    await sink.close()
    assert client.command("SELECT count() FROM v_metrics WHERE log_id = 'days'") == 150


async def test_a_batch_that_is_wrong_as_a_whole_stops_instead_of_becoming_dead_letters(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.sink.BISECT_INSERTS_MAX", 40)
    rows = [row("metrics", log_id="all-bad", offset=n, value=float("nan")) for n in range(200)]
    sink = ClickHouseSink(settings)
    await sink.start()
    with pytest.raises(PermanentSinkError, match="so many rows are refused"):
        await sink.write({"metrics": table("metrics", rows)})
    await sink.close()


async def test_a_batch_larger_than_one_insert_is_stored_whole(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.sink.INSERT_ROWS_MAX", 7)
    rows = [row("metrics", log_id="large", offset=n, value=float("nan") if n == 30 else 1.0) for n in range(50)]
    sink = ClickHouseSink(settings)
    await sink.start()
    result = await sink.write({"metrics": table("metrics", rows)})
    await sink.close()
    assert (result.rows, [r.row["offset"] for r in result.rejected]) == (49, [30])
    assert client.command("SELECT count() FROM v_metrics WHERE log_id = 'large'") == 49


async def test_a_database_that_was_made_again_is_another_one() -> None:
    with migrated_database() as settings, closing(connect(settings)) as client:
        sink = ClickHouseSink(settings)
        try:
            await sink.start()
            before = sink.database_id
            await sink.health()
            migrate.down(client, to_version=0, allow_data_loss=True)
            migrate.apply(client)
            with pytest.raises(DatabaseReplacedError, match=f"made again.*it was {before}"):
                await sink.health()
            await sink.start()
            assert sink.database_id != before
            await sink.health()
        finally:
            await sink.close()


@pytest.mark.slow
async def test_a_server_that_dies_and_comes_back_has_every_row_once(tmp_path: Path) -> None:
    require_engine()
    server = EmbeddedClickHouse(tmp_path / "data").start()
    sink = ClickHouseSink(server.settings)
    try:
        migrate.migrate(server.settings)
        await sink.start()
        await sink.write(one_of_each())
        server.kill()
        with pytest.raises(RetryableSinkError, match="is the server running"):
            await sink.write(one_of_each(partition=1))
        with pytest.raises(RetryableSinkError):
            await sink.health()
        server.start()
        await sink.write(one_of_each(partition=1))
        await sink.health()
        client = connect(server.settings)
        counts = [client.command(f"SELECT count() FROM {t} FINAL") for t in ("metrics", "windows", "dead_letters")]
        client.close()
        assert counts == [2, 2, 2]
    finally:
        await sink.close()
        server.stop()


@pytest.mark.slow
def test_a_wrong_password_is_one_line_that_says_what_to_set_and_shows_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_engine()
    users = tmp_path / "users.json"
    users.write_text(
        json.dumps(
            {
                "murmur": {"password": "right", "readonly": False},
                "reader": {"password": "r", "readonly": True},
            }
        )
    )
    users.chmod(0o600)
    server = EmbeddedClickHouse(tmp_path / "data").start("--users-file", str(users))
    try:

        def account(name: str, password: str) -> Settings:
            update = {"clickhouse_user": name, "clickhouse_password": SecretStr(password)}
            return server.settings.model_copy(update=update)

        with pytest.raises(PermanentSinkError, match="MURMUR_CLICKHOUSE_PASSWORD") as caught:
            connect(account("murmur", "wr0ng-secret"))
        assert "\n" not in str(caught.value)
        assert "wr0ng-secret" not in str(caught.value)
        with pytest.raises(SystemExit), open_client(account("murmur", "wr0ng-secret")):
            pass
        said = capsys.readouterr().err
        assert "MURMUR_CLICKHOUSE_PASSWORD" in said
        assert "murmur up" not in said, "the server runs; starting one more does not help"
        migrate.migrate(account("murmur", "right"))
        reader = connect(account("reader", "r"))
        assert reader.query("SELECT count() FROM v_windows").first_row == (0,)
        reader.close()
        with pytest.raises(PermanentSinkError, match=r"migration .*(READONLY|ACCESS_DENIED)"):
            migrate.down(connect(account("reader", "r")), to_version=0, allow_data_loss=True)
    finally:
        server.stop()
