"""Requests to the ClickHouse HTTP server without an engine: parameters, errors, bodies, sessions, its log."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.clickhouse_http import guard
from infra.local.clickhouse_http.answer import content_type
from infra.local.clickhouse_http.body import Receiver, Spool
from infra.local.clickhouse_http.errors import ClickHouseError, from_engine
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.log import LINES_PER_S_MAX, Log
from infra.local.clickhouse_http.request import Wish, read_wish, with_fields
from infra.local.clickhouse_http.sessions import Sessions

ROOT = Path(__file__).parents[2]


def wish_of(**parameters: str) -> Wish:
    return read_wish(parameters.items(), {}, Limits(), multipart=False)


def test_parameters_are_sorted_by_their_meaning() -> None:
    wish = wish_of(
        query="SELECT 1",
        database="d",
        param_x="5",
        max_threads="2",
        add_http_cors_header="1",
        enable_http_compression="0",
        user="u",
        password="p",
        session_id="s",
    )
    assert (wish.query, wish.database, wish.parameters) == ("SELECT 1", "d", {"x": "5"})
    assert wish.settings == {"max_threads": "2"}
    assert wish.cors
    assert not wish.http_compression


@pytest.mark.parametrize("timeout", ["0", "-1", "abc", "3601"])
def test_a_session_timeout_outside_its_range_is_refused(timeout: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        wish_of(session_timeout=timeout)
    assert caught.value.code == 374


def test_fields_of_a_form_join_the_parameters() -> None:
    wish = with_fields(wish_of(param_a="1"), {"query": "SELECT 2", "param_b": "2", "ext_structure": "a Int8"})
    assert (wish.query, wish.parameters) == ("SELECT 2", {"a": "1", "b": "2"})
    assert wish.external == {"ext_structure": "a Int8"}


@pytest.mark.parametrize(
    ("text", "code", "name", "message", "status"),
    [
        (
            "Code: 62. DB::Exception: Syntax error: x. (SYNTAX_ERROR)",
            62,
            "SYNTAX_ERROR",
            "Syntax error: x.",
            400,
        ),
        (
            "Code: 115. DB::Exception: Code: 115. DB::Exception: Unknown setting 'f'. (UNKNOWN_SETTING) "
            "(version 26.9.2.1). (UNKNOWN_SETTING)",
            115,
            "UNKNOWN_SETTING",
            "Unknown setting 'f'.",
            404,
        ),
        (
            "Streaming query failed: Code: 159. DB::Exception: T. (TIMEOUT_EXCEEDED)",
            159,
            "TIMEOUT_EXCEEDED",
            "T.",
            408,
        ),
        ("something else", 1002, "UNKNOWN_EXCEPTION", "something else", 500),
    ],
)
def test_engine_messages_become_one_error(text: str, code: int, name: str, message: str, status: int) -> None:
    error = from_engine(text)
    assert (error.code, error.name, error.message, error.status) == (code, name, message, status)
    assert error.body("1.2").startswith(f"Code: {code}. DB::Exception: {message} ({name}) (version 1.2)")


@pytest.mark.parametrize(
    "structure",
    ["a Int8) ENGINE = File(CSV, '/etc/passwd'", "a Int8; DROP TABLE t", "a Int8 /*", "a Tuple(Int8"],
)
def test_columns_of_an_external_table_stay_in_their_parentheses(structure: str) -> None:
    with pytest.raises(ClickHouseError):
        guard.check_structure("t", structure, "CSV")
    guard.check_structure("t", "a Tuple(x Int8, y String), b Array(Int8)", "CSV")


@given(
    data=st.binary(min_size=1, max_size=400),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    in_url=st.booleans(),
)
def test_a_body_cut_anywhere_is_received_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int], in_url: bool
) -> None:
    query = b"INSERT INTO t FORMAT RowBinary"
    spool = Spool(tmp_path_factory.getbasetemp() / "spool")
    spool.prepare()
    with spool.file() as file:
        receiver = Receiver(query if in_url else b"", file, Limits())
        body = data if in_url else query + b"\n" + data
        position = 0
        for cut in cuts * len(body):
            if position >= len(body):
                break
            receiver.take(body[position : position + cut])
            position += cut
        received = receiver.end()
        assert received.insert is not None
        assert received.data.read_bytes() == data
        assert received.data.stat().st_mode & 0o777 == 0o600
    assert not received.data.exists()


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The limit on a file's size stands for the disk's end: the kernel refuses the write itself."""
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from infra.local.clickhouse_http.body import Spool\n"
        "from infra.local.clickhouse_http.errors import ClickHouseError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"spool = Spool(Path({str(tmp_path / 'spool')!r})); spool.prepare()\n"
        "try:\n"
        "    with spool.file() as file: file.write(bytes(5000))\n"
        "except ClickHouseError as error: sys.exit(error.code - 200)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 243 - 200
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_query_longer_than_its_bound_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    with spool.file() as file:
        receiver = Receiver(b"", file, Limits(query_bytes_max=10_000))
        with pytest.raises(ClickHouseError) as caught:
            receiver.take(b"SELECT " + b"1," * 10_000)
    assert (caught.value.code, caught.value.status) == (229, 413)


def test_a_new_server_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    (tmp_path / "spool" / "leftover").write_bytes(b"x")
    spool.prepare()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_session_serves_one_request_at_a_time_and_one_user() -> None:
    sessions = Sessions(Limits())
    wish = wish_of(session_id="s")
    with sessions.use("a", wish) as first:
        with pytest.raises(ClickHouseError) as caught, sessions.use("a", wish):
            pass
        assert caught.value.code == 373
        with sessions.use("b", wish) as other:
            assert other is not first
    with sessions.use("a", wish) as again:
        assert again is first
    with (
        pytest.raises(ClickHouseError) as caught,
        sessions.use("a", wish_of(session_id="x", session_check="1")),
    ):
        pass
    assert caught.value.code == 372
    with sessions.use("a", wish_of(session_id="s", close_session="1")):
        pass
    with sessions.use("a", wish) as fresh:
        assert fresh is not first


def test_idle_sessions_are_bounded() -> None:
    sessions = Sessions(Limits(sessions_max=2))
    with sessions.use("a", wish_of(session_id="1")) as first:
        pass
    for number in "23":
        with sessions.use("a", wish_of(session_id=number)):
            pass
    with sessions.use("a", wish_of(session_id="1")) as again:
        assert again is not first


@pytest.mark.parametrize(
    ("format_name", "expected"),
    [
        ("TabSeparatedWithNames", "text/tab-separated-values; charset=UTF-8"),
        ("TSV", "text/tab-separated-values; charset=UTF-8"),
        ("JSONCompact", "application/json; charset=UTF-8"),
        ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
        ("Native", "application/octet-stream"),
        ("ArrowStream", "application/octet-stream"),
        ("Pretty", "text/plain; charset=UTF-8"),
    ],
)
def test_formats_have_their_content_type(format_name: str, expected: str) -> None:
    assert content_type(format_name) == expected


def test_log_lines_are_bounded_and_carry_no_query(caplog: pytest.LogCaptureFixture) -> None:
    now = [5.0]
    log = Log(lambda: now[0])
    error = ClickHouseError((60, "UNKNOWN_TABLE"), "Unknown table in SELECT 'hush'")
    with caplog.at_level(logging.INFO):
        for _ in range(100):
            log.refused(error, user="u")
        now[0] = 6.0
        log.refused(error, user="u")
    assert len(caplog.records) == LINES_PER_S_MAX + 2
    assert f"lines_total={100 - LINES_PER_S_MAX}" in caplog.text
    assert "hush" not in caplog.text
