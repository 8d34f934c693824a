"""Work that was done again although its result was there: how much, and what remembering it could save at most.

In: repeat rows. Out: `RepeatShare`. Never: a retry after a failure as a repeat; work without a hash as anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.queries.analysis import RepeatRow


@dataclass(frozen=True, slots=True)
class RepeatShare:
    """Of one kind of work of a side. hashed_ratio: the share that can be judged at all."""

    side: str
    kind: str
    completed: int
    hashed_ratio: float
    repeated: int  # completions after the first of the same work
    repeated_ratio: float | None  # of those with a hash
    again_ms: float | None  # the most that remembering could save: a result may have become stale in between
    again_usd: float | None


def repeat_shares(rows: Sequence[RepeatRow]) -> tuple[RepeatShare, ...]:
    """One line a side and kind, in order."""
    groups: dict[tuple[str, str], list[RepeatRow]] = {}
    for row in rows:
        groups.setdefault((row.side, row.kind), []).append(row)
    return tuple(_share(side, kind, own) for (side, kind), own in groups.items())


def repeated(rows: Sequence[RepeatRow]) -> tuple[RepeatRow, ...]:
    """What was done more than once, the longest first."""
    found = [row for row in rows if row.hash and row.times > 1]
    return tuple(sorted(found, key=lambda row: (-(row.again_ms or 0.0), -row.times, row.side, row.name, row.hash)))


def _share(side: str, kind: str, rows: Sequence[RepeatRow]) -> RepeatShare:
    completed = sum(row.times for row in rows)
    hashed = [row for row in rows if row.hash]
    judged = sum(row.times for row in hashed)
    again = judged - len(hashed)
    more = [row for row in hashed if row.times > 1]
    return RepeatShare(
        side=side,
        kind=kind,
        completed=completed,
        hashed_ratio=judged / completed,
        repeated=again,
        repeated_ratio=again / judged if judged else None,
        again_ms=_known([row.again_ms for row in more]),
        again_usd=_known([row.again_usd for row in more]),
    )


def _known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
