"""Which windows may still open on time, so that names made up anew for every event do not fill the memory.

In: the starts of the windows that are open, those of windows about to open, in log order. Out: which of them open.
Never: decides by anything but the log before the event, so that a decision does not depend on chunks or restarts.

A start that had to turn a window away lets none in any more, though others close meanwhile: every window that is open
on time holds all events of its series that were on time. Half of it would look like a fault of the series.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Room:
    """Room for `open_max` windows of one kind in one partition; a window closes `span_ms` after its start."""

    __slots__ = ("_full", "_open_max", "_span_ms")

    def __init__(self, open_max: int, *, span_ms: int) -> None:
        self._open_max = open_max
        self._span_ms = span_ms
        self._full: set[int] = set()  # starts that turned a window away and are still on time

    def is_ample(self, windows: int) -> bool:
        """Whether so many can be open at once and nothing was turned away; most chunks need not look closer."""
        return not self._full and windows <= self._open_max

    def admit(self, open_starts: Ints, starts: Ints, watermarks_ms: Ints) -> npt.NDArray[np.bool_]:
        """Which of the new windows open; `starts`, and the watermark before each one's first event, in log order.

        open_starts: of the windows open at the end of the chunk before; the watermark may have passed some since.
        """
        opens = np.zeros(len(starts), dtype=bool)
        by_start = Counter(dict(zip(*(a.tolist() for a in np.unique(open_starts, return_counts=True)), strict=True)))
        still_open, total = sorted(by_start), len(open_starts)  # sorted: a heap
        for i, (start_ms, watermark_ms) in enumerate(zip(starts.tolist(), watermarks_ms.tolist(), strict=True)):
            while still_open and still_open[0] + self._span_ms <= watermark_ms:
                total -= by_start.pop(heapq.heappop(still_open))
            if total >= self._open_max:
                self._full.add(start_ms)
            if start_ms in self._full:
                continue
            if start_ms not in by_start:
                heapq.heappush(still_open, start_ms)
            by_start[start_ms] += 1
            total += 1
            opens[i] = True
        return opens

    def forget_passed(self, watermark_ms: int) -> None:
        """Forgets the starts whose windows the watermark has closed."""
        if self._full:
            self._full = {start for start in self._full if start + self._span_ms > watermark_ms}

    def state(self) -> list[int]:
        """The starts that are full, ascending."""
        return sorted(self._full)

    def restore(self, state: Any) -> None:
        """Loads what `state` saved."""
        self._full = set(state)
