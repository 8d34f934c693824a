"""Labelled tables from the kinds and the faults: three faults a file, and files without any.

In: kinds, a seed. Out: `Case` a file. Never: a random source of its own: one a (seed, kind, file), so that a case stays
what it is when others are added.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import count
from typing import Final, NamedTuple

import numpy as np

from benchmarks.unseen_faults import FAULTS, broken, length_of
from benchmarks.unseen_quiet import DAY_MS, Kind, Quiet
from interfaces.backtest.table import Table

ROWS: Final = 5_000
PLACES: Final = (0.40, 0.62, 0.84)  # of a file, where a fault begins: after more than a day of one-minute rows
JITTER: Final = 0.05  # of a file, by which a fault may begin later
METRICS_HIT: Final = 3  # of a file with several
QUIET_FILES: Final = 3  # a kind
GRACE_SHARE: Final = 0.25  # of a fault's length still belongs to it,
GRACE_ROWS_MIN: Final = 12  # and at least so many rows: the way back is part of the event


class Fault(NamedTuple):
    """One fault: rows `first` to `last`, grace included."""

    name: str
    first: int
    last: int


class Case(NamedTuple):
    """One file with what is wrong in it."""

    kind: str
    table: Table
    faults: list[Fault]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and last row of each fault."""
        return [(fault.first, fault.last) for fault in self.faults]


def corpus(kinds: Mapping[str, Kind], seed: int) -> list[Case]:
    """Every kind with every fault that can be seen in it, and its quiet files."""
    cases = []
    for name, kind in kinds.items():
        queue = list(FAULTS)
        np.random.default_rng([seed, zlib.crc32(name.encode())]).shuffle(queue)
        for file in count():
            source = np.random.default_rng([seed, zlib.crc32(name.encode()), file])
            cases.append(_case(name, kind, queue, source))
            if not cases[-1].faults:
                break
        for file in range(1, QUIET_FILES):
            source = np.random.default_rng([seed, zlib.crc32(name.encode()), 1_000 + file])
            cases.append(_case(name, kind, [], source))
    return cases


def _case(name: str, kind: Kind, queue: list[str], source: np.random.Generator) -> Case:
    """The next file of a kind: takes from `queue` the faults it holds, and those that cannot be seen in it."""
    quiet = kind(source, ROWS)
    faults = []
    for place in PLACES:
        first = int((place + JITTER * source.random()) * ROWS)
        while queue:
            fault = queue.pop(0)
            end = first + length_of(fault, ROWS, source)
            if _break(quiet, fault, first, end, source):
                last = end - 1 + max(GRACE_ROWS_MIN, int(GRACE_SHARE * (end - first)))
                faults.append(Fault(fault, first, min(last, ROWS - 1)))
                break
    rows = [[None if value != value else value for value in row] for row in quiet.values.tolist()]
    metrics = [f"m{at}" for at in range(quiet.values.shape[1])]
    times = quiet.at_ms.tolist()
    return Case(name, Table(metrics, [str(at) for at in times], times, rows, [], [], []), faults)


def _break(quiet: Quiet, fault: str, first: int, end: int, source: np.random.Generator) -> bool:
    """Puts the fault into one metric, or into some of several; whether it can be seen in any."""
    hit = 0
    values = quiet.values
    day_rows = round(DAY_MS / float(np.median(np.diff(quiet.at_ms))))
    for metric in source.permutation(values.shape[1]):
        changed = broken(
            *(fault, values[:, metric], first, end, source), low=quiet.low, high=quiet.high, day_rows=day_rows
        )
        if changed is not None:
            values[:, metric] = changed
            hit += 1
            if hit == METRICS_HIT:
                break
    return hit > 0
