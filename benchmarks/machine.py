"""What a figure was measured on.

In: nothing. Out: one line. Never: anything that names a person or a network.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def describe() -> str:
    """Processor, cores, memory, Python, versions that matter, commit."""
    model = next(
        (line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")),
        platform.processor(),
    )
    memory_kb = next((int(line.split()[1]) for line in _read("/proc/meminfo").splitlines() if "MemTotal" in line), 0)
    versions = " ".join(
        f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka", "chdb", "numpy", "pyarrow")
    )
    return (
        f"{model}, {os.cpu_count()} cores, {memory_kb / 2**20:.0f} GiB, Python {platform.python_version()}, "
        f"{versions}, commit {commit()}, load {os.getloadavg()[0]:.1f}"
    )


def commit() -> str:
    """The short hash of the checkout's commit, or `unknown`."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return git.stdout.strip() or "unknown"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
