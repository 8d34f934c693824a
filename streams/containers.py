"""How full each container of a worker is, and what bounds it: what `murmur status --detail` shows.

In: the state of a partition, settings. Out: name -> size and bound. Never: measures what it would have to walk.
"""

from __future__ import annotations

from typing import Final, TypedDict

from models.dedup import PRODUCERS_MAX
from models.settings import Settings
from models.windows.operator import LATE_OPEN_MAX
from streams.checkpoint import PartitionWorker
from streams.fold import names_max

DETECTOR_PREFIX: Final = "detector_"  # before the name of a named detector: its memory by key
CHUNKS_BUFFERED_MAX: Final = 4  # of a source topic's queue inside Faust, each up to a whole fetch; it bounds memory


class Fill(TypedDict):
    """`size` entries now, at most `bound`; a chunk is folded as a whole, so it may pass that by what a chunk makes."""

    size: int
    bound: int


def containers_of(worker: PartitionWorker, settings: Settings) -> dict[str, Fill]:
    """The containers of one partition, in the order of an event's way through them."""
    kinds = len(settings.window_specs)
    names = names_max(kinds * (settings.open_windows_max + LATE_OPEN_MAX))
    bounds = {
        "open_windows": settings.open_windows_max * kinds,
        "generations": LATE_OPEN_MAX * kinds,
        "series": names,
        "units": names,
        "scorers": settings.series_max,
        "swarm_scorers": settings.series_max,
        "peer_groups": settings.series_max,
        "producers": PRODUCERS_MAX,
        "ids": settings.dedup_ids_max,
        "rows_waiting": settings.flush_rows_max,
        "rows_in_flight": settings.flush_rows_max,
    }
    sizes = {**worker.fold.sizes(), "rows_in_flight": worker.rows_in_flight}
    fills = {name: Fill(size=sizes[name], bound=bound) for name, bound in bounds.items()}
    memories = worker.fold.memories().items()
    return fills | {f"{DETECTOR_PREFIX}{name}": Fill(size=size, bound=bound) for name, (size, bound) in memories}
