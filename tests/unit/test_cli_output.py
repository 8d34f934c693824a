"""Rows in every format, safe for a terminal; settings with the running stack."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.identity import ProcessId
from infra.local.layout import Layout, Stack, write_stack
from interfaces.cli import output
from interfaces.cli.output import Format, emit, fail, load_settings

ROWS = [
    {"agent": "a|1", "value": 1.5, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "tags": {"k": "ü"}},
    {"agent": None, "value": float("nan"), "at": None, "tags": {}},
]


def printed(rows: list[dict[str, object]], format: Format, **options: object) -> str:
    stream = io.StringIO()
    emit(rows, format=format, stream=stream, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_json_is_a_list_of_objects_in_which_nan_and_missing_are_null() -> None:
    first, second = json.loads(printed(ROWS, Format.JSON))
    assert first == {"agent": "a|1", "value": 1.5, "at": "2026-01-02T03:04:05Z", "tags": {"k": "ü"}}
    assert second == {"agent": None, "value": None, "at": None, "tags": {}}


def test_ndjson_is_one_object_a_line() -> None:
    assert [json.loads(line)["agent"] for line in printed(ROWS, Format.NDJSON).splitlines()] == ["a|1", None]


def test_csv_has_a_head_and_an_empty_cell_for_a_missing_value() -> None:
    rows = list(csv.reader(io.StringIO(printed(ROWS, Format.CSV))))
    assert rows[0] == ["agent", "value", "at", "tags"]
    assert rows[1] == ["a|1", "1.5", "2026-01-02T03:04:05Z", '{"k": "ü"}']
    assert rows[2] == ["", "nan", "", "{}"]


def test_markdown_escapes_the_bar_and_aligns_numbers_right() -> None:
    lines = printed(ROWS, Format.MARKDOWN, title="T").splitlines()
    assert lines[0] == "## T"
    assert lines[3].split("|")[2].strip() == "---:"
    assert "a\\|1" in lines[4]


def test_a_table_shows_a_missing_value_as_a_dash_and_never_as_zero() -> None:
    text = printed([{"x": None}], Format.TABLE)
    assert output.NULL_TEXT in text
    assert "0" not in text


def test_markup_and_escape_sequences_in_data_are_shown_and_not_obeyed() -> None:
    text = printed([{"agent": "[red]x[/red]\x1b[2J\r", "n": 1}], Format.TABLE)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "\\x1b[2J\\r" in text


def test_columns_are_printed_also_when_no_row_came() -> None:
    assert printed([], Format.CSV, columns=["a", "b"]) == "a,b\n"
    assert printed([], Format.JSON) == "[]\n"
    assert printed([], Format.TABLE) == "no rows\n"


@given(st.lists(st.dictionaries(st.just("k"), st.text() | st.floats() | st.none() | st.integers()), max_size=5))
def test_any_value_survives_json_or_becomes_null(rows: list[dict[str, object]]) -> None:
    back = json.loads(printed(rows, Format.JSON))
    for row, read in zip(rows, back, strict=True):
        for key, value in row.items():
            finite = not isinstance(value, float) or value - value == 0
            assert read[key] == (value if finite else None)


@given(st.text())
def test_an_error_is_one_line_whatever_its_text(text: str) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output.sys, "stderr", stream)
        with pytest.raises(SystemExit) as end:
            fail(f"x{text}")
    assert end.value.code == 1
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().startswith("murmur: x")


def _running(home: Path, *, started: str | None = None) -> None:
    own = ProcessId.of(os.getpid())
    assert own is not None
    layout = Layout(home)
    layout.prepare()
    write_stack(
        layout,
        Stack(
            home=str(home),
            kafka_bootstrap="127.0.0.1:19092",
            clickhouse_url="http://127.0.0.1:18123",
            clickhouse_user="murmur",
            clickhouse_password="secret",
            broker="embedded",
            clickhouse="embedded",
            phase="ready",
            supervisor=asdict(own if started is None else ProcessId(own.pid, started)),
        ),
    )


def test_addresses_nobody_gave_come_from_the_running_stack(tmp_path: Path) -> None:
    _running(tmp_path)
    settings = load_settings(home=str(tmp_path))
    assert settings.kafka_bootstrap == "127.0.0.1:19092"
    assert settings.clickhouse_url == "http://127.0.0.1:18123"
    assert settings.clickhouse_user == "murmur"
    assert settings.clickhouse_password.get_secret_value() == "secret"


def test_the_stacks_password_never_goes_to_a_server_the_user_named(tmp_path: Path) -> None:
    _running(tmp_path)
    settings = load_settings(home=str(tmp_path), clickhouse_url="http://elsewhere:8123")
    assert settings.kafka_bootstrap == "127.0.0.1:19092"
    assert settings.clickhouse_user == "default"
    assert settings.clickhouse_password.get_secret_value() == ""


def test_a_state_file_of_a_dead_stack_is_not_believed(tmp_path: Path) -> None:
    _running(tmp_path, started="another boot:1")
    assert load_settings(home=str(tmp_path)).kafka_bootstrap == "127.0.0.1:9092"


def test_the_state_file_with_the_password_is_private(tmp_path: Path) -> None:
    _running(tmp_path)
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600
