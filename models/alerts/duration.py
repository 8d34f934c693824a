"""Durations in rules: `90s`, `5m`, `2h`, `7d`.

In: text. Out: milliseconds, and text again. Never: guesses a unit.
"""

from __future__ import annotations

import re
from typing import Final

_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)\Z")
_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_ms(text: object) -> int:
    """`5m` -> 300000; `0` is 0. Raises ValueError that says what to write."""
    if isinstance(text, int) and not isinstance(text, bool) and text == 0:
        return 0
    found = _DURATION.match(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write a whole number and ms, s, m, h or d, for example 5m")
    return int(found[1]) * _UNIT_MS[found[2]]


def show_ms(duration_ms: int) -> str:
    """300000 -> `5m`: the largest unit that leaves a whole number."""
    for unit in ("d", "h", "m", "s"):
        if duration_ms and duration_ms % _UNIT_MS[unit] == 0:
            return f"{duration_ms // _UNIT_MS[unit]}{unit}"
    return f"{duration_ms}ms"
