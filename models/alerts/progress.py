"""How far event time has come for rules that look at many partitions at once.

In: ends of windows by the partition of the log they came from, both clocks. Out: two event times that never fall.
Never: lets one partition that is far ahead outrun another that still delivers; takes a stop of the workers for silence
of what they had not told yet.

`now_ms`, for everything that rests on rows: the slowest partition that delivered within SOURCE_IDLE_S, SETTLE_S later.
When none delivers and nothing waits to be read: the end of the newest row, because an open window will not be closed.
`quiet_ms`, for what rests on there being no rows: then it follows the wall clock at a distance.
"""

from __future__ import annotations

from typing import Final

import msgspec

SOURCE_IDLE_S: Final = 15.0  # a partition with traffic closes a window every 10 s; a silent one holds nobody for longer
SETTLE_S: Final = 1.0  # rows of one flush lie on several partitions and are read within milliseconds of each other
SILENCE_MARGIN_MS: Final = 30_000  # behind the wall clock in silence: a window, its lateness, a flush, and idling


class Progress(msgspec.Struct):
    """Event time by source."""

    now_ms: int = 0
    quiet_ms: int = 0
    newest_ms: int = 0  # end of the newest row, closed or not
    high: dict[str, int] = {}
    heard_s: dict[str, float] = {}
    waiting: list[tuple[float, int]] = []  # (monotonic seconds, event time) that settles
    listening_s: float = 0.0  # since when this process listens

    def saw(self, cut: str, end_ms: int, mono_s: float, *, closed: bool) -> None:
        """A row of a window of this source partition, which ends at `end_ms`."""
        self.heard_s[cut] = mono_s
        self.newest_ms = max(self.newest_ms, end_ms)
        if closed:
            self.high[cut] = max(self.high.get(cut, 0), end_ms)

    def advance(self, mono_s: float, *, wall_ms: int | None, held_ms: int | None = None) -> None:
        """Moves both times on. `wall_ms`: the wall clock when nothing waits to be read, else None.

        `held_ms`: event time up to which a result partition that is still behind was read.
        """
        active = [cut for cut, heard_s in self.heard_s.items() if mono_s - heard_s < SOURCE_IDLE_S]
        reached = min((self.high[cut] for cut in active if cut in self.high), default=self.now_ms)
        if not active and wall_ms is not None and mono_s - self.listening_s >= SOURCE_IDLE_S:
            reached = min(self.newest_ms, wall_ms - SILENCE_MARGIN_MS)
            self.quiet_ms = max(self.quiet_ms, wall_ms - SILENCE_MARGIN_MS)
        if held_ms is not None:
            reached = min(reached, held_ms)
        if reached > (self.waiting[-1][1] if self.waiting else self.now_ms):
            self.waiting.append((mono_s, reached))
        while self.waiting and mono_s - self.waiting[0][0] >= SETTLE_S:
            self.now_ms = max(self.now_ms, self.waiting.pop(0)[1])
        self.quiet_ms = max(self.quiet_ms, self.now_ms)

    def restarted(self, mono_s: float) -> None:
        """Forgets what was only known to the process that ended; its silence says nothing about this one's."""
        self.listening_s = mono_s
        self.heard_s.clear()
        self.waiting.clear()
