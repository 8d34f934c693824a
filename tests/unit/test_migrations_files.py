"""What the files of a migrations directory must look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.clickhouse.migrate import MigrationError, load


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name.replace('__', '.').lstrip('m')}.sql").write_text(text)
    return directory


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, m0002_b="b", m0002_b__down="", m0001_a="a", m0001_a__down="")
    assert [(m.version, m.name, m.up) for m in load(tmp_path)] == [(1, "a", "a"), (2, "b", "b")]


def test_a_gap_in_the_numbers_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, m0001_a="", m0001_a__down="", m0003_c="", m0003_c__down="")
    with pytest.raises(MigrationError, match=r"without gaps; found \[1, 3\]"):
        load(tmp_path)


def test_a_number_used_twice_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, m0001_a="", m0001_a__down="", m0001_b="", m0001_b__down="")
    with pytest.raises(MigrationError, match=r"found \[1, 1\]"):
        load(tmp_path)


def test_a_migration_without_its_way_back_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, m0001_a="")
    with pytest.raises(MigrationError, match=r"0001_a\.down\.sql is missing"):
        load(tmp_path)


def test_a_file_with_another_name_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "alerts.sql").write_text("")
    with pytest.raises(MigrationError, match=r"alerts\.sql: a migration is called NNNN_name\.sql"):
        load(tmp_path)


def test_a_changed_file_has_another_checksum(tmp_path: Path) -> None:
    write(tmp_path, m0001_a="SELECT 1;", m0001_a__down="")
    before = load(tmp_path)[0].checksum
    write(tmp_path, m0001_a="SELECT 2;")
    assert load(tmp_path)[0].checksum != before
