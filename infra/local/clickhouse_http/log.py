"""Structured log lines on stderr: an event name and fields, at most so many a second.

In: events of the server. Out: one line each. Never: SQL, parameters, passwords, more lines than the budget.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from infra.local.clickhouse_http.errors import ClickHouseError

LINES_PER_S_MAX = 10  # a client in a retry loop must not fill the disk
_LOGGER = "infra.local.clickhouse_http"


def configure(level: str) -> None:
    """Sends this server's lines, and other libraries' warnings, to stderr."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger(_LOGGER).setLevel(level.upper())


class Log:
    """The server's own events."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._logger = logging.getLogger(_LOGGER)
        self._clock_s = clock_s
        self._second = 0
        self._lines = 0
        self._dropped_total = 0

    def event(self, name: str, **fields: object) -> None:
        """An event of the life cycle; never dropped."""
        self._logger.info("%s%s", name, _text(fields))

    def refused(self, error: ClickHouseError, *, user: str) -> None:
        """A request that ended with an error. The message may quote the query, so only code and name are kept."""
        level = logging.WARNING if error.status >= 500 else logging.INFO
        if self._within_budget():
            fields = {"code": error.code, "error": error.name, "status": error.status, "user": user[:64]}
            self._logger.log(level, "request_refused%s", _text(fields))

    def fault(self, error: Exception) -> None:
        """A bug of ours: the only place where a traceback is written."""
        if self._within_budget():
            self._logger.error("request_fault error=%s", type(error).__name__, exc_info=error)

    def write_failed(self, error: Exception) -> None:
        """The last line of a server whose engine could not write; never dropped."""
        self._logger.critical(
            "write_failed%s", _text({"reason": str(error), "next": "ending; the next start takes only whole parts"})
        )

    def _within_budget(self) -> bool:
        second = int(self._clock_s())
        if second != self._second:
            if self._dropped_total:
                self._logger.warning("log_lines_dropped%s", _text({"lines_total": self._dropped_total}))
            self._second, self._lines, self._dropped_total = second, 0, 0
        self._lines += 1
        if self._lines > LINES_PER_S_MAX:
            self._dropped_total += 1
            return False
        return True


def _text(fields: dict[str, object]) -> str:
    return "".join(
        f" {name}={value!s}" if " " not in str(value) else f" {name}={value!r}" for name, value in fields.items()
    )
