"""Cutting SQL files into statements, and the judgement of what is dangerous."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.clickhouse.migrate import load
from sinks.clickhouse.statements import dangers, is_repeatable, split

harmless = st.text(alphabet="abc ,()=\n", min_size=1).filter(str.strip)
hiding = st.sampled_from(
    [
        "'a;b'",
        "'it''s;'",
        r"'back\';slash'",
        '"c;d"',
        "`e;f`",
        "-- g;h\n",
        "/* i;\n j; */",
        "'-- no;'",
        "'/* no; */'",
    ]
)


@given(st.lists(st.lists(st.one_of(harmless, hiding), min_size=1), min_size=1, max_size=5))
def test_a_semicolon_in_a_string_a_name_or_a_comment_ends_nothing(pieces: list[list[str]]) -> None:
    wanted = sum(any(not p.startswith(("--", "/*")) for p in statement) for statement in pieces)
    assert len(split(";\n".join(" ".join(s) for s in pieces))) == wanted


def test_statements_keep_their_strings_and_lose_their_comments() -> None:
    sql = "-- what follows\nSELECT 'a -- b; c' /* inner; */ AS x;\n\n-- the end\n"
    assert split(sql) == ["SELECT 'a -- b; c'  AS x"]


@pytest.mark.parametrize("sql", ["SELECT 'open", "SELECT `open; SELECT 1", 'SELECT "open', "/* open"])
def test_what_is_not_closed_is_an_error_and_not_half_a_statement(sql: str) -> None:
    with pytest.raises(ValueError, match="is not closed"):
        split(sql)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE metrics",
        "drop  table IF EXISTS metrics",
        "DROP DATABASE x",
        "TRUNCATE TABLE metrics",
        "ALTER TABLE metrics DROP COLUMN value",
        "ALTER TABLE metrics\n  MODIFY COLUMN value Float32",
        "ALTER TABLE metrics DELETE WHERE 1",
        "ALTER TABLE metrics UPDATE value = 0 WHERE 1",
        "ALTER TABLE metrics DROP PARTITION 20260101",
        "ALTER TABLE metrics MODIFY TTL stored_at + INTERVAL 1 DAY",
        "RENAME TABLE metrics TO old",
        "CREATE OR REPLACE TABLE metrics (x Int8) ENGINE = Log",
        "OPTIMIZE TABLE metrics FINAL",
        "DELETE FROM metrics WHERE 1",
    ],
)
def test_what_may_lose_rows_is_dangerous(statement: str) -> None:
    assert dangers(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE IF NOT EXISTS x (a String COMMENT 'DROP TABLE me') ENGINE = Log",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "DROP VIEW IF EXISTS v",
        "ALTER TABLE metrics ADD COLUMN IF NOT EXISTS extra String",
    ],
)
def test_what_loses_nothing_is_not_dangerous(statement: str) -> None:
    assert dangers(statement) == []


def test_every_shipped_statement_can_run_twice() -> None:
    for migration in load():
        for statement in split(migration.up) + split(migration.down):
            assert is_repeatable(statement), f"{migration.label}: {statement[:80]}"


def test_no_shipped_migration_loses_rows_on_the_way_forward() -> None:
    for migration in load():
        for statement in split(migration.up):
            assert dangers(statement) == [], f"{migration.label}: {statement[:80]}"


def test_every_table_engine_stands_on_a_line_of_its_own() -> None:
    """So that a cluster can substitute `ENGINE = Replicated...` by one rule."""
    for migration in load():
        for statement in split(migration.up):
            if statement.startswith("CREATE TABLE"):
                engines = [line for line in statement.splitlines() if line.startswith("ENGINE = ")]
                assert len(engines) == 1, migration.label
                assert "MergeTree" in engines[0]
