"""The parts of the ClickHouse HTTP server that need no engine: codings, users, requests, errors, guard, sessions."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import subprocess
import sys
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from infra.local.clickhouse_http import guard
from infra.local.clickhouse_http.answer import content_type
from infra.local.clickhouse_http.blocks import BlockReader, pack
from infra.local.clickhouse_http.body import Receiver, Spool
from infra.local.clickhouse_http.compression import Decompressor, choose, compress
from infra.local.clickhouse_http.errors import ClickHouseError, from_engine
from infra.local.clickhouse_http.limits import Limits
from infra.local.clickhouse_http.log import LINES_PER_S_MAX, Log
from infra.local.clickhouse_http.request import Wish, read_credentials, read_wish, with_fields
from infra.local.clickhouse_http.sessions import Sessions
from infra.local.clickhouse_http.users import UsersFileError, read_users

ROOT = Path(__file__).parents[2]
CODINGS = ("lz4", "zstd", "gzip", "deflate")


def unpack(data: bytes, coding: str, *, bytes_max: int = 1 << 20, step: int = 1 << 20) -> bytes:
    decompressor = Decompressor(coding, bytes_max=bytes_max)
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    plain = b"".join(part for piece in pieces for part in decompressor.feed(piece))
    decompressor.finish()
    return plain


def wish_of(**parameters: str) -> Wish:
    return read_wish(parameters.items(), {}, Limits(), multipart=False)


@given(
    frames=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    coding=st.sampled_from(CODINGS),
    step=st.integers(1, 64),
)
def test_frames_in_a_row_cut_anywhere_come_back(frames: list[bytes], coding: str, step: int) -> None:
    packed = b"".join(compress(frame, coding) for frame in frames)
    assert unpack(packed, coding, step=step) == b"".join(frames)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_decompression_bomb_stops_at_the_bound(coding: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        unpack(compress(bytes(50_000_000), coding), coding, bytes_max=1_000_000)
    assert (caught.value.code, caught.value.status) == (307, 413)


@pytest.mark.parametrize("coding", CODINGS)
def test_broken_and_cut_bodies_are_refused(coding: str) -> None:
    packed = compress(b"some rows" * 100, coding)
    for broken in (packed[:-5], b"no frame at all"):
        with pytest.raises(ClickHouseError) as caught:
            unpack(broken, coding)
        assert caught.value.code == 271


def test_bodies_of_other_packers_are_read() -> None:
    data = b"x" * 100_000
    assert unpack(gzip.compress(data), "gzip") == data
    assert unpack(zlib.compress(data), "deflate") == data
    assert unpack(zstandard.compress(data), "zstd", step=7) == data
    assert unpack(lz4.frame.compress(data), "LZ4") == data


def read_blocks(data: bytes, step: int = 1 << 20) -> bytes:
    reader = BlockReader(bytes_max=1 << 20)
    plain = b"".join(part for i in range(0, len(data), step) for part in reader.feed(data[i : i + step]))
    reader.finish()
    return plain


@given(data=st.binary(max_size=3000), cuts=st.integers(1, 700))
def test_native_blocks_cut_anywhere_come_back(data: bytes, cuts: int) -> None:
    assert read_blocks(pack(data), cuts) == data


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_changed_byte_of_a_native_block_is_noticed(at: int, flip: int) -> None:
    packed = bytearray(pack(b"some rows" * 200))
    packed[at % len(packed)] ^= flip
    with pytest.raises(ClickHouseError) as caught:
        read_blocks(bytes(packed))
    assert caught.value.code in {40, 271, 307}


def test_native_blocks_above_the_bound_are_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        list(BlockReader(bytes_max=1_000_000).feed(pack(bytes(5_000_000))))
    assert caught.value.code == 307


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        Decompressor("rot13", bytes_max=1)
    assert caught.value.code == 89


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate", "gzip"),
        ("lz4,zstd,gzip,deflate", "lz4"),
        ("ZSTD;q=0.5, gzip", "zstd"),
        ("lz4;q=0, gzip", "gzip"),
        ("br", ""),
        ("", ""),
    ],
)
def test_the_fastest_accepted_coding_is_chosen(accepted: str, chosen: str) -> None:
    assert choose(accepted) == chosen


def write_users(tmp_path: Path, users: object, mode: int = 0o600) -> Path:
    path = tmp_path / "users.json"
    path.write_text(users if isinstance(users, str) else json.dumps(users))
    path.chmod(mode)
    return path


def test_users_are_told_apart_and_wrong_passwords_refused(tmp_path: Path) -> None:
    users = read_users(write_users(tmp_path, {"a": {"password": "pä"}, "b": {"password": "", "readonly": True}}))
    assert users.authenticate("a", "pä").readonly is False
    assert users.authenticate("b", "").readonly is True
    for name, password in (("a", ""), ("a", "pa"), ("b", "pä"), ("nobody", ""), ("", "")):
        with pytest.raises(ClickHouseError) as caught:
            users.authenticate(name, password)
        assert (caught.value.code, caught.value.status) == (516, 403)
        assert "pä" not in str(caught.value)


@pytest.mark.parametrize(
    ("users", "mode", "part"),
    [
        ({"a": {"password": "x"}}, 0o644, "chmod 600"),
        ("{", 0o600, "not JSON"),
        ({}, 0o600, "must be"),
        ([], 0o600, "must be"),
        ({"a": {"password": 1}}, 0o600, "text field password"),
        ({"a": {"password": "x", "admin": True}}, 0o600, "unknown fields admin"),
        ({"a": {"password": "x", "readonly": "no"}}, 0o600, "true or false"),
    ],
)
def test_mistakes_of_the_users_file_are_one_clear_line(tmp_path: Path, users: object, mode: int, part: str) -> None:
    with pytest.raises(UsersFileError, match=part) as caught:
        read_users(write_users(tmp_path, users, mode))
    assert "\n" not in str(caught.value)


def test_a_missing_users_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsersFileError, match=r"none\.json: cannot be read"):
        read_users(tmp_path / "none.json")


def test_credentials_come_from_one_place() -> None:
    basic = "Basic " + base64.b64encode(b"u:p:q").decode()
    assert read_credentials({}, {"Authorization": basic}).password == "p:q"
    assert read_credentials({}, {"X-ClickHouse-User": "u", "X-ClickHouse-Key": "k"}).user == "u"
    assert read_credentials({"user": "u", "password": "p"}, {}).user == "u"
    assert read_credentials({}, {}).user == "default"
    for parameters, headers in (
        ({}, {"Authorization": basic, "X-ClickHouse-User": "u"}),
        ({"user": "u"}, {"Authorization": basic}),
        ({"password": "u"}, {"X-ClickHouse-Key": "u"}),
        ({}, {"Authorization": "Bearer x"}),
        ({}, {"Authorization": "Basic %%%"}),
    ):
        with pytest.raises(ClickHouseError) as caught:
            read_credentials(parameters, headers)
        assert caught.value.code == 516


def test_a_password_never_shows_in_a_printed_value() -> None:
    assert "hush" not in repr(read_credentials({"user": "u", "password": "hush"}, {}))


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


def check(sql: str, *, readonly: bool = True, query_class: str = "READ_ONLY", **parameters: str) -> None:
    functions = frozenset({"file", "url", "s3", "python", "numbers", "remote", "view", "values", "aigenerate"})
    guard.check(
        sql.encode(),
        query_class=query_class,
        statements=1,
        readonly=readonly,
        reaching_functions=functions,
        parameters=parameters,
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('/etc/passwd')",
        "SELECT file /* x */ ('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        'SELECT "file"(x)',
        "SELECT “file”(x)",
        "SELECT `\\x66ile`('/etc/passwd')",
        "SELECT * APPLY(file) FROM t",
        "SELECT * APPLY file FROM t",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT arrayMap({f:Identifier}, ['/etc/passwd'])",
        "DESCRIBE url('http://x')",
        "DESCRIBE TABLE S3('http://x')",
        "SELECT * FROM python(users)",
        "SELECT aiGenerate('x', map())",
        "SELECT arrayMap(AIGenerate, ['x'])",
        "SELECT catboostEvaluate('/m', 1)",
        "SELECT hasColumnInTable('h', 'u', 'p', 'd', 't', 'c')",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
    ],
)
def test_a_read_only_user_reaches_no_file_and_no_host(sql: str) -> None:
    with pytest.raises(ClickHouseError):
        check(sql, f="file")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'file(' || \"a\" FROM numbers(3) -- file(",
        "SELECT t.file FROM t",
        "SELECT * FROM view(SELECT 1) WHERE x IN (SELECT number FROM values('a Int8', 1))",
        "SHOW TABLES",
    ],
)
def test_a_read_only_user_may_read(sql: str) -> None:
    check(sql)


@pytest.mark.parametrize("query_class", ["MUTATING", "MUTATING_GLOBAL", "CONTROL"])
def test_a_read_only_user_may_only_read(query_class: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        check("X", query_class=query_class)
    assert caught.value.code == 164


@pytest.mark.parametrize(
    "sql", ["SELECT 1 INTO OUTFILE 'x'", "INSERT INTO t FROM INFILE 'x'", "SELECT * FROM Python(x)"]
)
def test_nobody_writes_files_or_reads_this_process(sql: str) -> None:
    with pytest.raises(ClickHouseError):
        check(sql, readonly=False)
    check("SELECT * FROM file('x')", readonly=False)


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
