"""One csv file of a recorded series, or of several metrics on one time axis.

In: text lines of `timestamp,value` or `timestamp,m1,m2,...`. Out: `Table`.
Never: sorts, fills or drops rows: a file that breaks a rule is refused with its line.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

TIME_COLUMN: Final = "timestamp"
MISSING: Final = frozenset({"", "nan", "null", "none", "na"})  # lower case
OUT_OF_ORDER_SHARE_MAX: Final = 0.05  # clocks that are put back repeat an hour; more is an unsorted file
SECONDS_MAX: Final = 100_000_000_000  # a number below is epoch seconds (until the year 5138), from it on milliseconds


class BacktestError(ValueError):
    """A file that cannot be scored: what, where, the rule, what to do."""


class Table(NamedTuple):
    """What a file holds. `rows` are in order of time; a missing value is None."""

    metrics: list[str]
    times: list[str]  # as written
    at_ms: list[int]  # epoch UTC, made strictly ascending
    rows: list[list[float | None]]
    texts: list[list[str]]  # values as written
    out_of_order: list[str]  # places of rows that are not later than the one before: at_ms is 1 ms after it


def read(lines: Iterable[str], where: str) -> Table:
    """The table of a file. Raises BacktestError, with `where` and the line, when it breaks a rule."""
    reader = csv.reader(lines)
    head = [name.strip().lstrip("\ufeff") for name in next(reader, [])]
    if len(head) < 2 or head[0].lower() != TIME_COLUMN or len(set(head)) != len(head):
        found = ",".join(head)[:80] or "nothing"
        raise BacktestError(
            f"{where}:1: the head is {found}: it must be timestamp,value or timestamp,m1,m2,... with distinct names"
        )
    table = Table(head[1:], [], [], [], [], [])
    for cells in reader:
        if cells:
            _take(table, cells, f"{where}:{reader.line_num}")
    if not table.rows:
        raise BacktestError(f"{where}: no rows below the head: give a file with data, or take it out of the folder")
    if len(table.out_of_order) > OUT_OF_ORDER_SHARE_MAX * len(table.rows):
        raise BacktestError(
            f"{table.out_of_order[0]}: {len(table.out_of_order)} of {len(table.rows)} rows, this the first, are not "
            "later than the row before: sort the file by time and keep one row a timestamp"
        )
    return table


def _take(table: Table, cells: list[str], place: str) -> None:
    if len(cells) != len(table.metrics) + 1:
        raise BacktestError(f"{place}: {len(cells)} cells where the head has {len(table.metrics) + 1}: repair the line")
    at_ms = _time_ms(cells[0], place)
    if table.at_ms and at_ms <= table.at_ms[-1]:
        table.out_of_order.append(place)
        at_ms = table.at_ms[-1] + 1
    table.at_ms.append(at_ms)
    table.times.append(cells[0])
    table.texts.append(cells[1:])
    table.rows.append([_number(cell, place) for cell in cells[1:]])


def _time_ms(text: str, place: str) -> int:
    """Epoch milliseconds of `YYYY-MM-DD HH:MM:SS`, ISO 8601 (no zone: UTC), epoch seconds or milliseconds."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number) and number >= 0.0:
            return round(number * 1_000) if number < SECONDS_MAX else round(number)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BacktestError(
            f"{place}: timestamp {text[:40]!r} cannot be read: write YYYY-MM-DD HH:MM:SS, ISO 8601, epoch seconds or "
            "epoch milliseconds"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _number(text: str, place: str) -> float | None:
    if text.strip().lower() in MISSING:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BacktestError(f"{place}: value {text[:40]!r} is no finite number: leave the cell empty if it is missing")
    return number
