"""The one place that reads the wall clock.

In: nothing, or a test's hand. Out: epoch milliseconds. Never: used inside the fold; the log carries its own time.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Epoch milliseconds for stamps, monotonic seconds for intervals."""

    def now_ms(self) -> int:
        """Epoch milliseconds of the wall clock; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never runs backwards."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that a test moves by hand."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_s = 0.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, delta_ms: int) -> None:
        """Moves both clocks forward by `delta_ms` >= 0."""
        if delta_ms < 0:
            raise ValueError(f"a clock does not run backwards: delta_ms={delta_ms}")
        self._now_ms += delta_ms
        self._monotonic_s += delta_ms / 1000
