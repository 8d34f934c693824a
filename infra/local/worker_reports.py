"""What the workers of a home, and its alerter, say of themselves, checked against the clock and the process table.

In: `<home>/run/*.status.json`. Out: a `WorkerReport` for each worker that runs. Never: believes a file of a dead
process, or an old one: a worker that cannot write its status (full disk, frozen) says nothing of its own.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from infra.local.layout import FREE_BYTES_MIN, Layout
from models.clock import SystemClock

REPORT_AGE_MAX_MS = 10_000  # a worker rewrites its status every second; a busy machine may delay a few
ALERTER = "alerter"
READY, STARTING, STALLED = "ready", "starting", "stalled"


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One running worker. `state`: starting, ready or stalled; `detail` says why it is stalled."""

    name: str
    pid: int
    state: str
    detail: str = ""
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def is_alerter(self) -> bool:
        """Whether it decides alerts; workers fold."""
        return self.status.get("role") == ALERTER


def worker_reports(layout: Layout) -> list[WorkerReport]:
    """The workers and the alerter that run in this home, whoever started them, by name."""
    now_ms = SystemClock().now_ms()
    found: list[WorkerReport] = []
    for path in sorted(layout.run.glob("*.status.json")):
        status = read_status(path)
        if status is not None and _wrote_it(int(status["pid"]), int(status["updated_at_ms"])):
            found.append(_report(path.name.removesuffix(".status.json"), status, now_ms, layout.home))
    return found


def read_status(path: Path) -> dict[str, Any] | None:
    """The status a worker wrote; None when there is none that can be read."""
    try:
        status = json.loads(path.read_bytes())
        return status if {"pid", "state", "updated_at_ms"} <= status.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _report(name: str, status: dict[str, Any], now_ms: int, home: Path) -> WorkerReport:
    age_ms = now_ms - int(status["updated_at_ms"])
    state, detail = str(status["state"]), str(status.get("error") or "")
    if age_ms > REPORT_AGE_MAX_MS:
        state, detail = STALLED, f"has not written its status for {age_ms // 1000} s: {_why_silent(home)}"
    return WorkerReport(name, int(status["pid"]), state, detail, status)


def _why_silent(home: Path) -> str:
    free_bytes = shutil.disk_usage(home).free
    if free_bytes < FREE_BYTES_MIN:
        return f"only {free_bytes >> 20} MiB are free under {home}; free some space"
    return f"see its log under {home / 'logs'}"


def _wrote_it(pid: int, written_ms: int) -> bool:
    """Whether the process of this pid runs and is the one that wrote then, not a later one with a recycled pid."""
    try:
        process = psutil.Process(pid)
        # A second of grace: start times are counted in clock ticks from a boot time that is rounded.
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() * 1000 <= written_ms + 1000)
    except psutil.Error:
        return False
