"""A straight fold: what the state of a partition must be at an offset when nothing ever goes wrong.

In: records of a log, settings. Out: states by offset; the comparison with every snapshot that a run left on disk.
Never: restarts, flushes to a store, or cuts the log where the run did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.codecs.records import RawRecord
from models.settings import Settings
from streams.fold import PartitionFold
from streams.fold_config import FoldConfig
from streams.metric_source import MetricSource
from streams.outputs import Counters
from streams.result_rows import Origin
from streams.snapshots import Snapshot, decode

CHUNK = 997  # records folded at once: a size no worker uses


def states_at(
    settings: Settings, origin: Origin, records: Sequence[RawRecord], offsets: Sequence[int], *, chunk: int = CHUNK
) -> Iterator[tuple[int, bytes]]:
    """(offset, state there) for each of the ascending `offsets` (next offsets: the record there is not folded)."""
    fold = PartitionFold(origin, FoldConfig.of(settings), MetricSource(), Counters())
    at = 0
    for offset in offsets:
        while at < len(records) and records[at].offset < offset:
            end = at
            while end < len(records) and end - at < chunk and records[end].offset < offset:
                end += 1
            fold.fold(records[at:end])
            fold.take_outputs()  # nobody stores them here
            at = end
        yield offset, fold.state()


def check_snapshots(settings: Settings, log: Sequence[Any]) -> int:
    """Every valid snapshot of the metrics topic equals the straight fold at its offset; returns how many there were."""
    checked = 0
    for number in range(settings.partitions):
        found = [s for path in _files(settings, number) if (s := _read(path)) is not None]
        if not found:
            continue
        header = found[0].header
        origin = Origin(header.log_id, header.topic, header.partition, header.fold_version)
        records = [RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in log if r.partition == number]
        straight = states_at(settings, origin, records, [s.header.next_offset for s in found])
        for snapshot, (offset, state) in zip(found, straight, strict=True):
            # Compared as bytes: workers that cut the log elsewhere, or took over from another, must not differ in one.
            assert snapshot.state == state, f"swarm.metrics[{number}]: the snapshot at {offset} is not the fold's state"
            checked += 1
    return checked


def _files(settings: Settings, number: int) -> list[Path]:
    return sorted(settings.state_dir.glob(f"{settings.fold_version}/*swarm.metrics-{number}/*/*.snap"))


def _read(path: Path) -> Snapshot | None:
    try:
        return decode(path.read_bytes())
    except ValueError:
        return None  # damaged on purpose by the test
