"""Folds seeded traffic in a process of its own and says what came out, as digests.

In: a seed, the partitions to fold, how to cut the log. Out: JSON: digests of the snapshot files by offset, and of the
final rows. Never: anything that a second process with another hash seed or other cuts may not repeat.

    python -m tests.support.fold_digest --seed 1 --records 2000 --partitions 0,1 --chunk 7
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
from typing import Any

from models.codecs.records import RawRecord
from models.rows import TABLES
from sinks.memory import MemorySink
from streams.fold import PartitionFold
from streams.metric_source import MetricSource
from streams.outputs import Counters
from streams.result_rows import Origin
from streams.snapshots import FORMAT, SnapshotHeader, encode
from tests.support.folds import T0, config
from tests.support.traffic import Traffic

PARTITIONS = 4
RECORD_EVERY_MS = 10
SNAPSHOT_EVERY = 100  # records of a partition


def log_of(seed: int, records: int) -> dict[int, list[RawRecord]]:
    """The same log in every process."""
    traffic = Traffic(seed, partitions=PARTITIONS, poison_ratio=0.05, late_ratio=0.1)
    gaps = random.Random(seed)
    log: dict[int, list[RawRecord]] = {n: [] for n in range(PARTITIONS)}
    ends = dict.fromkeys(log, 0)
    for i in range(records):
        now_ms = T0 + i * RECORD_EVERY_MS
        for partition, headers, value in traffic.records(now_ms, 1):
            # Gaps, as transactions leave them: a late generation is held open for 4,096 offsets, then it must close.
            offset = ends[partition] + gaps.choice((0, 0, 0, 100))
            ends[partition] = offset + 1
            log[partition].append(RawRecord(offset, now_ms, headers, value))
    return log


def digest(records: list[RawRecord], partition: int, *, chunk: int, restart: bool) -> dict[str, Any]:
    """Digests of a partition's snapshot files and final rows. `restart`: every snapshot continues in a new fold."""
    using = config()
    origin = Origin("log", "swarm.metrics", partition, 1)
    header = SnapshotHeader(FORMAT, 1, using.fingerprint(), "log", "swarm.metrics", partition, 0)
    sink, snapshots = MemorySink(), {}
    asyncio.run(sink.start())
    fold = PartitionFold(origin, using, MetricSource(), Counters())
    for start in range(0, len(records), SNAPSHOT_EVERY):
        due = records[start : start + SNAPSHOT_EVERY]
        for at in range(0, len(due), chunk):
            fold.fold(due[at : at + chunk])
        batch = fold.take_outputs().batch()
        asyncio.run(sink.write({name: rows for name, rows in batch.items() if name in sink.tables}))
        state = fold.state()
        snapshots[fold.next_offset] = hashlib.sha256(encode(header, state)).hexdigest()
        if restart:
            fold = PartitionFold(origin, using, MetricSource(), Counters())
            fold.restore(state)
    rows = {table: sink.rows(table) for table in TABLES}
    return {"snapshots": snapshots, "rows": hashlib.sha256(repr(rows).encode()).hexdigest()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.support.fold_digest")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--partitions", required=True, help="0,1,...")
    parser.add_argument("--chunk", type=int, required=True)
    parser.add_argument("--restart", action="store_true")
    given = parser.parse_args()
    log = log_of(given.seed, given.records)
    wanted = [int(n) for n in given.partitions.split(",")]
    found = {n: digest(log[n], n, chunk=given.chunk, restart=given.restart) for n in wanted}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
