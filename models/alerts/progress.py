"""How far event time has come for rules that look at many partitions at once.

In: ends of closed windows by the partition of the log they came from, both clocks.
Out: one event time that never falls.
Never: lets one partition that is far ahead outrun another that still delivers.

Event time = the slowest partition that delivered within SOURCE_IDLE_S, SETTLE_S later. When none delivers and
nothing waits to be read, it follows the wall clock at a distance: else an absence would never be found.
"""

from __future__ import annotations

from typing import Final

import msgspec

SOURCE_IDLE_S: Final = 15.0  # a partition with traffic closes a window every 10 s; a silent one holds nobody for longer
SETTLE_S: Final = 1.0  # rows of one flush lie on several partitions and are read within milliseconds of each other
SILENCE_MARGIN_MS: Final = 30_000  # behind the wall clock in silence: a window, its lateness, a flush, and idling


class Progress(msgspec.Struct):
    """Event time by source; only `now_ms` and `high` matter after a restart."""

    now_ms: int = 0
    high: dict[str, int] = {}
    heard_s: dict[str, float] = {}
    waiting: list[tuple[float, int]] = []  # (monotonic seconds, event time) that settles

    def closed(self, cut: str, end_ms: int, mono_s: float) -> None:
        """A window of this source partition was closed, and ended at `end_ms`."""
        self.high[cut] = max(self.high.get(cut, 0), end_ms)
        self.heard_s[cut] = mono_s

    def advance(self, mono_s: float, *, wall_ms: int | None, held_ms: int | None = None) -> int:
        """The event time now. `wall_ms`: the wall clock when nothing waits to be read, else None.

        `held_ms`: event time up to which a result partition that is still behind was read.
        """
        active = [high for cut, high in self.high.items() if mono_s - self.heard_s.get(cut, -1e18) < SOURCE_IDLE_S]
        reached = min(active, default=self.now_ms)
        if not active and wall_ms is not None:
            reached = max([wall_ms - SILENCE_MARGIN_MS, self.now_ms])
        if held_ms is not None:
            reached = min(reached, held_ms)
        if reached > (self.waiting[-1][1] if self.waiting else self.now_ms):
            self.waiting.append((mono_s, reached))
        while self.waiting and mono_s - self.waiting[0][0] >= SETTLE_S:
            self.now_ms = max(self.now_ms, self.waiting.pop(0)[1])
        return self.now_ms

    def restarted(self) -> None:
        """Forgets what was only known to the process that ended."""
        self.heard_s.clear()
        self.waiting.clear()
