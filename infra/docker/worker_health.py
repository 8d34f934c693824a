"""The container's health check of a worker or the alerter: its status file is being rewritten, and says ready.

In: the directory of status files. Out: exit 0 healthy, 1 with one line. Never: talks to Kafka or ClickHouse; the
worker's own word is asked for.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

WATCH_S = 3.0  # a worker rewrites its status every second
POLL_S = 0.1


def fault_of(run: Path, *, watch_s: float = WATCH_S) -> str | None:
    """Why the worker of this container is not healthy; None when it is."""
    before = _statuses(run)
    if not before:
        return f"no status file in {run}"
    deadline_s = time.monotonic() + watch_s
    while time.monotonic() < deadline_s:
        for name, status in _statuses(run).items():
            if status.get("updated_at_ms") != before.get(name, {}).get("updated_at_ms"):
                return None if status.get("ready") else f"{name}: {status.get('error') or 'not ready yet'}"
        time.sleep(POLL_S)
    return f"{', '.join(before)}: not rewritten for {watch_s:g} s"


def _statuses(run: Path) -> dict[str, dict[str, object]]:
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in run.glob("*.status.json")}


if __name__ == "__main__":
    fault = fault_of(Path(sys.argv[1]))
    if fault is not None:
        sys.exit(fault)
