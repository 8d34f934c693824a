"""A sink in memory with the semantics of the real ones: for tests, simulations and dry runs.

In: batches, and faults given as values. Out: the final rows, as a reader of the store would see them.
Never: does I/O, keeps a reference to the caller's rows.

Verified by the same contract suite as ClickHouseSink and KafkaSink (tests/contract/test_sinks.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import pyarrow as pa

from models.rows import TABLES
from sinks.base import Batch, PermanentSinkError, RejectedRow, RetryableSinkError, WriteResult

_ORIGIN: Final = ("log_id", "topic", "partition")
# What makes a row the same row; the ClickHouse sorting keys hold the same columns (contract test).
IDENTITY: Final[dict[str, tuple[str, ...]]] = {
    "metrics": ("swarm_id", "metric", "agent_id", "timestamp", *_ORIGIN, "offset", "idx"),
    "activities": ("swarm_id", "kind", "activity_id", *_ORIGIN),
    "swarms": ("swarm_id", "run_id", *_ORIGIN),
    "windows": (
        "swarm_id",
        "metric",
        "window_ms",
        "window_start",
        "agent_id",
        *_ORIGIN,
        "gen",
        "fold_version",
    ),
    "anomalies": ("swarm_id", "metric", "window_start", "anomaly_id"),
    "dead_letters": ("topic", "partition", "offset", "idx", "log_id"),
}


class Fault(Enum):
    """What happens to one write."""

    AWAY = "refused before anything is stored"
    AMBIGUOUS = "stored, then the answer is lost"
    PARTIAL = "the first table is stored, then the connection breaks"
    BROKEN = "no retry can help"


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with the values' own types in place of dictionaries."""
    fields = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    return pa.schema(fields)


class MemorySink:
    """The `Sink` over a dictionary: the newest `ver` of each identity stays."""

    name = "memory"
    tables = frozenset(TABLES)

    def __init__(self, *, reject: Callable[[str, Mapping[str, Any]], str | None] | None = None) -> None:
        """`reject(table, row)` gives the reason a row is refused for good, or None."""
        self._reject = reject
        self._final: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {table: {} for table in TABLES}
        self._faults: deque[Fault | None] = deque()
        self._started = False
        self.writes = 0  # batches offered, those that failed included

    def fail_next(self, *faults: Fault | None) -> None:
        """Scripts the next writes, in order; None lets one pass."""
        self._faults.extend(faults)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The final rows of a table, in the order of their identity."""
        return [dict(row) for _, row in sorted(self._final[table].items(), key=lambda item: repr(item[0]))]

    async def start(self) -> None:
        self._started = True

    async def health(self) -> None:
        if not self._started:
            raise RetryableSinkError("memory sink: not started")

    async def write(self, batch: Batch) -> WriteResult:
        if not self._started:
            raise RetryableSinkError("memory sink: not started")
        unknown = sorted(set(batch) - self.tables)
        if unknown:
            raise PermanentSinkError(f"memory sink: no such result tables: {', '.join(unknown)}")
        self.writes += 1
        fault = self._faults.popleft() if self._faults else None
        if fault is Fault.AWAY:
            raise RetryableSinkError("memory sink: away (scripted)", retry_after_s=0.0)
        if fault is Fault.BROKEN:
            raise PermanentSinkError("memory sink: broken (scripted)")
        result = WriteResult()
        for table in TABLES:
            if table not in batch:
                continue
            # Decoded first: a value of a dictionary column costs to_pylist ten times that of a plain one.
            rows = batch[table].cast(_plain(batch[table].schema))
            self._store(table, rows.to_pylist(), result)
            if fault is Fault.PARTIAL:
                break
        if fault is not None:
            raise RetryableSinkError(f"memory sink: {fault.value} (scripted)", retry_after_s=0.0)
        return result

    async def close(self) -> None:
        self._started = False

    def _store(self, table: str, rows: list[dict[str, Any]], result: WriteResult) -> None:
        final, identity = self._final[table], IDENTITY[table]
        for row in rows:
            reason = self._reject(table, row) if self._reject is not None else None
            if reason is not None:
                result.rejected.append(RejectedRow(table, row, reason))
                continue
            key = tuple(row[column] for column in identity)
            known = final.get(key)
            # Equal versions: the later write stays, as in ReplacingMergeTree.
            if known is None or row.get("ver", 0) >= known.get("ver", 0):
                final[key] = row
            result.rows += 1
