"""The client's two clocks.

In: nothing. Out: epoch milliseconds for stamps, monotonic seconds for durations.
Never: a duration from the wall clock, which may be set back while a task runs.
"""

from __future__ import annotations

import time

monotonic_s = time.monotonic
now_ns = time.time_ns  # epoch nanoseconds UTC; the C function itself, because emit() calls it for every event


def now_ms() -> int:
    """Epoch milliseconds UTC."""
    return now_ns() // 1_000_000
