"""One csv file of a recorded series, or of several metrics on one time axis.

In: text lines of `timestamp,value` or `timestamp,m1,m2,...`, cells parted by comma, semicolon or tab. Out: `Table`.
Never: sorts, fills or drops rows: a file that breaks a rule is refused with its line; takes a label for a metric.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

TIME_COLUMN: Final = "timestamp"
MISSING: Final = frozenset({"", "nan", "null", "none", "na"})  # lower case
OUT_OF_ORDER_SHARE_MAX: Final = 0.05  # clocks that are put back repeat an hour; more is an unsorted file
SECONDS_MAX: Final = 100_000_000_000  # a number below is epoch seconds (until the year 5138), from it on milliseconds,
MILLISECONDS_MAX: Final = 1_000 * SECONDS_MAX  # from this on microseconds,
MICROSECONDS_MAX: Final = 1_000 * MILLISECONDS_MAX  # from this on nanoseconds
SEPARATORS: Final = (",", ";", "\t")  # the one that parts `timestamp` from the rest of the head
# Lower case. The truth beside the data, as labelled corpora have it: a scorer that reads it is no scorer.
LABELS: Final = frozenset({"label", "labels", "is_anomaly", "anomaly", "anomaly_label", "ground_truth"})


class BacktestError(ValueError):
    """A file that cannot be scored: what, where, the rule, what to do."""


class Table(NamedTuple):
    """What a file holds. `rows` are in order of time; a missing value is None."""

    metrics: list[str]
    times: list[str]  # as written
    at_ms: list[int]  # epoch UTC, made strictly ascending
    rows: list[list[float | None]]
    texts: list[list[str]]  # values as written
    labels: list[str]  # columns that hold no metric but the truth; they are not read
    out_of_order: list[str]  # places of rows that are not later than the one before: at_ms is 1 ms after it


def read(lines: Iterable[str], where: str) -> Table:
    """The table of a file. Raises BacktestError, with `where` and the line, when it breaks a rule."""
    reading = iter(lines)
    first = next(reading, "").lstrip("\ufeff")
    reader = csv.reader(itertools.chain([first], reading), delimiter=_separator(first))
    head = [name.strip() for name in next(reader, [])]
    table = Table([], [], [], [], [], [], [])
    kept = _kept(head, table, where)
    for cells in reader:
        if cells:
            _take(table, cells, head, kept, f"{where}:{reader.line_num}")
    if not table.rows:
        raise BacktestError(f"{where}: no rows below the head: give a file with data, or take it out of the folder")
    if len(table.out_of_order) > OUT_OF_ORDER_SHARE_MAX * len(table.rows):
        raise BacktestError(
            f"{table.out_of_order[0]}: {len(table.out_of_order)} of {len(table.rows)} rows, this the first, are not "
            "later than the row before: sort the file by time and keep one row a timestamp"
        )
    return table


def _separator(first: str) -> str:
    """What stands behind the first cell of the head."""
    rest = first.strip().strip('"')[len(TIME_COLUMN) :].lstrip('" ')
    return rest[0] if rest and rest[0] in SEPARATORS else ","


def _kept(head: list[str], table: Table, where: str) -> list[int]:
    """Columns that hold metrics; fills the names. A head that ends in a separator has a last column without a name."""
    names = head[:-1] if len(head) > 2 and not head[-1] else head
    if len(names) < 2 or names[0].lower() != TIME_COLUMN or len(set(names)) != len(names) or "" in names:
        found = ",".join(head)[:80] or "nothing"
        raise BacktestError(
            f"{where}:1: the head is {found}: it must be timestamp,value or timestamp,m1,m2,... with distinct names"
        )
    kept = [at for at in range(1, len(names)) if names[at].lower() not in LABELS]
    table.labels.extend(names[at] for at in range(1, len(names)) if at not in kept)
    table.metrics.extend(names[at] for at in kept)
    if not kept:
        raise BacktestError(f"{where}:1: {','.join(table.labels)} is a label and no metric: add the column it labels")
    return kept


def _take(table: Table, cells: list[str], head: list[str], kept: list[int], place: str) -> None:
    if len(cells) != len(head):
        raise BacktestError(f"{place}: {len(cells)} cells where the head has {len(head)}: repair the line")
    if not head[-1] and cells[-1].strip():
        raise BacktestError(f"{place}: value {cells[-1][:40]!r} stands in a column without a name: name it in the head")
    at_ms = _time_ms(cells[0], place)
    if table.at_ms and at_ms <= table.at_ms[-1]:
        table.out_of_order.append(place)
        at_ms = table.at_ms[-1] + 1
    table.at_ms.append(at_ms)
    table.times.append(cells[0])
    table.texts.append([cells[at] for at in kept])
    table.rows.append([_number(cells[at], place) for at in kept])


def _time_ms(text: str, place: str) -> int:
    """Epoch milliseconds of `YYYY-MM-DD HH:MM:SS`, ISO 8601 (no zone: UTC), epoch seconds, ms, us or ns."""
    text = text.strip().removesuffix("UTC").rstrip()
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number) and number >= 0.0 and "_" not in text:
            return round(number * _unit_ms(number))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BacktestError(
            f"{place}: timestamp {text[:40]!r} cannot be read: write YYYY-MM-DD HH:MM:SS, ISO 8601 or an epoch time "
            "in s, ms, us or ns"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _unit_ms(number: float) -> float:
    """Milliseconds that one counts for in an epoch time of this size."""
    if number < SECONDS_MAX:
        return 1_000.0
    if number < MILLISECONDS_MAX:
        return 1.0
    return 1e-3 if number < MICROSECONDS_MAX else 1e-6


def _number(text: str, place: str) -> float | None:
    if text.strip().lower() in MISSING:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:
        raise BacktestError(
            f"{place}: value {text[:40]!r} is no finite number with a decimal point: "
            "leave the cell empty if it is missing"
        )
    return number
