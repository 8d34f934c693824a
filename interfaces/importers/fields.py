"""Takes typed values out of decoded JSON that somebody else wrote: the right type, or None.

In: any JSON value. Out: the value if it obeys the rule, else None. Never: coerces a word into a number, raises.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from models.events import TEXT_LENGTH_MAX, TIMESTAMP_MS_MAX, TIMESTAMP_MS_MIN, TOKENS_MAX


def as_text(value: Any) -> str:
    """A label: the string cut to the model's bound, without NUL and half characters; else ''."""
    if not isinstance(value, str):
        return ""
    text = value[:TEXT_LENGTH_MAX].replace("\x00", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_count(value: Any) -> int | None:
    """A whole number >= 0; 3.0 is whole, True and '3' are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    return value if 0 <= value <= TOKENS_MAX else None


def as_number(value: Any) -> float | None:
    """A finite number; a bool, a string or NaN is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_time_ms(value: Any) -> int | None:
    """Epoch milliseconds of an ISO 8601 text (no zone means UTC) or of a number of milliseconds, if in range."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        try:
            at_ms = round(moment.timestamp() * 1000)
        except (OverflowError, OSError, ValueError):
            return None
    else:
        number = as_number(value)
        if number is None:
            return None
        at_ms = round(number)
    return at_ms if TIMESTAMP_MS_MIN <= at_ms <= TIMESTAMP_MS_MAX else None
