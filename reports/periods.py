"""Hours, days, weeks and months as half-open ranges of event time, UTC.

In: a kind of period, a moment or a date as people write it. Out: `Period`. Never: reads a clock, a local time zone.
A week begins on Monday and is numbered as in ISO 8601.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

from reports.queries.port import TimeRange

PeriodKind = Literal["hourly", "daily", "weekly", "monthly"]
KINDS: Final = get_args(PeriodKind)
PERIODS_MAX: Final = 31  # side by side: a month of days; more is a picture, not a table

_FORMS: Final = {
    "hourly": (r"\d{4}-\d\d-\d\dT\d\d(:00)?Z?", "2026-03-01T12"),
    "daily": (r"\d{4}-\d\d-\d\d", "2026-03-01"),
    "weekly": (r"\d{4}-\d\d-\d\d|\d{4}-W\d\d", "2026-W09, or a day of that week"),
    "monthly": (r"\d{4}-\d\d(-\d\d)?", "2026-03"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """[from_ms, to_ms) in epoch milliseconds; `label` names it among its kind."""

    kind: PeriodKind
    label: str
    from_ms: int
    to_ms: int

    @property
    def time(self) -> TimeRange:
        """The period as a time range."""
        return TimeRange(self.from_ms, self.to_ms)


def period_at(kind: PeriodKind, at_ms: int) -> Period:
    """The period that holds this moment."""
    return _from_start(kind, _start(kind, datetime.fromtimestamp(at_ms // 1000, UTC)))


def last_complete(kind: PeriodKind, now_ms: int) -> Period:
    """The newest period that has ended."""
    return before(period_at(kind, now_ms))


def before(period: Period) -> Period:
    """The period that ends where this one begins."""
    return period_at(period.kind, period.from_ms - 1)


def after(period: Period) -> Period:
    """The period that begins where this one ends."""
    return period_at(period.kind, period.to_ms)


def series(last: Period, count: int) -> tuple[Period, ...]:
    """`count` periods, the oldest first, that end with `last`. Raises ValueError outside 1..PERIODS_MAX."""
    if not 1 <= count <= PERIODS_MAX:
        raise ValueError(f"{count} periods: between 1 and {PERIODS_MAX} fit side by side")
    found = [last]
    while len(found) < count:
        found.append(before(found[-1]))
    return tuple(reversed(found))


def split(kind: PeriodKind, time: TimeRange) -> tuple[Period, ...]:
    """The periods of a range whose ends are ends of periods. Raises ValueError otherwise, or for too many."""
    if time.from_ms is None or time.to_ms is None:
        raise ValueError("a trend needs both ends of its time range")
    found = [period_at(kind, time.from_ms)]
    while found[-1].to_ms < time.to_ms and len(found) <= PERIODS_MAX:
        found.append(after(found[-1]))
    if found[0].from_ms != time.from_ms or (found[-1].to_ms != time.to_ms and len(found) <= PERIODS_MAX):
        raise ValueError(f"the time range does not begin and end with a {kind.removesuffix('ly')} period (UTC)")
    if len(found) > PERIODS_MAX:
        raise ValueError(f"the time range holds more than {PERIODS_MAX} {kind} periods: take longer periods")
    return tuple(found)


def parse_date(kind: PeriodKind, text: str) -> Period:
    """`2026-03-01`, `2026-W09`, `2026-03`, `2026-03-01T12`. Raises ValueError that says what to write."""
    pattern, example = _FORMS[kind]
    mistake = f"--date {text!r} names no {kind} period: write {example}"
    if not re.fullmatch(pattern, text):
        raise ValueError(mistake)
    try:
        if "W" in text:
            day = datetime.fromisocalendar(int(text[:4]), int(text[-2:]), 1)
        elif kind == "monthly":
            day = datetime(int(text[:4]), int(text[5:7]), 1)
        else:
            day = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise ValueError(mistake) from None
    return _from_start(kind, _start(kind, day.replace(tzinfo=UTC)))


def _start(kind: PeriodKind, moment: datetime) -> datetime:
    if kind == "hourly":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind == "monthly" else day


def _from_start(kind: PeriodKind, start: datetime) -> Period:
    if kind == "hourly":
        label, end = f"{start:%Y-%m-%d %H:00}", start + timedelta(hours=1)
    elif kind == "daily":
        label, end = f"{start:%Y-%m-%d}", start + timedelta(days=1)
    elif kind == "weekly":
        year, week, _ = start.isocalendar()
        label, end = f"{year}-W{week:02d}", start + timedelta(days=7)
    else:
        label, end = f"{start:%Y-%m}", (start + timedelta(days=32)).replace(day=1)
    return Period(kind, label, _ms(start), _ms(end))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
