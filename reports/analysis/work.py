"""The tasks of a side by phase, pattern, role or class of error, with the intervals of what are shares.

In: breakdown rows. Out: `WorkPart`. Never: a task that names no value among those that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports.compare.success import wilson
from reports.queries.port import BreakdownRow

DIMENSIONS: Final = {"phase": "phase", "pattern": "pattern", "role": "role", "error_type": "error type"}


@dataclass(frozen=True, slots=True)
class WorkPart:
    """completed_ratio: of those that completed or failed, with its 95 % Wilson interval."""

    side: str
    of: str
    tasks: int
    completed: int
    failed: int
    completed_ratio: float | None
    completed_low: float | None
    completed_high: float | None
    measured: int  # tasks with a duration
    p50_ms: float | None
    p95_ms: float | None
    priced: int
    cost_usd: float | None


def work_parts(rows: Sequence[BreakdownRow], dimension: str) -> tuple[WorkPart, ...]:
    """`dimension`: a key of DIMENSIONS. In the order of the rows: by side, those with the most tasks first."""
    return tuple(_part(row) for row in rows if row.dimension == DIMENSIONS[dimension])


def _part(row: BreakdownRow) -> WorkPart:
    ended = row.completed + row.failed
    low, high = wilson(row.completed, ended) or (None, None)
    return WorkPart(
        *(row.swarm_id, row.value, row.tasks, row.completed, row.failed),
        completed_ratio=row.completed / ended if ended else None,
        completed_low=low,
        completed_high=high,
        measured=row.measured,
        p50_ms=row.duration_p50_ms,
        p95_ms=row.duration_p95_ms,
        priced=row.priced,
        cost_usd=row.cost_usd,
    )
