"""Which process is meant: a pid together with the moment it started.

In: a pid. Out: `ProcessId`, alive or not, a signal sent. Never: signals a process that only has a recycled pid.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_START_TIME_FIELD = 22 - 3  # /proc/PID/stat: field 22, counted after `pid (comm)`; see proc_pid_stat(5)
_STATE_FIELD = 3 - 3


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process for ever: no other one has the same pid and start."""

    pid: int
    started: str

    @staticmethod
    def of(pid: int) -> ProcessId | None:
        """The process that has this pid now; None when there is none (a zombie is none)."""
        started = _start_of(pid)
        return ProcessId(pid, started) if started is not None else None


def is_alive(process: ProcessId) -> bool:
    """True while exactly this process runs."""
    return _start_of(process.pid) == process.started


def send_signal(process: ProcessId, number: signal.Signals) -> bool:
    """Signals exactly this process; False when it is gone."""
    if not is_alive(process):
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _start_of(pid: int) -> str | None:
    if sys.platform != "linux":
        return _start_by_psutil(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the command name may hold spaces and parentheses
    if fields[_STATE_FIELD] in (b"Z", b"X"):
        return None
    return f"{_boot_id()}:{fields[_START_TIME_FIELD].decode()}"


@cache
def _boot_id() -> str:
    # Start times count from boot; the boot's own id keeps a pid file from an earlier boot from matching.
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _start_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None
