"""Logging of a worker: one line an event, fields after it, libraries kept from flooding it.

In: the level. Out: configured root logging. Never: a secret; more than RATE_LINES_MAX equal lines an interval.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

from models.clock import Clock, SystemClock

RATE_LINES_MAX: Final = 5  # of one call site in RATE_INTERVAL_S; during a broker outage aiokafka logs 75 lines a second
RATE_INTERVAL_S: Final = 60.0
_NOISY: Final = ("aiokafka", "faust", "mode", "asyncio")


class RateLimit(logging.Filter):
    """Lets the first lines of a call site through and counts the rest, so that nothing vanishes unseen."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._sites: dict[tuple[str, int], tuple[float, int]] = {}  # (file, line) -> (interval start, lines)

    def filter(self, record: logging.LogRecord) -> bool:
        """True when the line may be written."""
        now_s = self._clock.monotonic_s()
        site = (record.pathname, record.lineno)
        start_s, lines = self._sites.get(site, (now_s, 0))
        if now_s - start_s >= RATE_INTERVAL_S:
            if lines > RATE_LINES_MAX:
                record.msg = f"{record.msg} [{lines - RATE_LINES_MAX} such lines left out before]"
            start_s, lines = now_s, 0
        self._sites[site] = (start_s, lines + 1)
        return lines < RATE_LINES_MAX


def configure(level: str) -> None:
    """Root logging to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(RateLimit(SystemClock()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
