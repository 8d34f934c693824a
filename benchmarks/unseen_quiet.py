"""Quiet series of servers and fleets that no constant was chosen on: split A, which may be looked at.

In: a random source, number of rows. Out: `Quiet` a kind. Never: a fault (unseen_faults.py), a recorded value.

The kinds differ in rhythm, tail, bounds, sampling and granularity, so that a rule that fits one seldom fits the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
START_MS: Final = 1_717_372_800_000  # Monday 2024-06-03 00:00 UTC
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


class Quiet(NamedTuple):
    """Metrics without a fault on one time axis."""

    at_ms: Times
    values: Floats  # rows x metrics; NaN is a missing value
    low: float  # bounds of what the metric can be
    high: float


Kind = Callable[[Generator, int], Quiet]


def regular(rows: int, step_ms: int) -> Times:
    """Event times at equal distances."""
    return START_MS + np.arange(rows, dtype=np.int64) * step_ms


def day_wave(at_ms: Times, peak_hour: float) -> Floats:
    """0 at the quietest hour of a day, 1 at `peak_hour`."""
    hour = (at_ms % DAY_MS) / HOUR_MS
    wave: Floats = 0.5 + 0.5 * np.cos((hour - peak_hour) / 24.0 * 2.0 * np.pi)
    return wave


def weekend(at_ms: Times) -> npt.NDArray[np.bool_]:
    """Whether it is Saturday or Sunday, UTC."""
    days: npt.NDArray[np.bool_] = ((at_ms // DAY_MS) + 3) % 7 >= 5
    return days


def wander(source: Generator, rows: int, memory: float, sd: float) -> Floats:
    """First-order autoregressive noise with standard deviation `sd`."""
    noise = source.normal(0.0, sd * np.sqrt(1.0 - memory * memory), rows)
    noise[0] = source.normal(0.0, sd)
    for i in range(1, rows):
        noise[i] += memory * noise[i - 1]
    made: Floats = noise
    return made


def single(at_ms: Times, values: Floats, low: float = 0.0, high: float = np.inf) -> Quiet:
    """One metric, within its bounds."""
    return Quiet(at_ms, np.clip(values, low, high)[:, None], low, high)


def web_load(source: Generator, rows: int) -> Quiet:
    """Requests a second every 5 minutes: day, weaker weekend, noise that grows with the level."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    base = 200.0 + 600.0 * day_wave(at_ms, 14.5) * np.where(weekend(at_ms), 0.6, 1.0)
    return single(at_ms, base * np.exp(wander(source, rows, 0.6, 0.06)))


def request_count(source: Generator, rows: int) -> Quiet:
    """Whole requests a minute of a small service with a day's rhythm."""
    at_ms = regular(rows, MINUTE_MS)
    return single(at_ms, source.poisson(2.0 + 20.0 * day_wave(at_ms, 19.0)).astype(float))


def latency(source: Generator, rows: int) -> Quiet:
    """Latency percentile a minute, in milliseconds: lognormal body, a Pareto tail in two of a hundred."""
    body = 80.0 * np.exp(wander(source, rows, 0.5, 0.15))
    slow = source.random(rows) < 0.02
    return single(regular(rows, MINUTE_MS), body * np.where(slow, 1.0 + source.pareto(2.5, rows), 1.0))


def saw_tooth(source: Generator, rows: int) -> Quiet:
    """Memory in percent of a collected heap: it climbs and falls back, never after the same time."""
    values, level, limit = np.empty(rows), 35.0, 70.0
    for i in range(rows):
        level += source.gamma(4.0, 0.15)
        if level > limit:
            level, limit = 33.0 + source.normal(0.0, 1.5), 68.0 + source.normal(0.0, 3.0)
        values[i] = level
    return single(regular(rows, MINUTE_MS), values + source.normal(0.0, 0.3, rows), 0.0, 100.0)


def nearly_constant(source: Generator, rows: int) -> Quiet:
    """Used connections of a pool: the same number for hours, one more or less now and then."""
    steps = np.where(source.random(rows) < 0.004, source.choice([-1.0, 1.0], rows), 0.0)
    level = 24.0
    values = np.empty(rows)
    for i in range(rows):
        level = min(27.0, max(21.0, level + steps[i]))
        values[i] = level
    return single(regular(rows, 5 * MINUTE_MS), values)


def rare_errors(source: Generator, rows: int) -> Quiet:
    """Errors a minute: mostly none."""
    return single(regular(rows, MINUTE_MS), source.poisson(0.25, rows).astype(float))


