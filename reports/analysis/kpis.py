"""Key figures of a side: how much of its work came to its end, how long it took, and which way quality goes.

In: counts, a quality trend. Out: `Kpi`. Never: a share without its n and interval; a figure for what nobody measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.compare.describe import UNITS_MIN
from reports.compare.success import wilson
from reports.queries.measured import KpiRow


@dataclass(frozen=True, slots=True)
class Kpi:
    """value None: not measured. low, high: 95 % interval; Wilson's of a share, Student's of a mean of 10 and more."""

    side: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    of: str  # what n counts


def kpis(rows: Sequence[KpiRow]) -> tuple[Kpi, ...]:
    """Four a side, in the order of the rows."""
    found: list[Kpi] = []
    for row in rows:
        found.append(_share(row.side, "task completion", row.tasks_completed, row.tasks_ended, "tasks that ended"))
        found.append(_mean(row))
        phases = "phases that no longer run"
        found.append(_share(row.side, "phase success", row.phases_succeeded, row.phases_ended, phases))
        whole = "activities that count their conflicts"
        found.append(_share(row.side, "integration success", row.integrations_clean, row.integrations, whole))
    return tuple(found)


def _share(side: str, name: str, k: int, n: int, of: str) -> Kpi:
    low, high = wilson(k, n) or (None, None)
    return Kpi(side, name, k / n if n else None, low, high, "ratio", n, of)


def _mean(row: KpiRow) -> Kpi:
    of = "tasks with a duration"
    mean, sd, n = row.duration_mean_ms, row.duration_sd_ms, row.durations
    if mean is None or sd is None or n < UNITS_MIN:
        return Kpi(row.side, "average task duration", mean, None, None, "ms", n, of)
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return Kpi(row.side, "average task duration", mean, max(0.0, mean - half), mean + half, "ms", n, of)
