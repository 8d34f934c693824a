"""Whose flush is written when: the rows on their way are bounded for the whole worker, not for each partition.

In: how many rows a flush takes along. Out: its turn. Never: lets a small flush pass a large one that waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

# A flush's rows take about 100 bytes each while they are written, and its snapshot what the state takes. Two at once
# keep a store busy: one makes its rows while the other waits for its acknowledgement; more would only hold more memory.
FLUSHES_AT_ONCE: Final = 2
# Together; a flush of more goes alone. Two flushes of a million rows of 100,000 series, side by side, took 120 MiB more
# than one after the other, and no less time.
ROWS_AT_ONCE: Final = 200_000


class Turns:
    """Gives turns in the order they are asked for."""

    def __init__(self, flushes: int = FLUSHES_AT_ONCE, rows: int = ROWS_AT_ONCE) -> None:
        self._flushes_max, self._rows_max = flushes, rows
        self._flushes = self._rows = 0
        self._door = asyncio.Lock()  # only who is next looks for room
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def of(self, rows: int) -> AsyncGenerator[None]:
        """Waits until a flush of so many rows may be written; it is over when the context ends.

        `rows`: as many as there are when it asks; what is folded while it waits comes on top.
        """
        async with self._door:
            while not self._fits(rows):
                self._freed.clear()
                await self._freed.wait()
            self._flushes += 1
            self._rows += rows
        try:
            yield
        finally:
            self._flushes -= 1
            self._rows -= rows
            self._freed.set()

    def _fits(self, rows: int) -> bool:
        return not self._flushes or (self._flushes < self._flushes_max and self._rows + rows <= self._rows_max)
