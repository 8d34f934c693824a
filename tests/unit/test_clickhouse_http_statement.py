"""Where an INSERT's data begins, and what else the server reads out of a statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.clickhouse_http.errors import ClickHouseError
from infra.local.clickhouse_http.statement import describe, find_insert
from infra.local.clickhouse_http.tokens import Kind, tokens

DATA = b"\x00\xff'/*\"FORMAT--\n;\n"


@pytest.mark.parametrize(
    ("head", "format_name", "target"),
    [
        (b"INSERT INTO t FORMAT Native\n", "Native", b"INSERT INTO t"),
        (b"insert into t format CSV\r\n", "CSV", b"insert into t"),
        (b"INSERT INTO t FORMAT CSV \t \n", "CSV", b"INSERT INTO t"),
        (b"INSERT INTO t FORMAT CSV ", "CSV", b"INSERT INTO t"),
        (b"  \n-- FORMAT Null\n/* VALUES /* nested */ */ INSERT INTO t FORMAT TSV\n", "TSV", None),
        (b"# a shell comment\nINSERT INTO t FORMAT TSV\n", "TSV", None),
        (b"INSERT t (a, b) FORMAT JSONEachRow\n", "JSONEachRow", b"INSERT t (a, b)"),
        (b"INSERT INTO TABLE db.format FORMAT CSV\n", "CSV", b"INSERT INTO TABLE db.format"),
        (b"INSERT INTO values (values, format) FORMAT CSV\n", "CSV", b"INSERT INTO values (values, format)"),
        (b'INSERT INTO "a FORMAT x"."`VALUES" FORMAT CSV\n', "CSV", b'INSERT INTO "a FORMAT x"."`VALUES"'),
        (b"INSERT INTO `a``b\\` FORMAT` FORMAT CSV\n", "CSV", b"INSERT INTO `a``b\\` FORMAT`"),
        (b"INSERT INTO {t:Identifier} (`x`) FORMAT CSV\n", "CSV", b"INSERT INTO {t:Identifier} (`x`)"),
        (b"INSERT INTO FUNCTION null('a FORMAT CSV') FORMAT CSV\n", "CSV", None),
        (b"INSERT INTO t (* EXCEPT(a))\nFORMAT\n/* c */ `CSV`\n", "CSV", b"INSERT INTO t (* EXCEPT(a))"),
        (b"INSERT INTO t VALUES", "Values", b"INSERT INTO t"),
        (b"INSERT INTO t (a) FORMAT Values", "Values", b"INSERT INTO t (a)"),
    ],
)
def test_data_begins_where_clickhouse_says(head: bytes, format_name: str, target: bytes | None) -> None:
    found = find_insert(head + DATA)
    assert found is not None
    assert found.format == format_name
    assert (head + DATA)[found.data_start :] == DATA
    if target is not None:
        assert found.target.strip() == target


def test_only_one_line_break_belongs_to_the_statement() -> None:
    sql = b"INSERT INTO t FORMAT TSV\n\n\tx\n"
    found = find_insert(sql)
    assert found is not None
    assert sql[found.data_start :] == b"\n\tx\n"


def test_settings_go_behind_the_file() -> None:
    found = find_insert(b"INSERT INTO t (a) SETTINGS async_insert = 0, x = 'FORMAT' FORMAT CSV\n1\n")
    assert found is not None
    assert found.from_file("'/f'").split() == (
        b"INSERT INTO t (a) FROM INFILE '/f' SETTINGS async_insert = 0, x = 'FORMAT' FORMAT CSV".split()
    )


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 'INSERT INTO t FORMAT CSV'",
        b"INSERT INTO t SELECT 1 FORMAT Null",
        b"INSERT INTO t (a) WITH 1 AS x SELECT x",
        b"INSERT INTO t SETTINGS max_threads = 1 SELECT 'VALUES'",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"INSERT INTO t",
        b"INSERT INTO t FORMAT",
        b"INSERT INTO t /* FORMAT CSV\n1",
        b"INSERT INTO `t FORMAT CSV\n1",
        b"EXPLAIN INSERT INTO t VALUES (1)",
        b"INSERTED INTO t FORMAT CSV\n",
        b"",
    ],
)
def test_other_statements_have_no_data(sql: bytes) -> None:
    assert find_insert(sql) is None


def test_a_semicolon_before_the_data_is_refused() -> None:
    with pytest.raises(ClickHouseError) as caught:
        find_insert(b"INSERT INTO t FORMAT CSV;\n1\n")
    assert (caught.value.code, caught.value.status) == (62, 400)


@pytest.mark.parametrize(
    ("sql", "verb", "output_format"),
    [
        (b"select 1 format JSON", "SELECT", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", "SELECT", "JSON"),
        (b"SELECT 'x FORMAT JSON'", "SELECT", ""),
        (b"SELECT * FROM (SELECT 1 FORMAT) FORMAT `CSV` -- FORMAT XML", "SELECT", "CSV"),
        (b"/* FORMAT CSV */ (SELECT 1)", "SELECT", ""),
        (b"SHOW TABLES", "SHOW", ""),
        (b"", "", ""),
    ],
)
def test_the_trailing_format_is_found(sql: bytes, verb: str, output_format: str) -> None:
    said = describe(sql)
    assert (said.verb, said.output_format) == (verb, output_format)


@pytest.mark.parametrize(
    ("sql", "temporary"),
    [
        (b"CREATE TEMPORARY TABLE x (a Int8)", True),
        (b"create or replace temporary table x (a Int8)", True),
        (b"CREATE TABLE temporary (temporary Int8)", True),  # harmless: the session keeps a connection
        (b"SELECT 'CREATE TEMPORARY'", False),
    ],
)
def test_temporary_tables_are_seen(sql: bytes, temporary: bool) -> None:
    assert describe(sql).temporary is temporary


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


def _backticked(name: str) -> bytes:
    return b"`" + name.replace("\\", "\\\\").replace("`", "\\`").encode() + b"`"


@given(database=NAMES, table=NAMES, columns=st.lists(NAMES, max_size=4), data=st.binary(max_size=64))
def test_any_quoted_names_leave_the_data_untouched(database: str, table: str, columns: list[str], data: bytes) -> None:
    listed = b" (" + b", ".join(map(_backticked, columns)) + b")" if columns else b""
    head = b"INSERT INTO " + _backticked(database) + b"." + _backticked(table) + listed
    found = find_insert(head + b" FORMAT RowBinary\n" + data)
    assert found is not None
    assert found.target == head + b" "
    assert (head + b" FORMAT RowBinary\n" + data)[found.data_start :] == data


@given(literal=NAMES, data=st.binary(max_size=32))
def test_any_string_literal_hides_its_keywords(literal: str, data: bytes) -> None:
    quoted = b"'" + literal.replace("\\", "\\\\").replace("'", "''").encode() + b" FORMAT CSV\n VALUES'"
    sql = b"INSERT INTO FUNCTION null(" + quoted + b") FORMAT TSV\n" + data
    found = find_insert(sql)
    assert found is not None
    assert (found.format, sql[found.data_start :]) == ("TSV", data)


@given(st.binary(max_size=200))
def test_tokens_of_any_bytes_stand_in_order_and_spell_the_text(sql: bytes) -> None:
    end = 0
    for token in tokens(sql):
        assert end <= token.start < token.end <= len(sql)
        assert token.text == sql[token.start : token.end]
        assert token.kind is not Kind.SYMBOL or len(token.text) == 1
        end = token.end


@given(cut=st.integers(0, 60))
def test_a_cut_statement_never_shows_its_data_elsewhere(cut: int) -> None:
    """What is found in a part of a body stays true when the rest arrives, two bytes of data given."""
    sql = b"INSERT INTO `db`.`t` (`a`, b) SETTINGS x = 'y' FORMAT CSVWithNames\r\n1,2\n"
    found = find_insert(sql[:cut])
    if found is not None and found.data_start + 1 < cut:
        assert found == find_insert(sql)
