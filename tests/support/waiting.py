"""The one way tests wait: look again until it is so, or fail saying what never was.

In: a condition. Out: its first true answer. Never: sleeps longer than until the next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

WITHIN_S = 180.0  # far above what anything here takes: a busy machine must not decide a test
LOOK_EVERY_S = 0.05


def eventually(look: Callable[[], Answer], what: str = "", *, within_s: float = WITHIN_S) -> Answer:
    """Looks until the answer is true and returns it; fails with `what` and the last answer when the time is over."""
    deadline_s = time.monotonic() + within_s
    while not (answer := look()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:g} s: {what or 'true'}; last answer: {answer!r}")
        time.sleep(LOOK_EVERY_S)
    return answer
