"""The port every sink stands behind.

In: a `Batch` of result rows, one Arrow table a result table. Out: an acknowledgement, or a classified error.
Never: decides about offsets; the checkpoint order belongs to `streams`.

Life cycle: `start` -> `write`* -> `close`. `write` returns only when every row is acknowledged by the store;
the caller may write the same rows again at any time, and the result must be the same (idempotent rows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

Batch = Mapping[str, pa.Table]  # result table name (models.rows.TABLES) -> rows


class SinkError(Exception):
    """Base of what a sink may raise."""


class RetryableSinkError(SinkError):
    """The store may take the same rows later: away, overloaded, timed out with unknown outcome."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermanentSinkError(SinkError):
    """No retry can help and no single row is to blame: wrong password, missing table."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One row the store refuses for good; it becomes a dead letter."""

    table: str
    row: Mapping[str, object]
    reason: str


@dataclass(slots=True)
class WriteResult:
    """What became of a batch: `rows` acknowledged, and the rows refused."""

    rows: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)


class Sink(Protocol):
    """One destination of result rows."""

    name: str
    tables: frozenset[str]  # the result tables this sink takes; others are not offered to it

    async def start(self) -> None:
        """Connects. Raises RetryableSinkError while the store is away, PermanentSinkError when no retry can help."""
        ...

    async def write(self, batch: Batch) -> WriteResult:
        """Returns when every row is acknowledged. Raises RetryableSinkError or PermanentSinkError."""
        ...

    async def close(self) -> None:
        """Lets go of connections; what was acknowledged stays."""
        ...

    async def health(self) -> None:
        """Returns when the store answers; raises SinkError with one line that says what to do."""
        ...
