"""Reads a log without passing over a record that becomes readable later than ones of higher offsets.

In: a consumer outside every group. Out: records in order of offset. Never: waits for what a log leaves out by nature.

The embedded broker can show a record while a neighbour of a lower offset, appended in the same moment, is still being
written. A reader that took what it gets would never see the neighbour: its position has passed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

READABLE_WITHIN_S: Final = 1.0  # milliseconds on an idle machine
GAPS_MIN: Final = 3  # transactions and compaction leave gaps all along a log; to look into each would take seconds


class Gaps:
    """What each partition has been read to, and which of its gaps were looked into."""

    def __init__(self, begin: Mapping[Any, int] | None = None) -> None:
        """`begin`: the offset at which a partition is read first; one without it begins at its first record."""
        self._next: dict[Hashable, int] = dict(begin or {})
        self._looked_at: dict[Hashable, int] = {}  # first missing offset that was read again
        self._empty: dict[Hashable, int] = {}  # gaps that turned out to hold no record

    def take(self, place: Hashable, records: Sequence[Any]) -> tuple[list[Any], int | None]:
        """The records up to the first gap that nobody looked into, and where that gap begins; None: no such gap."""
        taken: list[Any] = []
        for record in records:
            due = self._next.get(place, record.offset)
            if record.offset < due:
                continue  # read before a seek back
            if record.offset > due and self._empty.get(place, 0) < GAPS_MIN:
                if self._looked_at.get(place) != due:
                    self._looked_at[place] = due
                    return taken, due
                self._empty[place] = self._empty.get(place, 0) + 1
            self._next[place] = record.offset + 1
            taken.append(record)
        return taken, None


async def read_whole(
    consumer: Any, gaps: Gaps, *, timeout_ms: int, records_max: int | None = None
) -> Mapping[Hashable, list[Any]]:
    """What came within `timeout_ms`. What follows a gap is left out and read again READABLE_WITHIN_S later."""
    found = await consumer.getmany(timeout_ms=timeout_ms, max_records=records_max)
    taken: dict[Hashable, list[Any]] = {}
    again: dict[Hashable, int] = {}
    for place, records in found.items():
        taken[place], missing = gaps.take(place, records)
        if missing is not None:
            again[place] = missing
    if again:
        await asyncio.sleep(READABLE_WITHIN_S)
        for place, missing in again.items():
            consumer.seek(place, missing)
    return taken
