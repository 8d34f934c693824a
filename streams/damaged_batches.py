"""What a consumer does where a record batch does not fit its checksum: reads up to it, waits there, looks again.

In: partitions to read, batches that failed, partitions that gave records. Out: which to read now, and how; what to say.
Never: reads past a damaged batch, or lets one partition hold up another.

A broker's disk, or a machine on the way, turned a bit. Fetched again, the batch may be whole, as it may be when another
replica leads. The client hands nothing out that came before the batch in one answer, so those records are read one at
a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

LOOK_AGAIN_S: Final = 5.0  # a fetch of up to 4 MiB for nothing, each time
CAREFUL_S: Final = 10.0  # one record a call, for so long after a failure: longer than an answer's records last

Place = TypeVar("Place")


@dataclass(slots=True)
class _Met:
    offset: int  # where reading stood
    at_s: float
    certain: bool  # nothing came between two failures: the batch at `offset` itself is damaged


class DamagedBatches(Generic[Place]):
    """The damaged batches of one consumer."""

    def __init__(self) -> None:
        self._met: dict[Place, _Met] = {}

    def met(self, place: Place, offset: int, now_s: float) -> bool:
        """Notes a failure while reading at `offset`; whether it is a batch that was not known yet to be damaged."""
        before = self._met.get(place)
        certain = before is not None and before.offset == offset
        new = certain and before is not None and not before.certain
        self._met[place] = _Met(offset, now_s, certain)
        return new

    def came(self, places: Iterable[Place], now_s: float) -> None:
        """Notes partitions that gave records: those that waited were whole this time."""
        for place in places:
            met = self._met.get(place)
            if met is not None and (met.certain or now_s - met.at_s > CAREFUL_S):
                del self._met[place]

    def keep(self, places: Iterable[Place]) -> None:
        """Forgets all others: they are no longer ours."""
        for gone in set(self._met) - set(places):
            del self._met[gone]

    def readable(self, places: Iterable[Place], now_s: float) -> set[Place]:
        """Those of the partitions that are worth a fetch now."""
        waiting = {p for p, met in self._met.items() if met.certain and now_s - met.at_s < LOOK_AGAIN_S}
        return set(places) - waiting

    @property
    def careful(self) -> bool:
        """Whether records have to be taken one at a time, as a damaged batch may follow each of them."""
        return any(not met.certain for met in self._met.values())

    @property
    def certain(self) -> dict[Place, int]:
        """Partition -> offset at which its damaged batch begins."""
        return {place: met.offset for place, met in self._met.items() if met.certain}
