"""From values to pixels: linear, logarithmic and time scales, their ticks and the words beside them.

In: values, a unit, pixels. Out: `Scale`, ticks, labels. Never: an axis without a unit; a logarithm of 0 or
less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final, Literal

LOG_SPAN_MIN: Final = 10  # largest / smallest value; below it a linear axis has better labels
PADDING: Final = 0.04  # of the span, so that a point at its edge is not cut
_TIMES: Final = ((3_600_000.0, "h"), (60_000.0, "min"), (1_000.0, "s"), (1.0, "ms"))
_BYTES: Final = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "B"))
COUNT: Final = "count"  # a unit whose values are whole numbers
SHOWN_FROM: Final = 2  # of the larger unit: 1,900 ms read better as they are
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
# Steps of a clock that readers know; beyond them whole numbers of days.
STEPS_MS: Final = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000),
    *(n * _MINUTE_MS for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR_MS for n in (1, 2, 3, 6, 12)),
    *(n * DAY_MS for n in (1, 2, 7, 14, 28, 56, 112, 365)),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values low..high (low < high) on pixels from_px..to_px, which may run backwards. utc: epoch milliseconds."""

    kind: Literal["linear", "log", "utc"]
    low: float
    high: float
    from_px: float
    to_px: float
    unit: str = ""

    def px(self, value: float) -> float:
        """The pixel of a value; a value outside lands at the nearer edge."""
        value = min(max(value, self.low), self.high)
        if self.kind == "log":
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.from_px + share * (self.to_px - self.from_px)

    def ticks(self, count: int = 5) -> list[float]:
        """At most about `count` round values inside, ascending."""
        if self.kind == "log":
            return _log_ticks(self.low, self.high, count)
        wanted = (self.high - self.low) / count
        if self.kind == "utc":
            step = time_step(self.high - self.low, count)
        else:
            step = _step(max(wanted, 1), (1, 2, 5, 10)) if self.unit == COUNT else _step(wanted)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]

    def label(self, value: float) -> str:
        """The words at a tick."""
        return clock(value, self.high - self.low) if self.kind == "utc" else plain(value)

    def labels(self, ticks: Sequence[float]) -> list[str]:
        """The words at ascending ticks. Times of a scale over midnight carry their date where it is a new one."""
        words = [self.label(tick) for tick in ticks]
        if self.kind != "utc" or self.high - self.low > DAY_MS or day(self.low) == day(self.high):
            return words
        days = [day(tick) for tick in ticks]
        before = ["", *days]
        return [f"{new} {said}" if new != old else said for said, new, old in zip(words, days, before, strict=False)]


@dataclass(frozen=True, slots=True)
class Shown:
    """How values of a unit are drawn: multiplied by `factor`, named `unit`."""

    factor: float
    unit: str


def shown(unit: str, largest: float) -> Shown:
    """Milliseconds become seconds, minutes or hours, bytes MiB, ratios per cent, where the numbers read better so."""
    if unit == "ratio":
        return Shown(100.0, "%")
    for units, names in (({"ms"}, _TIMES), ({"bytes", "By"}, _BYTES)):
        if unit in units:
            for size, name in names:
                if abs(largest) >= SHOWN_FROM * size or size == 1:
                    return Shown(1 / size, name)
    return Shown(1.0, unit or "value")


def shown_of(unit: str, values: Sequence[float]) -> Shown:
    """The same for a whole distribution: by its middle where the axis will be logarithmic."""
    low, high = _bounds(values)
    return shown(unit, median(values) if low > 0 and high >= LOG_SPAN_MIN * low else high)


def linear(values: Iterable[float], from_px: float, to_px: float, *, unit: str, zero: bool = False) -> Scale:
    """A linear scale around the values; `zero` starts it at 0, as bars and shares must."""
    low, high = _bounds(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    reach = (high - low) * PADDING or abs(high) * PADDING or 1.0
    below = low - reach if not (zero and low == 0) else 0.0
    if low >= 0 > below:
        below = 0.0  # nothing here is negative, so the axis is not either
    return Scale("linear", below, high + reach, from_px, to_px, unit)


def fitting(values: Sequence[float], from_px: float, to_px: float, *, unit: str) -> Scale:
    """Logarithmic where the values span more than LOG_SPAN_MIN times and all are above 0; else linear."""
    low, high = _bounds(values)
    if low > 0 and high >= LOG_SPAN_MIN * low:
        room = (high / low) ** PADDING
        return Scale("log", low / room, high * room, from_px, to_px, unit)
    return linear(values, from_px, to_px, unit=unit)


def utc(values: Iterable[float], from_px: float, to_px: float) -> Scale:
    """A scale of moments, exactly from the first to the last."""
    low, high = _bounds(values)
    return Scale("utc", low, max(high, low + 1), from_px, to_px, "UTC")


def title(label: str, scale: Scale) -> str:
    """`task duration (s, log scale)`."""
    return f"{label} ({scale.unit}{', log scale' if scale.kind == 'log' else ''})"


def time_step(span_ms: float, count: int) -> float:
    """The smallest step of a clock with at most `count` steps in the span."""
    wanted = span_ms / max(1, count)
    return next((step for step in STEPS_MS if step >= wanted), math.ceil(wanted / STEPS_MS[-1]) * STEPS_MS[-1])


def clock(at_ms: float, span_ms: float) -> str:
    """A moment, as exactly as the span asks for: 12:30:05.250, 12:30:05, 12:30, Mar 1 12:00, Mar 1, 2026-03-01."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    if span_ms <= 5_000:
        return f"{moment:%H:%M:%S}.{int(at_ms) % 1000:03d}"
    if span_ms <= 10 * _MINUTE_MS:
        return f"{moment:%H:%M:%S}"
    if span_ms <= DAY_MS:
        return f"{moment:%H:%M}"
    if span_ms <= 4 * DAY_MS:
        return f"{day(at_ms)} {moment:%H:%M}"
    return day(at_ms) if span_ms <= 300 * DAY_MS else f"{moment:%Y-%m-%d}"


def day(at_ms: float) -> str:
    """The date of a moment in UTC, without its year: Mar 1."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%b} {moment.day}"


def plain(value: float) -> str:
    """A tick's number: no digit that is not there, thousands separated, large ones with a power of ten's letter."""
    size = abs(value)
    for limit, letter in ((1e9, "G"), (1e6, "M")):
        if size >= limit:
            return f"{value / limit:.6g}{letter}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.6g}" if size >= 1e-4 or value == 0 else f"{value:.0e}"


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return (min(known), max(known)) if known else (0.0, 1.0)


def _step(wanted: float, digits: Sequence[float] = (1, 2, 2.5, 5, 10)) -> float:
    power: float = 10.0 ** math.floor(math.log10(wanted))
    return next(power * m for m in digits if power * m >= wanted * (1 - 1e-9))


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [d * 10.0**p for p in decades for d in digits if low <= d * 10.0**p <= high]
        if len(found) <= count + 1:
            return found
    every = math.ceil(len(found) / count)
    return found[::every]
