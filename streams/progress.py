"""Which partitions stand still: nothing we know of holds them up, and yet their next offset does not move.

In: the next offset of each owned partition, looked at again and again. Out: those that have stood for STALLED_S.
Never: a clock of its own; a question to the broker: whether a record waits there is the caller's to find out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.engine import Partition

STALLED_S: Final = 120.0  # a rebalance takes up to three sessions (30 s), restoring a large state or a probe as long
FROZEN_S: Final = 15.0  # between two looks a second apart: the process itself was frozen, or the machine asleep


class ProgressWatch:
    """Since when each partition stands where it stands."""

    def __init__(self) -> None:
        self._stands: dict[Partition, tuple[int, float]] = {}  # partition -> next offset, since when
        self._looked_at_s: float | None = None

    def look(self, next_offsets: Mapping[Partition, int], now_s: float) -> list[Partition]:
        """Partitions that have stood at one offset for STALLED_S, in looks that were never FROZEN_S apart.

        next_offsets: of the partitions that may go on; one that is left out begins anew when it comes back.
        now_s: monotonic.
        """
        if self._looked_at_s is not None and now_s - self._looked_at_s > FROZEN_S:
            self._stands.clear()
        self._looked_at_s = now_s
        before, self._stands = self._stands, {}
        for partition, offset in next_offsets.items():
            known = before.get(partition)
            self._stands[partition] = known if known is not None and known[0] == offset else (offset, now_s)
        return [p for p, (_, since_s) in self._stands.items() if now_s - since_s >= STALLED_S]

    def forget(self, partition: Partition) -> None:
        """Begins anew with it: there was nothing to fold."""
        self._stands.pop(partition, None)
