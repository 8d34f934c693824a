"""Quiet series for the last look: split B, other kinds than split A, run when nothing is changed any more.

In: a random source, number of rows. Out: `Quiet` a kind. Never: a fault, a kind of split A under another name.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.random import Generator

from benchmarks.unseen_quiet import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Kind,
    Quiet,
    day_wave,
    regular,
    single,
    wander,
    weekend,
)


def office_load(source: Generator, rows: int) -> Quiet:
    """Sessions an hour of an office tool: nine to five, nearly nothing at weekends."""
    at_ms = regular(rows, HOUR_MS)
    hour = (at_ms % DAY_MS) // HOUR_MS
    working = (hour >= 8) & (hour < 18) & ~weekend(at_ms)
    return single(at_ms, source.poisson(np.where(working, 400.0, 12.0)) * np.exp(source.normal(0.0, 0.05, rows)))


def queue_depth(source: Generator, rows: int) -> Quiet:
    """Waiting items of a queue at 85 % use, every minute: a walk that is reflected at zero."""
    values, waiting = np.empty(rows), 0.0
    arrived, served = source.poisson(17.0, rows), source.poisson(20.0, rows)
    for i in range(rows):
        waiting = max(0.0, waiting + arrived[i] - served[i])
        values[i] = waiting
    return single(regular(rows, MINUTE_MS), values)


def hit_ratio(source: Generator, rows: int) -> Quiet:
    """Cache hits as a ratio close to its upper bound, every 5 minutes."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    lost = 0.02 + 0.02 * day_wave(at_ms, 3.0)
    return single(at_ms, 1.0 - lost * np.exp(wander(source, rows, 0.4, 0.35)), 0.0, 1.0)


def nightly_backup(source: Generator, rows: int) -> Quiet:
    """Written bytes every 5 minutes: a low floor, and each night's backup, longer on Sundays."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    hour = (at_ms % DAY_MS) / HOUR_MS
    long = 1.0 + (((at_ms // DAY_MS) + 3) % 7 == 6)
    active = (hour >= 2.0) & (hour < 2.0 + long)
    return single(at_ms, np.where(active, 9e7, 6e5) * source.lognormal(0.0, 0.25, rows))


def open_files(source: Generator, rows: int) -> Quiet:
    """Open file handles every 30 seconds: whole numbers that return to a mean slowly."""
    return single(regular(rows, 30_000), np.round(310.0 + wander(source, rows, 0.98, 18.0)))


def token_use(source: Generator, rows: int) -> Quiet:
    """Tokens a minute of an agent: nothing between tasks, gamma sums within."""
    active = np.zeros(rows, dtype=bool)
    at = 0
    while at < rows:
        busy, idle = int(source.geometric(0.08)), int(source.geometric(0.04))
        active[at : at + busy] = True
        at += busy + idle
    return single(regular(rows, MINUTE_MS), np.where(active, source.gamma(2.0, 4_000.0, rows), 0.0))


def quantised_sensor(source: Generator, rows: int) -> Quiet:
    """Fan speed in steps of 120 turns, every 5 minutes."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    smooth = 4_200.0 + 700.0 * day_wave(at_ms, 15.0) + wander(source, rows, 0.95, 150.0)
    return single(at_ms, np.round(smooth / 120.0) * 120.0)


def two_peaks(source: Generator, rows: int) -> Quiet:
    """Orders every 15 minutes: noon and evening, one reading in thirty missing."""
    at_ms = regular(rows, 15 * MINUTE_MS)
    base = 30.0 + 120.0 * day_wave(at_ms, 12.0) ** 6 + 180.0 * day_wave(at_ms, 20.0) ** 6
    found = single(at_ms, source.poisson(base * np.exp(wander(source, rows, 0.5, 0.08))).astype(float))
    found.values[source.random(rows) < 1.0 / 30.0] = np.nan
    return found


def task_duration(source: Generator, rows: int) -> Quiet:
    """Seconds of single tasks at the moments they end: widely scattered, at random times."""
    at_ms = START_MS + np.cumsum(np.round(source.exponential(180_000.0, rows)).astype(np.int64) + 1)
    return single(at_ms, source.lognormal(3.0, 0.9, rows))


def heap_of_two(source: Generator, rows: int) -> Quiet:
    """Heap in megabytes every minute: quick small collections, a large one some hours apart."""
    values, young, old = np.empty(rows), 0.0, 400.0
    for i in range(rows):
        young += source.gamma(3.0, 12.0)
        if young > 256.0:
            old, young = old + source.gamma(2.0, 3.0), 8.0
        if old > 620.0:
            old = 390.0 + source.normal(0.0, 8.0)
        values[i] = old + young
    return single(regular(rows, MINUTE_MS), values)


def deployed_service(source: Generator, rows: int) -> Quiet:
    """Threads of a service that is deployed each Tuesday and Thursday: a short dip, a slightly other level."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    day, hour = ((at_ms // DAY_MS) + 3) % 7, (at_ms % DAY_MS) / HOUR_MS
    deploys = ((day == 1) | (day == 3)) & (hour >= 10.0) & (hour < 10.2)
    level = 140.0 + np.cumsum(np.where(np.diff(deploys, prepend=False) & deploys, source.normal(0.0, 3.0, rows), 0.0))
    return single(at_ms, np.where(deploys, 60.0, level) + source.normal(0.0, 2.0, rows))


def rack(source: Generator, rows: int) -> Quiet:
    """Twenty metrics of a database host every 5 minutes: two loads, mixed by metric, some counts and ratios."""
    at_ms = regular(rows, 5 * MINUTE_MS)
    loads = np.stack([day_wave(at_ms, 11.0) + wander(source, rows, 0.8, 0.1), wander(source, rows, 0.97, 0.5)], axis=1)
    mixed = loads @ source.uniform(-0.3, 1.0, (2, 20))
    values = source.lognormal(2.0, 1.5, 20) * np.exp(0.4 * mixed + source.normal(0.0, 0.08, (rows, 20)))
    values[:, :4] = source.poisson(np.clip(values[:, :4], 0.01, 50.0))
    values[:, 4:8] = 100.0 / (1.0 + np.exp(-mixed[:, 4:8] - source.normal(0.0, 0.2, (rows, 4))))
    return Quiet(at_ms, values, 0.0, np.inf)


KINDS: Final[dict[str, Kind]] = {
    "office load, 1 h": office_load,
    "queue depth, 1 min": queue_depth,
    "cache hit ratio, 5 min": hit_ratio,
    "nightly backup, 5 min": nightly_backup,
    "open files, 30 s": open_files,
    "token use, 1 min": token_use,
    "quantised sensor, 5 min": quantised_sensor,
    "two peaks, 15 min": two_peaks,
    "task duration, irregular": task_duration,
    "heap of two, 1 min": heap_of_two,
    "deployed service, 5 min": deployed_service,
    "rack of 20 metrics, 5 min": rack,
}
