"""ClickHouse's HTTP interface over the embedded engine, asked by its real client and by plain HTTP."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import lz4.frame
import pyarrow as pa
import pytest
import zstandard

from infra.local.clickhouse_http.blocks import BlockReader, pack
from tests.support.clickhouse import EmbeddedClickHouse
from tests.support.clickhouse_http import (
    Http,
    a_table,
    bounded_server,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with bounded_server(tmp_path_factory.mktemp("clickhouse_http")) as running:
        yield running


@pytest.fixture
def http(server: EmbeddedClickHouse) -> Http:
    return Http(server.port)


@pytest.fixture
def table(http: Http) -> Iterator[str]:
    with a_table(http) as name:
        yield name


def connect(server: EmbeddedClickHouse, **options: Any) -> Any:
    options = {"username": "default", "password": "secret", **options}
    return clickhouse_connect.get_client(host="127.0.0.1", port=server.port, **options)


ROWS = [
    [1, "plain", datetime(2024, 1, 1, tzinfo=UTC)],
    [2, "tab\t newline\n quote' back\\slash \x00 ünï 🐦", datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)],
    [-(2**63), "", datetime(1970, 1, 1, tzinfo=UTC)],
]


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_the_real_client_reads_back_what_it_wrote(server: EmbeddedClickHouse, table: str, compress: bool | str) -> None:
    with connect(server, compress=compress) as client:
        summary = client.insert(table, ROWS, column_names=["a", "s", "d"])
        assert summary.written_rows == 3
        arrow = pa.table({"a": pa.array(range(10, 5010)), "s": pa.array([f"v{i % 7}" for i in range(5000)])})
        assert client.insert_arrow(table, arrow).written_rows == 5000
        result = client.query(f"SELECT * FROM {table} WHERE a < 10 ORDER BY a", query_tz="UTC")
        read_back = [(a, text, d.replace(tzinfo=UTC)) for a, text, d in result.result_rows]
        assert read_back == [tuple(row) for row in sorted(ROWS)]
        read = client.query_arrow(f"SELECT a, s FROM {table} WHERE a >= 10 ORDER BY a")
        assert read.to_pydict() == arrow.to_pydict()
        assert client.query(f"SELECT count() FROM {table}").first_row == (5003,)
        assert int(result.summary["read_rows"]) > 0


def test_the_real_client_passes_parameters_settings_and_databases(server: EmbeddedClickHouse) -> None:
    value = "it's \t 100% {x} \\ ünï"
    with connect(server, settings={"max_threads": 1}) as client:
        result = client.query(
            "SELECT {v:String}, {n:Int32} + 1, {a:Array(String)}, getSetting('max_threads')",
            parameters={"v": value, "n": 41, "a": ["x", "y'z"]},
        )
        assert result.first_row[:3] == (value, 42, ["x", "y'z"])
        assert int(result.first_row[3]) == 1
        client.command("CREATE DATABASE IF NOT EXISTS other")
    with connect(server, database="other") as client:
        assert client.command("SELECT currentDatabase()") == "other"
        client.command("DROP DATABASE other")
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError) as caught:
        connect(server).query("SELECT * FROM no_such_table")
    assert caught.value.code == 60


def test_the_real_client_streams_a_large_result(server: EmbeddedClickHouse) -> None:
    rows = 6_000_000  # 48 MB: more than is held back, more than a result held whole may have
    with (
        connect(server) as client,
        client.query_column_block_stream(f"SELECT number FROM numbers({rows})", transport_settings={}) as stream,
    ):
        total = sum(len(block[0]) for block in stream)
    assert total == rows


def test_long_parameters_travel_as_a_form(server: EmbeddedClickHouse) -> None:
    long = "x" * 300_000
    with connect(server, form_encode_query_params=True) as client:
        assert client.query("SELECT length({v:String})", parameters={"v": long}).first_row == (300_000,)


def test_external_tables_join(server: EmbeddedClickHouse) -> None:
    from clickhouse_connect.driver.external import ExternalData

    data = ExternalData(file_name="names.csv", fmt="CSV", structure="id Int32, name String", data=b"1,one\n2,two\n")
    for username, password in (("default", "secret"), ("viewer", "look")):
        with connect(server, username=username, password=password) as client:
            result = client.query("SELECT name FROM names ORDER BY id DESC", external_data=data)
            assert result.result_columns[0] == ["two", "one"]


def test_statements_of_a_session_share_its_state(server: EmbeddedClickHouse, http: Http) -> None:
    session = {"session_id": uuid.uuid4().hex}
    assert http("SELECT 1", **session, session_check="1").code == 372
    assert http("CREATE TEMPORARY TABLE mine (a Int8)", **session).status == 200
    assert http("INSERT INTO mine FORMAT CSV\n5\n", **session).status == 200
    assert http("SELECT a FROM mine", **session).text == "5\n"
    assert http("SET max_block_size = 777", **session).status == 200
    ask = "SELECT getSetting('max_block_size'), getSetting('max_threads')"
    assert http(ask, **session, max_threads="3").text == "777\t3\n"
    assert http(ask, **session, max_threads="5", max_block_size="9").text == "9\t5\n"
    before = http(ask).text.strip().split("\t")
    assert http(ask, **session).text == f"777\t{before[1]}\n", "settings of one request do not stay"
    assert http("SELECT a FROM mine").code == 60
    assert http("SELECT a FROM mine", session_id=uuid.uuid4().hex).code == 60


def test_a_query_is_the_parameter_a_line_break_and_the_body(http: Http, table: str) -> None:
    assert http("+ 2", query="SELECT 1").text == "3\n"
    assert http(None, method="GET", query="SELECT 'a'").text == "a\n"
    assert http(b"7\tx\t2024-01-01 00:00:00\n", query=f"INSERT INTO {table} FORMAT TSV").status == 200
    assert http(b"(8, 'y', 0), (4+5, upper('z'), now());", query=f"INSERT INTO {table} VALUES").status == 200
    assert http(f"-- FORMAT Null\ninsert into {table} (a, s) values (10, 'VALUES FORMAT')").status == 200
    assert http(f'INSERT INTO {table} (a) SETTINGS max_threads = 1 FORMAT JSONEachRow\n{{"a": 11}}').status == 200
    assert http(f"INSERT INTO {table} (a) SELECT number + 12 FROM numbers(2)").status == 200
    assert http("9999\n", query="INSERT INTO {t:Identifier} (a) FORMAT CSV", param_t=table).status == 200
    reply = http(f"SELECT a, s FROM {table} ORDER BY a FORMAT CSV")
    assert reply.text == '7,"x"\n8,"y"\n9,"Z"\n10,"VALUES FORMAT"\n11,""\n12,""\n13,""\n9999,""\n'


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("zstd", zstandard.compress),
        ("lz4", lz4.frame.compress),
        ("", bytes),
    ],
)
def test_bodies_are_unpacked_and_answers_packed(http: Http, table: str, coding: str, pack: Any) -> None:
    data = b"".join(b"%d\tv%d\n" % (i, i % 10) for i in range(100_000))
    reply = http(
        pack(f"INSERT INTO {table} (a, s) FORMAT TSV\n".encode() + data),
        headers={"Content-Encoding": coding} if coding else {},
    )
    assert reply.status == 200, reply.text
    summary = json.loads(reply.headers["X-ClickHouse-Summary"])
    assert summary["written_rows"] == "100000"
    reply = http(f"SELECT a, s FROM {table} ORDER BY a", headers={"Accept-Encoding": coding})
    assert reply.headers.get("Content-Encoding", "") == coding
    unpack = {"gzip": gzip.decompress, "zstd": _unzstd, "lz4": lz4.frame.decompress, "": bytes}[coding]
    assert unpack(reply.body) == data
    plain = http("SELECT 1", headers={"Accept-Encoding": coding}, enable_http_compression="0")
    assert plain.headers.get("Content-Encoding") is None


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def test_native_blocks_travel_both_ways(http: Http, table: str) -> None:
    rows = b"".join(b"%d,v%d\n" % (i, i) for i in range(200_000))
    reply = http(pack(rows), query=f"INSERT INTO {table} (a, s) FORMAT CSV", decompress="1")
    assert reply.status == 200, reply.text
    reply = http(f"SELECT a, s FROM {table} ORDER BY a FORMAT TSV", compress="1")
    reader = BlockReader(bytes_max=1 << 30)
    assert b"".join(reader.feed(reply.body)) == rows.replace(b",", b"\t")
    reader.finish()
    assert http(b"not a block of any kind at all", query=f"INSERT INTO {table} FORMAT CSV", decompress="1").code


def test_checksums_agree_with_the_blocks_the_engine_writes(server: EmbeddedClickHouse, http: Http) -> None:
    name = f"c_{uuid.uuid4().hex[:10]}"
    checked = 0
    http(
        f"CREATE TABLE {name} (a UInt8, b String CODEC(ZSTD), c String CODEC(NONE)) ENGINE = MergeTree "
        "ORDER BY tuple() SETTINGS min_bytes_for_wide_part = 0"
    )
    for rows in (1, 3, 9, 30, 100, 5000, 100_000):
        http(f"INSERT INTO {name} SELECT rand(), toString(rand()), toString(number) FROM numbers({rows})")
    uuids = http(f"SELECT path FROM system.parts WHERE table = '{name}'").text.split()
    for file in (file for path in uuids for file in Path(path).glob("*.bin")):
        data = file.read_bytes()
        reader = BlockReader(bytes_max=1 << 30)
        checked += sum(1 for _ in reader.feed(data))
        reader.finish()
    http(f"DROP TABLE {name} SYNC")
    assert checked > 20


def test_requests_of_grafana_are_answered(http: Http) -> None:
    reply = http("SELECT 1 AS one FORMAT JSON", headers={"Origin": "http://grafana"}, add_http_cors_header="1")
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.headers["X-ClickHouse-Format"] == "JSON"
    assert json.loads(reply.body)["data"] == [{"one": 1}]
    reply = http("SELECT 1 AS one", user="viewer", password="look", default_format="JSON", max_execution_time="30")
    assert json.loads(reply.body)["rows"] == 1
    reply = http(None, method="OPTIONS", user="", headers={"Origin": "http://grafana"})
    assert reply.status == 204
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    reply = http("SELECT timeZone()", default_format="Native", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(reply.body)[:2] == b"\x01\x01", "one column, one row, revision 0"


def test_headers_tell_what_ran(http: Http) -> None:
    reply = http("SELECT number FROM numbers(1000) FORMAT Null", query_id="my-query")
    assert reply.headers["X-ClickHouse-Query-Id"] == "my-query"
    assert reply.headers["X-ClickHouse-Server-Display-Name"]
    assert reply.headers["X-ClickHouse-Timezone"]
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["read_rows"] == "1000"
    assert uuid.UUID(http("SELECT 1").headers["X-ClickHouse-Query-Id"])


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("", 62, 400),
        ("SELECT * FROM no_such_table", 60, 404),
        ("SELECT no_such_column", 47, 404),
        ("SELECT 1 SETTINGS no_such_setting = 1", 115, 404),
        ("SELECT 1 FORMAT NoSuchFormat", 73, 404),
        ("SELECT throwIf(1)", 395, 500),
        ("SELECT {x:Int8}", 456, 500),
        ("SELECT 1; SELECT 2", 62, 400),
        ("SELECT 1 INTO OUTFILE '/tmp/no_such_file'", 358, 500),
        ("INSERT INTO no_such_table FORMAT CSV\n1\n", 60, 404),
        ("INSERT INTO no_such_table FORMAT CSV;\n1\n", 62, 400),
        (
            "SELECT sleepEachRow(1) FROM numbers(9) SETTINGS max_execution_time = 0.2, max_block_size = 1",
            159,
            408,
        ),
        (b"SELECT '\xff'", 62, 400),
    ],
)
def test_errors_carry_clickhouse_codes_and_statuses(http: Http, sql: str | bytes, code: int, status: int) -> None:
    reply = http(sql)
    assert (reply.code, reply.status) == (code, status), reply.text
    assert reply.text.startswith(f"Code: {code}. DB::Exception: ")


def test_unknown_settings_and_databases_in_the_address_are_refused(http: Http) -> None:
    assert http("SELECT 1", no_such_setting="1").code == 115
    assert http("SELECT 1", **{"bad name; --": "1"}).code == 115
    assert http("SELECT 1", database="no_such_database").code == 81
    assert http("SELECT 1", max_threads="many").status in {400, 500}


def test_addresses_and_methods(http: Http) -> None:
    for path in ("/ping", "/replicas_status", "/"):
        reply = http(None, method="GET", user="", path=path)
        assert (reply.status, reply.text) == (200, "Ok.\n")
    assert http(None, method="GET", path="/nothing").status == 404
    reply = http(None, method="GET", query="CREATE TABLE x (a Int8) ENGINE = Memory")
    assert (reply.code, reply.status) == (164, 500)
