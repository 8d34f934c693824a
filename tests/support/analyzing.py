"""`murmur analyze` as a user runs it, and activities to run it over.

In: column values, arguments. Out: rows of activities, a finished process, its JSON. Never: an answer of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.result_rows import T0

ROOT = Path(__file__).parents[2]


def activity(number: int, kind: str, start_ms: int, length_ms: int | None, **values: Any) -> dict[str, Any]:
    """One activity of swarm `s`; length None: it has no end."""
    started = T0 + timedelta(milliseconds=start_ms)
    return {
        "swarm_id": "s",
        "kind": kind,
        "activity_id": f"{kind}-{number}",
        "started_at": started,
        "ended_at": None if length_ms is None else started + timedelta(milliseconds=length_ms),
        "duration_ms": None if length_ms is None else float(length_ms),
        "offset": number,
        **values,
    }


def murmur(environment: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    command = [sys.executable, "-m", "interfaces.cli.main", *arguments]
    return subprocess.run(
        command, env=environment, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def analyzed(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """What `murmur analyze ... --format json` prints."""
    done = murmur(environment, "analyze", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
