"""Generic tables: mapping, units, bad rows with their numbers, three formats with one meaning."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interfaces.importers.choices import TableFormat, TimestampUnit
from interfaces.importers.chunk import valid_events
from interfaces.importers.mapping import MappingError, parse_mapping
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary
from interfaces.importers.tables import chunks, format_of

Event = dict[str, Any]
AT_MS = 1_767_225_600_000
MAPS = ["timestamp=t", "value=v", "agent_id=who", "tags.region=where"]
CONSTANTS = ["metric=cpu_usage", "swarm_id=lab"]


def imported(
    path: Path,
    maps: list[str] = MAPS,
    constants: list[str] = CONSTANTS,
    unit: TimestampUnit = TimestampUnit.MS,
) -> tuple[list[Event], list[str]]:
    table_format = format_of(path)
    mapping = parse_mapping(maps, constants, unit, texts_hold_numbers=table_format is TableFormat.CSV)
    summary = Summary()
    events = [e for chunk in chunks(path, table_format, mapping, summary) for e in valid_events(chunk, summary.issues)]
    return events, [str(issue).removeprefix(str(path)) for issue in summary.issues.named]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_the_three_formats_give_the_same_events(tmp_path: Path) -> None:
    rows = [{"t": AT_MS, "v": 1.5, "who": "a", "where": "eu"}, {"t": AT_MS + 1, "v": 2.0, "who": "b", "where": "us"}]
    csv = write(tmp_path / "x.csv", f"t,v,who,where\n{AT_MS},1.5,a,eu\n{AT_MS + 1},2,b,us\n")
    ndjson = write(tmp_path / "x.ndjson", "".join(json.dumps(row) + "\n" for row in rows))
    parquet = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    assert imported(csv) == imported(ndjson) == imported(parquet)
    events, issues = imported(csv)
    assert issues == []
    assert events[0] == {
        "swarm_id": "lab",
        "metric": "cpu_usage",
        "timestamp": AT_MS,
        "value": 1.5,
        "agent_id": "a",
        "tags": {"region": "eu"},
        "id": events[0]["id"],
    }


@pytest.mark.parametrize(
    ("unit", "cell"),
    [
        (TimestampUnit.S, "1767225600.25"),
        (TimestampUnit.MS, "1767225600250"),
        (TimestampUnit.US, "1767225600250999"),
        (TimestampUnit.ISO, "2026-01-01T00:00:00.250Z"),
        (TimestampUnit.ISO, "2026-01-01T02:00:00.250+02:00"),
        (TimestampUnit.ISO, "2026-01-01 00:00:00.250"),
    ],
)
def test_a_timestamp_is_read_in_the_unit_that_was_named(tmp_path: Path, unit: TimestampUnit, cell: str) -> None:
    path = write(tmp_path / "x.csv", f"t,v\n{cell},1\n")
    events, issues = imported(path, MAPS[:2], CONSTANTS, unit)
    assert issues == []
    assert events[0]["timestamp"] == AT_MS + 250


def test_a_timestamp_in_the_wrong_unit_is_refused_instead_of_landing_in_1970(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "t,v\n1767225600,1\n")
    events, issues = imported(path, MAPS[:2])
    assert events == []
    assert issues == [":2: timestamp '1767225600' read as ms is outside 2000..2100; see --timestamp-unit"]


def test_bad_csv_rows_are_named_by_line_and_the_others_are_taken(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        f't,v,who,where\n{AT_MS},x,a,\n{AT_MS},,a,\n{AT_MS},nan,a,\n\n{AT_MS},1,"two\nlines",\n{AT_MS},2\n,3,a,\n'
        f"{AT_MS},4,a,eu\n{AT_MS},5,\udcff,eu\n",
    )
    events, issues = imported(path)
    assert [event["value"] for event in events] == [1.0, 4.0]
    assert issues[:5] == [
        ":2: value 'x' is not a number",
        ":3: value is empty",
        ":4: value 'nan' is not a finite number",
        ":8: 2 cells where the header has 4",
        ":9: timestamp is empty",
    ]
    assert len(issues) == 6
    assert issues[5].startswith(":11: ")


def test_bad_ndjson_rows_are_named_by_line(tmp_path: Path) -> None:
    rows = [
        {"t": AT_MS, "v": "1.5", "who": "a", "where": "x"},
        {"t": AT_MS, "v": True, "who": "a", "where": "x"},
        {"t": AT_MS, "who": "a", "where": "x"},
        {"t": AT_MS, "v": 1, "who": "a", "where": "x"},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"t": NaN}\n[1]\n{"t'
    events, issues = imported(write(tmp_path / "x.ndjson", text))
    assert [event["value"] for event in events] == [1.0]
    assert [issue.split(":")[1] for issue in issues] == ["1", "2", "3", "5", "6", "7"]
    assert issues[0] == ":1: value '1.5' is not a number"


def test_parquet_times_and_nulls(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    times = [datetime(2026, 1, 1, tzinfo=UTC), None]
    pq.write_table(pa.table({"timestamp": times, "value": [1.0, 2.0], "swarm_id": ["a", "a"]}), path)
    events, issues = imported(path, [], ["metric=cpu_usage"])
    assert [(e["timestamp"], e["value"]) for e in events] == [(AT_MS, 1.0)]
    assert issues == [":2: timestamp is empty"]


def test_columns_named_like_fields_need_no_mapping(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", f"swarm_id,metric,timestamp,value,unit,other\nlab,a.b,{AT_MS},1,ms,zzz\n")
    ((event,), issues) = imported(path, [], [])
    assert issues == []
    assert (event["swarm_id"], event["metric"], event["unit"]) == ("lab", "a.b", "ms")
    assert "zzz" not in json.dumps(event)


def test_events_that_break_the_models_rules_are_named_by_row(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", f"metric,timestamp,value,weight\nBad Name!,{AT_MS},1,1\ngood,{AT_MS},1,0\n")
    events, issues = imported(path, [], ["swarm_id=lab"])
    assert events == []
    assert issues[0].startswith(":2: metric: ")
    assert issues[1].startswith(":3: weight: ")


def test_equal_rows_are_two_events_and_the_same_two_every_time(tmp_path: Path) -> None:
    row = f"{AT_MS},1,a,eu\n"
    events, _ = imported(write(tmp_path / "x.csv", "t,v,who,where\n" + row * 2))
    again, _ = imported(write(tmp_path / "grown.csv", "t,v,who,where\n" + row * 3))
    assert len({event["id"] for event in again}) == 3
    assert [event["id"] for event in events] == [event["id"] for event in again][:2]


@pytest.mark.parametrize(
    ("maps", "constants", "said"),
    [
        (["value"], [], "--map value: write --map FIELD=COLUMN"),
        (["value="], [], "write --map FIELD=COLUMN"),
        (["valeu=v"], [], "'valeu' is no field"),
        (["tags.=v"], [], "'tags.' is no field"),
        (["value=v", "value=w"], [], "value is given twice"),
        (["value=nope"], ["metric=m", "swarm_id=s"], "no column nope; it has t, v"),
        (["value=v"], ["metric=m", "swarm_id=s"], "nothing gives timestamp"),
    ],
)
def test_a_mapping_that_cannot_work_says_why(tmp_path: Path, maps: list[str], constants: list[str], said: str) -> None:
    path = write(tmp_path / "x.csv", f"t,v\n{AT_MS},1\n")
    with pytest.raises(MappingError, match=said):
        imported(path, maps, constants)


def test_files_that_are_not_what_their_name_says(tmp_path: Path) -> None:
    with pytest.raises(NothingToImportError, match="not readable as Parquet"):
        imported(write(tmp_path / "x.parquet", "not parquet at all"))
    with pytest.raises(NothingToImportError, match="empty; the first line must name the columns"):
        imported(write(tmp_path / "x.csv", ""))
    with pytest.raises(NothingToImportError, match="does not tell the format"):
        imported(write(tmp_path / "x.dat", ""))
    with pytest.raises(MappingError, match="two columns have the same name"):
        imported(write(tmp_path / "x.csv", "t,t\n1,2\n"))