def busy_processor(source: Generator, rows: int) -> Quiet:
    """Processor use in percent that touches both bounds."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    base = 20.0 + 50.0 * day_wave(at_ms, 12.0) + wander(source, rows, 0.8, 14.0)
    return single(at_ms, base, 0.0, 100.0)


def batch_job(source: Generator, rows: int) -> Quiet:
    """Disk bytes of a job that runs some ten minutes of each hour."""
    at_ms = regular(rows, MINUTE_MS)
    minute = (at_ms // MINUTE_MS) % 60
    length = 9.0 + source.normal(0.0, 1.5, rows // 60 + 2)[(at_ms - START_MS) // HOUR_MS]
    active = minute < length
    return single(at_ms, np.where(active, 4e7 * source.lognormal(0.0, 0.15, rows), source.gamma(2.0, 3e4, rows)))


def filling_disk(source: Generator, rows: int) -> Quiet:
    """Disk use in percent, hourly: grows with the day's work, cleaned each Sunday night."""
    at_ms = regular(rows, HOUR_MS)
    hour_of_week = ((at_ms + 3 * DAY_MS) % (7 * DAY_MS)) / HOUR_MS
    grown = 14.0 * hour_of_week / 168.0
    return single(at_ms, 55.0 + grown + wander(source, rows, 0.7, 0.5), 0.0, 100.0)


def irregular_gauge(source: Generator, rows: int) -> Quiet:
    """Temperature of a machine, read at uneven times with outages of hours."""
    steps = np.round(source.gamma(2.0, 75_000.0, rows)).astype(np.int64) + 1_000
    steps[source.random(rows) < 0.001] += source.integers(2, 9) * HOUR_MS
    at_ms = START_MS + np.cumsum(steps)
    return single(at_ms, 48.0 + 6.0 * day_wave(at_ms, 16.0) + wander(source, rows, 0.9, 1.2), -20.0, 120.0)


def bursty_network(source: Generator, rows: int) -> Quiet:
    """Network bytes every 5 minutes: bursts of bursts, no rhythm."""
    return single(
        regular(rows, 5 * MINUTE_MS),
        1e6 * np.exp(wander(source, rows, 0.9, 0.5) + source.normal(0.0, 0.5, rows)),
    )


def host(source: Generator, rows: int) -> Quiet:
    """Ten metrics of one host every minute, driven by one load; one reading in a hundred is missing."""
    at_ms = regular(rows, MINUTE_MS)
    load = 0.3 + 0.4 * day_wave(at_ms, 15.0) + wander(source, rows, 0.9, 0.06)
    weight = source.uniform(0.2, 1.0, 10)
    base = source.lognormal(3.0, 1.0, 10)
    noise = source.normal(0.0, 1.0, (rows, 10)) * source.uniform(0.03, 0.15, 10)
    values = base * (0.2 + weight * load[:, None] + noise)
    values[:, 7] = source.poisson(0.3, rows)
    values[:, 8] = np.round(20.0 + 4.0 * load)
    values[:, 9] = 1.0
    values = np.clip(values, 0.0, None)
    values[source.random(values.shape) < 0.01] = np.nan
    return Quiet(at_ms, values, 0.0, np.inf)


def node(source: Generator, rows: int) -> Quiet:
    """Nineteen metrics of one node every minute, scaled to 0..1: jobs come at random and move most of them together."""
    load = np.zeros(rows)
    for _ in range(source.poisson(rows / 120)):
        first, length = int(source.integers(0, rows)), int(source.lognormal(2.5, 0.8)) + 1
        load[first : first + length] += source.gamma(2.0, 0.15)
    share = source.uniform(0.0, 0.6, 19)
    noise = np.stack([wander(source, rows, 0.7, 0.02) for _ in range(19)], axis=1)
    values = source.uniform(0.02, 0.3, 19) + share * load[:, None] + noise
    values[:, 14] = source.random(rows) < 0.01
    values[:, 15:17] = np.round(values[:, 15:17], 1)
    values[:, 17:] = 0.0
    return Quiet(regular(rows, MINUTE_MS), np.clip(values, 0.0, 1.0), 0.0, 1.0)


KINDS: Final[dict[str, Kind]] = {
    "web load, 5 min": web_load,
    "request count, 1 min": request_count,
    "latency, 1 min": latency,
    "saw-tooth memory, 1 min": saw_tooth,
    "nearly constant, 5 min": nearly_constant,
    "rare errors, 1 min": rare_errors,
    "busy processor, 5 min": busy_processor,
    "batch job, 1 min": batch_job,
    "filling disk, 1 h": filling_disk,
    "irregular gauge": irregular_gauge,
    "bursty network, 5 min": bursty_network,
    "host of 10 metrics, 1 min": host,
    "node of 19 metrics, 1 min": node,
}
