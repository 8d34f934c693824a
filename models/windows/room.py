"""Which windows may still open on time, so that names made up anew for every event do not fill the memory.

In: the windows that are open, those about to open, in log order. Out: which of them open, and which start ran full.
Never: decides by anything but the log before the event, so that a decision does not depend on chunks or restarts.

A start that had to turn a window away lets none in any more, though others close meanwhile: every window that is open
on time holds all events of its series that were on time. Half of it would look like a fault of the series.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Windows(NamedTuple):
    """The start and the series of each window."""

    start_ms: Ints
    series: Ints


class Filling(NamedTuple):
    """A start that ran full: the position of what found no room, and the series of the windows open then."""

    at: int
    series: Ints


@dataclass(slots=True)
class Overflow:
    """What found no room among the events of one call; `Filling.at` is a position among them."""

    events: int = 0  # on time, once for each window
    fillings: list[Filling] = field(default_factory=list)


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

    def admit(
        self, now_open: Windows, new: Windows, watermarks_ms: Ints
    ) -> tuple[npt.NDArray[np.bool_], list[Filling]]:
        """Which of the `new` windows open, and the starts that ran full; `Filling.at` is a position in `new`.

        `new`, and the watermark before each one's first event, in log order. now_open: at the end of the chunk before;
        the watermark may have passed some since.
        """
        opens, full_at = np.zeros(len(new.start_ms), dtype=bool), list[int]()
        starts, counts = np.unique(now_open.start_ms, return_counts=True)
        by_start = Counter(dict(zip(starts.tolist(), counts.tolist(), strict=True)))
        still_open, total = sorted(by_start), len(now_open.start_ms)  # sorted: a heap
        for i, (start_ms, watermark_ms) in enumerate(zip(new.start_ms.tolist(), watermarks_ms.tolist(), strict=True)):
            while still_open and still_open[0] + self._span_ms <= watermark_ms:
                total -= by_start.pop(heapq.heappop(still_open))
            if start_ms in self._full:
                continue
            if total >= self._open_max:
                self._full.add(start_ms)
                full_at.append(i)
                continue
            if start_ms not in by_start:
                heapq.heappush(still_open, start_ms)
            by_start[start_ms] += 1
            total += 1
            opens[i] = True
        return opens, [self._filling(i, now_open, new, opens, int(watermarks_ms[i])) for i in full_at]

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

    def _filling(
        self, at: int, now_open: Windows, new: Windows, opens: npt.NDArray[np.bool_], watermark_ms: int
    ) -> Filling:
        opened = opens[:at]
        starts = np.concatenate([now_open.start_ms, new.start_ms[:at][opened]])
        series = np.concatenate([now_open.series, new.series[:at][opened]])
        return Filling(at, series[starts + self._span_ms > watermark_ms])
