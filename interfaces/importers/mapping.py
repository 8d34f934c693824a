"""Which column of a table becomes which field of a metric event, and how a cell becomes a value.

In: `field=column` and `field=constant` texts, rows. Out: event dicts. Never: takes an empty or unreadable cell for a 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from interfaces.importers.choices import TimestampUnit
from interfaces.importers.chunk import Event
from interfaces.importers.identity import ContentIds
from models.events import TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN

FIELDS = (
    "swarm_id", "agent_id", "run_id", "metric", "timestamp", "value", "unit", "source", "priority", "category",
    "weight", "provenance", "id",
)  # fmt: skip
REQUIRED = ("swarm_id", "metric", "timestamp", "value")
TAG_PREFIX = "tags."


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_PER_MS = {TimestampUnit.S: 1e-3, TimestampUnit.MS: 1.0, TimestampUnit.US: 1e3}  # units in a millisecond


class MappingError(ValueError):
    """A mapping that cannot work; the message says which part and what is possible."""


class RowError(ValueError):
    """A cell that cannot become its field."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """`columns`: field -> column; `constants`: field -> value for every row. Fields may be `tags.<key>`."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    unit: TimestampUnit
    texts_hold_numbers: bool  # CSV knows only text; in other formats a text is no number

    def reader(self, present: Iterable[str], where: str) -> RowReader:
        """The reader of rows with these columns: fields named like a column need no mapping.

        Raises MappingError when a mapped column or a required field is missing, or a constant is no value of its field.
        """
        names = list(present)
        absent = [column for column in self.columns.values() if column not in names]
        if absent:
            raise MappingError(f"{where}: no column {', '.join(absent)}; it has {', '.join(names)}")
        taken = {field: field for field in FIELDS if field in names and field not in self.constants}
        columns = {**taken, **self.columns}
        missing = [field for field in REQUIRED if field not in columns and field not in self.constants]
        if missing:
            raise MappingError(
                f"{where}: nothing gives {', '.join(missing)}; it has columns {', '.join(names)}: "
                f"use --map {missing[0]}=COLUMN or --set {missing[0]}=VALUE"
            )
        return RowReader(columns, self.constants, self.unit, texts_hold_numbers=self.texts_hold_numbers)


class RowReader:
    """Turns rows with one set of columns into events; what does not depend on the row is done once."""

    def __init__(
        self,
        columns: Mapping[str, str],
        constants: Mapping[str, str],
        unit: TimestampUnit,
        *,
        texts_hold_numbers: bool,
    ) -> None:
        self.columns = sorted(set(columns.values()))
        self._cells = [
            (field, column, _converter(field, unit, texts_hold_numbers=texts_hold_numbers))
            for field, column in columns.items()
        ]
        self._event: Event = {}
        self._tags: dict[str, str] = {}
        for field, text in constants.items():
            try:
                value = _converter(field, unit, texts_hold_numbers=True)(text)
            except RowError as error:
                raise MappingError(f"--set {field}={text}: {error}") from None
            if field.startswith(TAG_PREFIX):
                self._tags[field.removeprefix(TAG_PREFIX)] = value
            else:
                self._event[field] = value

    def event(self, row: Mapping[str, Any], ids: ContentIds) -> Event:
        """The event of one row. Raises RowError."""
        event = dict(self._event)
        tags = dict(self._tags)
        for field, column, convert in self._cells:
            cell = row.get(column)
            if cell is None or cell == "":
                if field in REQUIRED:
                    raise RowError(f"{field} is empty")
            elif field.startswith(TAG_PREFIX):
                tags[field.removeprefix(TAG_PREFIX)] = convert(cell)
            else:
                event[field] = convert(cell)
        if tags:
            event["tags"] = tags
        if "id" not in event:
            event["id"] = ids.of(sorted(event.items()))
        return event


def parse_mapping(
    maps: Iterable[str], constants: Iterable[str], unit: TimestampUnit, *, texts_hold_numbers: bool
) -> ColumnMapping:
    """From the texts of `--map field=column` and `--set field=value`. Raises MappingError."""
    return ColumnMapping(_pairs(maps, "--map"), _pairs(constants, "--set"), unit, texts_hold_numbers)


def _pairs(texts: Iterable[str], flag: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        field, equals, name = text.partition("=")
        if not equals or not name:
            raise MappingError(f"{flag} {text}: write {flag} FIELD={'COLUMN' if flag == '--map' else 'VALUE'}")
        if field not in FIELDS and not (field.startswith(TAG_PREFIX) and len(field) > len(TAG_PREFIX)):
            raise MappingError(f"{flag} {text}: {field!r} is no field; use {', '.join(FIELDS)} or tags.KEY")
        if field in pairs:
            raise MappingError(f"{flag} {text}: {field} is given twice")
        pairs[field] = name
    return pairs


def _converter(field: str, unit: TimestampUnit, *, texts_hold_numbers: bool) -> Callable[[Any], Any]:
    """What makes the field's value of a cell; raises RowError."""
    number = _number_of_text if texts_hold_numbers else _number
    if field in {"value", "weight"}:
        return lambda cell: number(field, cell)
    if field == "timestamp":
        return lambda cell: _time_ms(cell, unit, number)
    return _text


def _number(field: str, cell: Any) -> float:
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise RowError(f"{field} {cell!r} is not a number")
    return _finite(field, cell)


def _number_of_text(field: str, cell: Any) -> float:
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        raise RowError(f"{field} {cell!r} is not a number")
    return _finite(field, cell)


def _finite(field: str, cell: float | str) -> float:
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        raise RowError(f"{field} {cell!r} is not a number") from None
    if not math.isfinite(number):
        raise RowError(f"{field} {cell!r} is not a finite number")
    return number


def _time_ms(cell: Any, unit: TimestampUnit, number: Callable[[str, Any], float]) -> int:
    if isinstance(cell, datetime):
        at_ms = _epoch_ms(cell)
    elif isinstance(cell, date):
        raise RowError(f"timestamp {cell} is a day, not a moment")
    elif unit is TimestampUnit.ISO:
        at_ms = _iso_ms(cell)
    else:
        at_ms = math.floor(number("timestamp", cell) / _PER_MS[unit])
    if not TIMESTAMP_MS_MIN <= at_ms <= TIMESTAMP_MS_MAX:
        raise RowError(f"timestamp {cell!r} read as {unit.value} is outside 2000..2100; see --timestamp-unit")
    return at_ms


def _iso_ms(cell: Any) -> int:
    try:
        return _epoch_ms(datetime.fromisoformat(cell))
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"timestamp {cell!r} is not ISO 8601; see --timestamp-unit") from None


def _epoch_ms(moment: datetime) -> int:
    """Whole milliseconds, exactly; without a zone it is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MS


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    text = cell if isinstance(cell, str) else str(cell)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowError(f"{text[:80]!r} is not UTF-8") from None
    return text
