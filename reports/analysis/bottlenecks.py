"""What holds a swarm up: work that takes much longer than its like, sorted by the time it costs.

In: duration rows. Out: `Bottleneck`. Never: the slow one among what it is measured against; a work as its own like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from reports.queries.analysis import DurationRow

SLOW_RATIO: Final = 1.5  # of the typical duration; below it is ordinary spread
LIKES_MIN: Final = 2  # one other alone is not what is typical
LIKE: Final = {"phase": "phase", "task": "agent", "tool_call": "tool", "model_call": "model", "message": "receiver"}


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """impact_ms: time beyond the typical, over all its activities. conflicts: impact is not known in time."""

    side: str
    kind: str
    name: str
    n: int
    p50_ms: float | None
    typical_ms: float | None  # median of the others of its kind
    ratio: float | None
    impact_ms: float | None
    why: str


def bottlenecks(rows: Sequence[DurationRow]) -> tuple[Bottleneck, ...]:
    """The gravest first; conflicts, whose time is not known, last."""
    groups: dict[tuple[str, str], list[DurationRow]] = {}
    for row in rows:
        if row.p50_ms is not None and row.name:
            groups.setdefault((row.side, row.kind), []).append(row)
    found = [one for own in groups.values() for one in _slow(own)]
    found.sort(key=lambda one: (-(one.impact_ms or 0.0), one.side, one.kind, one.name))
    return (*found, *_conflicts(rows))


def _slow(rows: Sequence[DurationRow]) -> list[Bottleneck]:
    found = []
    for row in rows:
        others = [other.p50_ms for other in rows if other is not row and other.p50_ms is not None]
        if len(others) < LIKES_MIN or row.p50_ms is None or row.sum_ms is None:
            continue
        typical = median(others)
        if typical <= 0 or row.p50_ms <= SLOW_RATIO * typical:
            continue
        ratio = row.p50_ms / typical
        like = LIKE[row.kind]
        why = f"{like} {row.name} takes {ratio:.3g} times the typical {like} ({len(others)} others)"
        impact = row.sum_ms - row.measured * typical
        found.append(
            Bottleneck(row.side, row.kind, row.name, row.measured, row.p50_ms, typical, ratio, max(0.0, impact), why)
        )
    return found


def _conflicts(rows: Sequence[DurationRow]) -> list[Bottleneck]:
    return [
        Bottleneck(
            *(row.side, row.kind, row.name, row.total, row.p50_ms, None, None, None),
            f"{row.conflicts:,} integration conflicts in {row.total:,} activities",
        )
        for row in sorted(rows, key=lambda row: -(row.conflicts or 0))
        if row.conflicts
    ]
