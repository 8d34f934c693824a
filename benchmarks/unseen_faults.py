"""Faults with a known place, put into quiet series.

In: `Quiet`, a random source, a row. Out: `Faulty` values and the rows the fault spans. Never: a fault nobody could see:
sizes are in units of the series' own range, and a fault that changes nothing (a stuck constant) is not made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

from benchmarks.unseen_quiet import Floats

Change = Callable[[Floats, int, int, float, Generator], Floats]  # values, first, end, unit, source -> values[first:end]


def _spike(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    return values[first:end] + 1.6 * unit


def _dip(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    return values[first:end] - 1.6 * unit


def _shift_up(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    return values[first:end] + 0.8 * unit


def _shift_down(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    return values[first:end] - 0.8 * unit


def _variance(values: Floats, first: int, end: int, unit: float, source: Generator) -> Floats:
    return values[first:end] + source.normal(0.0, 0.8 * unit, end - first)


def _stuck(values: Floats, first: int, end: int, unit: float, source: Generator) -> Floats:
    return np.full(end - first, values[first])


def _zero(values: Floats, first: int, end: int, unit: float, source: Generator) -> Floats:
    return np.zeros(end - first)


def _leak(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    return values[first:end] + np.linspace(0.0, 2.0 * unit, end - first)


def _lost_season(values: Floats, first: int, end: int, unit: float, source: Generator) -> Floats:
    before = values[max(0, first - (end - first)) : first]
    return source.permutation(np.resize(before, end - first))


def _phase(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    away = (end - first) // 2
    return values[first - away : end - away]


def _frequency(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    length = end - first
    return values[first - length + (np.arange(length) * 3) % length]


def _flood(values: Floats, first: int, end: int, unit: float, source: Generator) -> Floats:
    return values[first:end] + source.poisson(9.0, end - first) * unit / 4.0


def _saturation(values: Floats, first: int, end: int, unit: float, _: Generator) -> Floats:
    return np.full(end - first, np.nanmax(values[:first]))


# Name: the change, and its length as a share of a file's rows (None: a few rows).
FAULTS: Final[dict[str, tuple[Change, float | None]]] = {
    "spike": (_spike, None),
    "dip": (_dip, None),
    "level up": (_shift_up, 0.03),
    "level down": (_shift_down, 0.03),
    "variance burst": (_variance, 0.03),
    "stuck value": (_stuck, 0.05),
    "drop to zero": (_zero, 0.01),
    "slow leak": (_leak, 0.08),
    "lost season": (_lost_season, 0.10),
    "phase shift": (_phase, 0.10),
    "frequency change": (_frequency, 0.10),
    "flood": (_flood, 0.01),
    "saturation": (_saturation, 0.03),
}
FEW_ROWS: Final = (1, 5)  # a spike's length
VISIBLE_SHARE: Final = 0.25  # of the unit, mean absolute change, where the fault stays in the series' own range
SEASON_CORRELATION_MIN: Final = 0.5  # with the day before: else there is no season to lose or to shift
NEIGHBOUR_CORRELATION_MIN: Final = 0.5  # of neighbouring rows: noise has no frequency that could change
RUN_SHARE_MAX: Final = 0.25  # of a fault's length that the same value may last without any fault


def unit_of(values: Floats) -> float:
    """What a fault is measured in: the distance of the 99.5th from the 0.5th percentile, or 5 % of a flat level."""
    held = values[~np.isnan(values)]
    low, middle, high = np.quantile(held, [0.005, 0.5, 0.995])
    return float(max(high - low, 0.05 * abs(middle), 1e-9))


def length_of(name: str, rows: int, source: Generator) -> int:
    """How many rows a fault of this name lasts."""
    share = FAULTS[name][1]
    return int(source.integers(*FEW_ROWS, endpoint=True)) if share is None else max(8, int(share * rows))


def broken(
    name: str, values: Floats, first: int, end: int, source: Generator, *, low: float, high: float, day_rows: int
) -> Floats | None:
    """The metric with the fault in rows `first` to `end` (exclusive); None where it could not be seen.

    Missing values stay missing. `day_rows` is about how many rows a day has.
    """
    before = values[:first]
    unit = unit_of(before)
    changed = values.copy()
    changed[first:end] = np.clip(FAULTS[name][0](values, first, end, unit, source), low, high)
    changed[np.isnan(values)] = np.nan
    if name == "stuck value":
        return changed if _longest_run(before) <= RUN_SHARE_MAX * (end - first) else None
    if name in ("lost season", "phase shift") and _correlation(before, day_rows) < SEASON_CORRELATION_MIN:
        return None
    if name == "frequency change" and _correlation(before, 1) < NEIGHBOUR_CORRELATION_MIN:
        return None
    if name in ("lost season", "phase shift", "frequency change"):
        return changed
    beyond = np.nanmin(changed[first:end]) < np.nanmin(before) or np.nanmax(changed[first:end]) > np.nanmax(before)
    moved = float(np.nanmean(np.abs(changed[first:end] - values[first:end])))
    return changed if moved > 0.0 and (beyond or moved >= VISIBLE_SHARE * unit) else None


def _correlation(values: Floats, lag: int) -> float:
    """Of a metric with itself so many rows before."""
    if lag >= len(values) // 2:
        return 0.0
    pairs = np.stack([values[lag:], values[:-lag]])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    return float(np.corrcoef(pairs)[0, 1]) if np.ptp(pairs[0]) > 0.0 and np.ptp(pairs[1]) > 0.0 else 0.0


def _longest_run(values: Floats) -> int:
    """Most rows in a row with the same value."""
    starts = np.flatnonzero(np.diff(values[~np.isnan(values)], prepend=np.nan, append=np.nan) != 0.0)
    return int(np.diff(starts).max())
