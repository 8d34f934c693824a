"""CPU seconds and peak resident memory of processes while something runs.

In: processes by name. Out: `Usage` a name. Never: counts what a process did before or after the block.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import NamedTuple, Self

import psutil

SAMPLE_EVERY_S = 0.1  # memory grows over seconds; the sampler itself costs under 1 % of a core


class Usage(NamedTuple):
    """Of one process, children included."""

    cpu_s: float
    peak_rss_bytes: int


class Watch:
    """`with Watch({"worker": process}) as watch: ...`, then `watch.usage()`."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        self._processes = processes
        self._before_s = {name: _cpu_s(p) for name, p in processes.items()}
        self._last_s = dict(self._before_s)
        self._peak_bytes = dict.fromkeys(processes, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the measurement; what follows is not counted."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self._look()

    def usage(self) -> dict[str, Usage]:
        return {name: Usage(self._last_s[name] - self._before_s[name], self._peak_bytes[name]) for name in self._last_s}

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            self._look()

    def _look(self) -> None:
        for name, process in self._processes.items():
            try:
                family = [process, *process.children(recursive=True)]
                self._peak_bytes[name] = max(self._peak_bytes[name], sum(p.memory_info().rss for p in family))
                self._last_s[name] = _cpu_s(process)
            except psutil.Error:
                continue  # it has ended: what was last seen stands


def _cpu_s(process: psutil.Process) -> float:
    """CPU of the process and of its children, living and reaped."""
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        own = child.cpu_times()
        total += own.user + own.system
    return float(total)
