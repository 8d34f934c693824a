"""Who may ask the ClickHouse HTTP server what: users, passwords, and what a read-only user reaches."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from infra.local.clickhouse_http import guard
from infra.local.clickhouse_http.errors import ClickHouseError
from infra.local.clickhouse_http.request import read_credentials
from infra.local.clickhouse_http.users import UsersFileError, read_users


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
