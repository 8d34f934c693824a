"""How numbers are written for people: the same in every format.

In: a number and its unit. Out: short text with the unit. Never: 0 for a missing number; more digits than known.
"""

from __future__ import annotations

import math
from typing import Final

MISSING: Final = "not measured"
_DIGITS: Final = 3  # significant: the intervals of real runs are wider than a per mille

_DURATIONS: Final = ((3_600_000.0, "h"), (60_000.0, "min"), (1_000.0, "s"), (1.0, "ms"))
_BYTES: Final = ((1024.0**4, "TiB"), (1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "B"))


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; `not measured` for None."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.1e}".replace("e-0", "e-")
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def count(value: int | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A ratio 0..1 as a percentage."""
    return MISSING if value is None else f"{number(100 * value)} %"


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit: 90.1 s, $0.42, 68.0 %, 1.20 MiB."""
    if value is None:
        return "not priced" if unit == "USD" else MISSING
    if unit == "USD":
        sign = "-" if value < 0 else ""
        return f"{sign}${number(abs(value))}"
    if unit == "ratio":
        return percent(value)
    if unit in {"ms", "s"}:
        return _scaled(value * (1000 if unit == "s" else 1), _DURATIONS)
    if unit in {"bytes", "By"}:
        return _scaled(value, _BYTES)
    return f"{number(value)} {unit}".rstrip()


def difference(value: float | None, unit: str) -> str:
    """A signed difference: +2.6 points for ratios, else the quantity with its sign."""
    if value is None:
        return MISSING
    if unit == "ratio":
        return f"{100 * value:+.1f} points"
    return ("+" if value > 0 else "") + quantity(value, unit)


def score(value: float) -> str:
    """A score 0..1 near its upper end: rounded down, so that only certainty reads as 1."""
    return f"{math.floor(value * 10_000) / 10_000:.4f}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{number(value / size)} {name}"
    return f"{number(value)} {steps[-1][1]}"
