"""ClickHouse's HTTP interface over the embedded engine, asked by its real client and by plain HTTP."""

from __future__ import annotations

import gzip
import http.client as http_client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import lz4.frame
import pyarrow as pa
import pytest
import zstandard

from infra.local.clickhouse_http.blocks import BlockReader, pack
from tests.support.clickhouse import EmbeddedClickHouse, require_engine
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

USERS = {
    "default": {"password": "secret", "readonly": False},
    "viewer": {"password": "look", "readonly": True},
}
QUERIES_MAX = 4
RESULT_BYTES_MAX = 40_000_000
REQUEST_BYTES_MAX = 60_000_000


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def code(self) -> int:
        return int(self.headers.get("X-ClickHouse-Exception-Code", 0))

    @property
    def text(self) -> str:
        return self.body.decode()


class Http:
    """Plain HTTP, nothing hidden."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(
        self,
        sql: str | bytes | None = None,
        *,
        method: str = "POST",
        user: str = "default",
        password: str = "secret",
        headers: dict[str, str] | None = None,
        path: str = "/",
        **parameters: str,
    ) -> Reply:
        body = sql.encode() if isinstance(sql, str) else sql
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}".rstrip("?")
        account = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password} if user else {}
        request = urllib.request.Request(url, body, {**account, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    require_engine()
    home = tmp_path_factory.mktemp("clickhouse_http")
    users = home / "users.json"
    users.write_text(json.dumps(USERS))
    users.chmod(0o600)
    running = EmbeddedClickHouse(home / "data").start(
        *("--users-file", str(users), "--limit", f"queries_max={QUERIES_MAX}", "--limit", "queue_wait_s=0.3"),
        *(
            "--limit",
            f"result_bytes_max={RESULT_BYTES_MAX}",
            "--limit",
            f"request_bytes_max={REQUEST_BYTES_MAX}",
        ),
    )
    yield running
    running.stop()


@pytest.fixture
def http(server: EmbeddedClickHouse) -> Http:
    return Http(server.port)


@pytest.fixture
def table(http: Http) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:10]}"
    reply = http(f"CREATE TABLE {name} (a Int64, s String, d DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY a")
    assert reply.status == 200, reply.text
    yield name
    http(f"DROP TABLE {name} SYNC")


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


@pytest.mark.parametrize("user", [("default", "wrong"), ("nobody", "secret"), ("viewer", "secret"), ("default", "")])
def test_wrong_credentials_are_refused(http: Http, user: tuple[str, str]) -> None:
    reply = http("SELECT 1", user=user[0], password=user[1])
    assert (reply.code, reply.status) == (516, 403)


def test_credentials_may_come_as_parameters_or_basic(http: Http) -> None:
    import base64

    token = base64.b64encode(b"viewer:look").decode()
    assert http("SELECT 1", user="", headers={"Authorization": f"Basic {token}"}).text == "1\n"
    url = f"http://127.0.0.1:{http.port}/?user=viewer&password=look&query=SELECT%201"
    with urllib.request.urlopen(url, timeout=10) as reply:
        assert reply.read() == b"1\n"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {table} (a) VALUES (1)",
        "INSERT INTO {table} (a) SELECT 1",
        "DROP TABLE {table}",
        "ALTER TABLE {table} DELETE WHERE 1",
        "CREATE TABLE other (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE other (a Int8)",
        "SET max_threads = 5",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "SELECT file('/etc/passwd')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "DESCRIBE file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "DESCRIBE url('http://127.0.0.1:1/', 'CSV')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV', 'a Int8')",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1 INTO OUTFILE '/tmp/no_such_file'",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 1000000000000",
    ],
)
def test_a_read_only_user_changes_nothing_and_reaches_nothing(http: Http, table: str, sql: str) -> None:
    reply = http(sql.format(table=table), user="viewer", password="look")
    assert reply.status >= 400
    assert "root:" not in reply.text
    assert http(f"SELECT count() FROM {table}", user="viewer", password="look").text == "0\n"


def test_a_read_only_user_keeps_its_limits(http: Http) -> None:
    for name, value in (("readonly", "0"), ("max_memory_usage", "123456789"), ("allow_ddl", "0")):
        assert http("SELECT 1", user="viewer", password="look", **{name: value}).code == 164, name
    shown = http(
        "SELECT toInt64(1) AS x FORMAT JSON",
        user="viewer",
        password="look",
        output_format_json_quote_64bit_integers="1",
    )
    assert json.loads(shown.body)["data"] == [{"x": "1"}]


def test_a_result_above_the_bound_is_refused_and_streamed_formats_are_not(http: Http) -> None:
    sql = f"SELECT number FROM numbers({RESULT_BYTES_MAX // 8 + 1_000_000})"
    assert http(f"{sql} FORMAT JSONCompact").code == 396
    reply = http(f"{sql} FORMAT RowBinary")
    assert len(reply.body) == RESULT_BYTES_MAX + 8_000_000


def test_an_error_in_the_middle_of_a_stream_breaks_the_connection(http: Http) -> None:
    """The status has been sent by then: an answer that ends cleanly would be taken for the whole."""
    sql = "SELECT number, throwIf(number = 9000000) FROM numbers(10000000) SETTINGS max_threads = 1"
    with pytest.raises((OSError, http_client.IncompleteRead)):
        http(sql)


def test_bodies_above_the_bound_are_refused(http: Http, table: str) -> None:
    bomb = gzip.compress(bytes(REQUEST_BYTES_MAX + 1))
    reply = http(bomb, query=f"INSERT INTO {table} FORMAT RowBinary", headers={"Content-Encoding": "gzip"})
    assert (reply.code, reply.status) == (307, 413)
    reply = http(b"x", headers={"Content-Encoding": "gzip"})
    assert reply.code == 271
    reply = http(b"x", headers={"Content-Encoding": "br"})
    assert reply.code == 89


SLOW = (
    "SELECT sum(sleepEachRow(0.01)) FROM numbers(300) SETTINGS max_block_size = 1, max_threads = 1, log_comment = '{}'"
)
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sum(sleep%' AND query LIKE '%{}%' FORMAT TSV"


def test_health_answers_while_queries_run_and_one_too_many_is_told_to_come_back(http: Http) -> None:
    mark = uuid.uuid4().hex
    with ThreadPoolExecutor(QUERIES_MAX) as pool:
        slow = [pool.submit(http, SLOW.format(mark)) for _ in range(QUERIES_MAX - 1)]
        eventually(lambda: http(RUNNING.format(mark)).text == f"{QUERIES_MAX - 1}\n", "the slow queries run")
        slow.append(pool.submit(http, SLOW.format(mark)))
        eventually(lambda: http("SELECT 1").code == 202, "all places are taken")
        began_s = time.monotonic()
        assert http(None, method="GET", user="", path="/ping").status == 200
        assert time.monotonic() - began_s < 1
        reply = http("SELECT 1")
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        for future in slow:
            assert future.result().status == 200 or future.result().code == 202


def test_a_query_stops_when_its_client_goes_away(server: EmbeddedClickHouse, http: Http) -> None:
    import socket

    mark = uuid.uuid4().hex
    body = SLOW.format(mark).replace("numbers(300)", "numbers(100000)").encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: default\r\nX-ClickHouse-Key: secret\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        eventually(lambda: http(RUNNING.format(mark)).text == "1\n", "the query runs")
    eventually(lambda: http(RUNNING.format(mark)).text == "0\n", "the query is gone")


def test_a_body_that_breaks_off_or_is_no_http_stores_nothing(
    server: EmbeddedClickHouse, http: Http, table: str
) -> None:
    import socket

    query = urllib.parse.quote(f"INSERT INTO {table} (a) FORMAT CSV")
    head = f"POST /?query={query}&user=default&password=secret HTTP/1.1\r\nHost: x\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n1\n2\n".encode())
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(20)
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n4\r\n1\n2\nnot a chunk\r\n".encode())
        assert b" 400 " in connection.recv(1000)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(20)
        connection.sendall(f"{head}\r\n".encode())
        assert b" 411 " in connection.recv(1000)
    eventually(lambda: not list((server.data / "http_spool").iterdir()), "the data is removed")
    assert http(f"SELECT count() FROM {table}").text == "0\n"
    assert "request_fault" not in (server.data.parent / "clickhouse.log").read_text()


def test_many_inserts_at_once_are_all_there(http: Http, table: str) -> None:
    def insert(number: int) -> int:
        rows = "".join(f"{number * 1000 + i}\n" for i in range(1000))
        return http(rows, query=f"INSERT INTO {table} (a) FORMAT CSV").status

    with ThreadPoolExecutor(QUERIES_MAX) as pool:
        assert set(pool.map(insert, range(40))) == {200}
    assert http(f"SELECT count(), uniqExact(a) FROM {table}").text == "40000\t40000\n"


def test_an_insert_that_times_out_is_not_acknowledged(http: Http, table: str) -> None:
    """The engine's own streaming insert reports such rows as written; ours must not."""
    http(f"ALTER TABLE {table} ADD COLUMN slow UInt8 MATERIALIZED sleepEachRow(0.002)")
    rows = "".join(f"{i}\n" for i in range(1000))
    reply = http(rows, query=f"INSERT INTO {table} (a) FORMAT CSV", max_execution_time="0.3")
    assert (reply.code, reply.status) == (159, 408)
    assert http(f"SELECT count() FROM {table}").text == "0\n"
    assert "http_spool" not in reply.text


def test_no_data_file_is_left_behind(server: EmbeddedClickHouse, http: Http, table: str) -> None:
    http("1\n", query=f"INSERT INTO {table} (a) FORMAT CSV")
    http("not a number\n", query=f"INSERT INTO {table} (a) FORMAT CSV")
    assert list((server.data / "http_spool").iterdir()) == []


def test_the_log_holds_no_query_and_no_password(server: EmbeddedClickHouse, http: Http) -> None:
    http("SELECT hushhush FROM nowhere", password="secret")
    http("SELECT 1", password="wrongsecret")
    text = Path(server.data.parent / "clickhouse.log").read_text()
    assert "request_refused" in text
    for hidden in ("hushhush", "wrongsecret", "secret"):
        assert hidden not in text
