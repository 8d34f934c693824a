"""Every kind of report over the fixed rows, as the golden tests and the screens show it.

In: nothing. Out: reports with a fixed clock and id. Never: a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from models.clock import ManualClock
from reports.build import build_report
from reports.config import ReportConfig
from reports.render.view import Report
from tests.golden.recorded import DAY_0_MS, DAY_MS, SWARMS, T0_MS, DailyReader, RecordedReader

KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "comparison": {"title": "Careful or hasty?"},
    "executive": {"kind": "executive", "title": "In short"},
    "technical": {"kind": "technical", "title": "Everything"},
    "trend": {
        "kind": "trend",
        "swarms": ("careful",),
        "period": "daily",
        "from_ms": DAY_0_MS,
        "to_ms": DAY_0_MS + 9 * DAY_MS,
    },
    "final": {"kind": "final", "swarms": ("careful",)},
}


@cache
def report_of(kind: str) -> Report:
    """The report of a kind of KINDS, built once."""
    return build_report(
        DailyReader() if kind == "trend" else RecordedReader(),
        ReportConfig(**{"swarms": SWARMS, **KINDS[kind]}),
        clock=ManualClock(T0_MS + 3_600_000),
        report_id="00000000000000000000000000000001",
    )
