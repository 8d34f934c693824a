"""Windows as workers write them, in parts, and what their events give together: the oracle of the window views.

In: events of a part. Out: rows of `windows`; the expected statistics, from numpy and exact ranks.
Never: code of the engine, other than the sketch's bucket of a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from models.windows import sketch
from tests.support.result_rows import row

Event = tuple[float, float]  # value, weight
Part = list[Event]
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Expected:
    """What the events of one window give together."""

    events: int
    weight: float
    total: float
    low: float
    high: float
    mean: float
    stddev: float
    percentiles: dict[int, float]

    @classmethod
    def of(cls, events: Sequence[Event]) -> Expected:
        values = np.array([v for v, _ in events], dtype=np.longdouble)
        weights = np.array([w for _, w in events], dtype=np.longdouble)
        mean = (values * weights).sum() / weights.sum()
        variance = (weights * (values - mean) ** 2).sum() / weights.sum()
        return cls(
            events=len(events),
            weight=float(weights.sum()),
            total=float((values * weights).sum()),
            low=float(values.min()),
            high=float(values.max()),
            mean=float(mean),
            stddev=float(np.sqrt(variance)),
            percentiles={p: nearest_rank(events, p) for p in PERCENTILES},
        )


def nearest_rank(events: Sequence[Event], percent: int) -> float:
    """The smallest value with at least `percent` of the weight at or below it; weights in sketch units, exact."""
    ordered = sorted((value, max(round(weight * sketch.SKETCH_UNITS), 1)) for value, weight in events)
    total = sum(units for _, units in ordered)
    seen = 0
    for value, units in ordered:
        seen += units
        if seen * 100 >= percent * total:
            return value
    raise AssertionError("no event")


def window_row(part: Part, **columns: Any) -> dict[str, Any]:
    """The row a worker writes for one part of a window."""
    values = np.array([v for v, _ in part])
    weights = np.array([w for _, w in part])
    mean = float((values * weights).sum() / weights.sum())
    buckets: dict[int, int] = {}
    for key, units in zip(sketch.keys_of(values), sketch.units_of(weights), strict=True):
        buckets[int(key)] = buckets.get(int(key), 0) + int(units)
    keys = sorted(buckets)
    return row(
        "windows",
        events=len(part),
        weight_sum=float(weights.sum()),
        sum=float((values * weights).sum()),
        min=float(values.min()),
        max=float(values.max()),
        mean=mean,
        m2=float((weights * (values - mean) ** 2).sum()),
        sketch_keys=keys,
        sketch_counts=[buckets[k] for k in keys],
        **columns,
    )


def assert_matches(found: dict[str, Any], events: Sequence[Event]) -> None:
    wanted = Expected.of(events)
    scale = max(abs(wanted.low), abs(wanted.high))
    assert found["events"] == wanted.events
    assert found["weight_sum"] == pytest.approx(wanted.weight, rel=1e-12)
    assert (found["min"], found["max"]) == (wanted.low, wanted.high)
    assert found["sum"] == pytest.approx(wanted.total, rel=1e-9, abs=1e-12 * scale * wanted.weight)
    assert found["mean"] == pytest.approx(wanted.mean, rel=1e-9, abs=1e-12 * scale)
    # 1e-12 of the values' size is what two passes leave; the cancelling formula leaves 1e-8 of it.
    # The square of a deviation below 1e-154 is below the smallest double.
    assert found["stddev"] == pytest.approx(wanted.stddev, rel=1e-7, abs=max(1e-12 * scale, 1e-150))
    for percent, value in wanted.percentiles.items():
        # Below the smallest normal double the sketch knows only 0.
        slack = sketch.SMALLEST
        assert found[f"p{percent}"] == pytest.approx(value, rel=sketch.RELATIVE_ERROR_MAX, abs=slack), percent


def origins(number: int) -> dict[str, Any]:
    """Every part differs from the others in partition, log or generation."""
    return {"partition": number % 3, "log_id": f"log-{number // 3 % 2}", "gen": number // 6 * 1_000}
