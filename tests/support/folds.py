"""Folds without a broker or a store, for unit and property tests.

In: records as bytes. Out: final rows by table, states. Never: talks to anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from models.codecs.records import RawRecord
from models.rows import TABLES
from models.settings import Settings
from sinks.memory import MemorySink
from streams.activity_source import ActivitySource
from streams.fold import PartitionFold
from streams.fold_config import FoldConfig
from streams.metric_source import MetricSource
from streams.outputs import Counters
from streams.result_rows import Origin

T0 = 1_700_000_000_000


def config(**settings: Any) -> FoldConfig:
    """A fold configuration from settings, with short windows."""
    return FoldConfig.of(Settings(**({"windows": "1s,10s", "allowed_lateness_ms": 2_000} | settings)))


def new_fold(topic: str = "swarm.metrics", *, using: FoldConfig | None = None) -> PartitionFold:
    """A fresh fold of partition 0."""
    using = using or config()
    source = MetricSource() if topic == "swarm.metrics" else ActivitySource(using.prices)
    return PartitionFold(Origin("log", topic, 0, 1), using, source, Counters())


def record(
    offset: int, value: bytes | None, *, at_ms: int = T0, headers: Sequence[tuple[str, bytes]] = ()
) -> RawRecord:
    """One record of the log."""
    return RawRecord(offset, at_ms, headers, value)


def run(
    records: Sequence[RawRecord],
    cuts: Sequence[int],
    *,
    topic: str = "swarm.metrics",
    restart_at: int = -1,
    using: FoldConfig | None = None,
) -> tuple[bytes, dict[str, list[dict[str, Any]]]]:
    """Folds the records in chunks of `cuts` sizes, over and over; returns the last state and the final rows."""
    fold = new_fold(topic, using=using)
    sink = MemorySink()
    asyncio.run(sink.start())
    at = turn = 0
    while at < len(records):
        end = at + cuts[turn % len(cuts)]
        fold.fold(records[at:end])
        batch = fold.take_outputs().batch()
        asyncio.run(sink.write({table: rows for table, rows in batch.items() if table in sink.tables}))
        at, turn = end, turn + 1
        if 0 <= restart_at <= at:
            state, restart_at = fold.state(), -1
            fold = new_fold(topic, using=using)
            fold.restore(state)
            assert fold.state() == state
    return fold.state(), {table: sink.rows(table) for table in TABLES}
