"""The recent past of one series: rows of the current window, and totals of the windows before.

In: samples. Out: aggregates over a span of event time. Never: counts a row twice, however often it is delivered.

A row is kept under its identity while it may matter, and replaced by a higher `ver`. Rows that have left the window are
added to the total of the baseline window they fall into, where a rule has a baseline, and forgotten otherwise.
"""

from __future__ import annotations

from typing import Final

import msgspec

from models.alerts.sample import PERCENTILES, Sample

PARTS_MAX: Final = (
    4_096  # rows of one series in its window: 60 rows of the stream from 64 partitions; then points merge
)


class Part(msgspec.Struct, array_like=True):
    """One row of the window; a struct, because thousands of them lie in a snapshot."""

    start_ms: int
    end_ms: int
    ver: int
    count: float
    sum: float
    min: float
    max: float
    last: float
    last_ms: int
    percentiles: tuple[float, ...] = ()


class Total(msgspec.Struct, array_like=True):
    """One whole window of the baseline."""

    count: float = 0.0
    sum: float = 0.0
    max: float = float("-inf")


class Series(msgspec.Struct):
    """State of one series of one rule."""

    labels: dict[str, str]
    parts: dict[str, Part] = {}
    totals: dict[int, Total] = {}  # start of a baseline window -> what happened in it
    seen_ms: int = 0  # event time of the newest row
    settled_ms: int = 0  # rows that end here or earlier are in the totals, or forgotten

    def add(self, sample: Sample) -> bool:
        """Takes a row; False when it is too late to matter."""
        if sample.end_ms <= self.settled_ms:
            return False
        known = self.parts.get(sample.identity)
        if known is None or sample.ver > known.ver:
            self.parts[sample.identity] = Part(
                sample.start_ms,
                sample.end_ms,
                sample.ver,
                sample.events,
                sample.sum,
                sample.min,
                sample.max,
                sample.last,
                sample.last_ms,
                sample.percentiles,
            )
            self.seen_ms = max(self.seen_ms, sample.last_ms)
        if len(self.parts) > PARTS_MAX:
            self._merge_points()
        return True

    def settle(self, until_ms: int, window_ms: int, baseline_ms: int) -> None:
        """Moves what begins before `until_ms` out of the window."""
        for identity in [i for i, part in self.parts.items() if part.start_ms < until_ms]:
            part = self.parts.pop(identity)
            if baseline_ms:
                total = self.totals.setdefault(part.start_ms - part.start_ms % window_ms, Total())
                total.count += part.count
                total.sum += part.sum
                total.max = max(total.max, part.max)
        self.settled_ms = max(self.settled_ms, until_ms)
        for start_ms in [s for s in self.totals if s < until_ms - baseline_ms]:
            del self.totals[start_ms]

    def within(self, from_ms: int, to_ms: int) -> list[Part]:
        """Rows that lie in the span, both ends included: a point has no length."""
        return [p for p in self.parts.values() if p.start_ms >= from_ms and p.end_ms <= to_ms]

    def _merge_points(self) -> None:
        """Points of one second become one part: no percentile is lost, points have none."""
        merged: dict[str, Part] = {}
        for identity, part in self.parts.items():
            if part.start_ms != part.end_ms:
                merged[identity] = part
                continue
            second = f"~{part.start_ms // 1000}"
            known = merged.get(second)
            merged[second] = part if known is None else _merged(known, part)
        self.parts = merged


def _merged(a: Part, b: Part) -> Part:
    last = a if a.last_ms >= b.last_ms else b
    start_ms = max(a.start_ms, b.start_ms)
    return Part(
        start_ms,
        start_ms,
        0,
        a.count + b.count,
        a.sum + b.sum,
        min(a.min, b.min),
        max(a.max, b.max),
        last.last,
        last.last_ms,
    )


def aggregate(parts: list[Part], aggregation: str, window_ms: int) -> float | None:
    """One number of rows that are not empty; None where the rows do not have it.

    A percentile of several rows of one window (a swarm on several partitions) is the largest of theirs: an upper bound.
    """
    count = sum(part.count for part in parts)
    if not parts or count <= 0:
        return None
    if aggregation in PERCENTILES:
        place = PERCENTILES.index(aggregation)
        found = [part.percentiles[place] for part in parts if part.percentiles]
        return max(found) if found else None
    last = max(parts, key=lambda part: part.last_ms)
    total = sum(part.sum for part in parts)
    return {
        "count": count,
        "sum": total,
        "mean": total / count,
        "min": min(part.min for part in parts),
        "max": max(part.max for part in parts),
        "last": last.last,
        "rate": total / (window_ms / 1000),
    }[aggregation]
