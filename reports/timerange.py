"""Time ranges as people write them.

In: `last-24h`, `last-7-days`, `2026-01-31T12:00:00Z`, and now. Out: TimeRange. Never: reads a clock, guesses a zone
other than UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from reports.queries.port import TimeRange

_UNITS_MS: Final = {
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_LAST: Final = re.compile(r"last-(\d{1,6})-?(s|m|h|d|w|second|minute|hour|day|week)s?\Z")
_RULE: Final = "write last-24h, last-30m or last-7-days"
_TIME_RULE: Final = "write ISO 8601 such as 2026-01-31 or 2026-01-31T12:00:00Z, or epoch milliseconds"


def parse_time_range(last: str | None, from_text: str | None, to_text: str | None, *, now_ms: int) -> TimeRange:
    """Either `last`, or any of the two ends. Raises ValueError with one line that says what to write."""
    if last is None:
        start = _moment("--from", from_text) if from_text is not None else None
        end = _moment("--to", to_text) if to_text is not None else None
        if start is not None and end is not None and start >= end:
            raise ValueError(f"--from {from_text} is not before --to {to_text}: the range would be empty")
        return TimeRange(start, end)
    if from_text is not None or to_text is not None:
        raise ValueError("--time-range and --from / --to exclude each other: give one of them")
    match = _LAST.match(last)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"--time-range {last!r} is not a time range: {_RULE}")
    return TimeRange(now_ms - int(match[1]) * _UNITS_MS[match[2][0]], now_ms)


def _moment(flag: str, text: str) -> int:
    if re.fullmatch(r"\d{12,13}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{flag} {text!r} is not a time: {_TIME_RULE}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
