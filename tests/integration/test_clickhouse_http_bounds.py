"""What the ClickHouse HTTP server refuses and bounds: strangers, readers who write, too much, vanishing clients."""

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
from pathlib import Path

import pytest

from tests.support.clickhouse import EmbeddedClickHouse
from tests.support.clickhouse_http import (
    QUERIES_MAX,
    REQUEST_BYTES_MAX,
    RESULT_BYTES_MAX,
    Http,
    a_table,
    bounded_server,
)
from tests.support.waiting import eventually

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
