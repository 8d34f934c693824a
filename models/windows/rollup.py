"""Merges windows of several series into one: per-agent windows into the swarm's.

In: window rows, the group of each row, a canonical order within a group. Out: one row a (group, window start).
Never: depends on the order of the rows: floats are added in the canonical order.

The variance is merged as sum(m2) + sum(w * (mean_i - mean)^2) (Chan, Golub, LeVeque 1983): two sums of squares,
nothing cancels. Sketches merge by adding the counts of equal keys.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.windows.operator import Ints, WindowRows
from models.windows.sketches import CODE_SHIFT, KEY_BIAS, KEY_MASK


def roll_up(rows: WindowRows, group: Ints, order: Ints) -> tuple[WindowRows, Ints]:
    """Returns (merged rows, rows merged into each). Column `series` then holds the group.

    `group[i]` and `order[i]` belong to row i; `order` is distinct within a (group, window start).
    """
    c = rows.columns
    perm = np.lexsort((order, c["start_ms"], group))
    group, start = group[perm], c["start_ms"][perm]
    first = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (start[1:] != start[:-1])])
    members = np.diff(np.r_[first, len(perm)])
    merged_of = np.repeat(np.arange(len(first)), members)
    weight = c["weight"][perm]
    total = np.add.reduceat(weight, first)
    means = c["mean"][perm]
    mean = np.add.reduceat(weight * means, first) / total
    columns = {
        "series": group[first],
        "unit": c["unit"][perm][first],
        "start_ms": start[first],
        "gen": np.zeros(len(first), dtype=np.int64),
        "events": np.add.reduceat(c["events"][perm], first),
        "weight": total,
        "sum": np.add.reduceat(c["sum"][perm], first),
        "min": np.minimum.reduceat(c["min"][perm], first),
        "max": np.maximum.reduceat(c["max"][perm], first),
        "mean": mean,
        "m2": np.add.reduceat(c["m2"][perm] + weight * (means - mean[merged_of]) ** 2, first),
        "last_ms": np.maximum.reduceat(c["last_ms"][perm], first),
        "first_offset": np.minimum.reduceat(c["first_offset"][perm], first),
        "last_offset": np.maximum.reduceat(c["last_offset"][perm], first),
    }
    newest = np.lexsort((c["last_offset"][perm], c["last_ms"][perm], merged_of))
    columns["last"] = c["last"][perm][newest][first + members - 1]
    return WindowRows(rows.spec, columns, *_merge_sketches(rows, perm, merged_of, len(first))), members


def _merge_sketches(rows: WindowRows, perm: Ints, merged_of: Ints, n: int) -> tuple[Ints, npt.NDArray[np.int32], Ints]:
    merged = np.empty(len(perm), dtype=np.int64)
    merged[perm] = merged_of
    codes = (np.repeat(merged, np.diff(rows.sketch_offsets)) << CODE_SHIFT) | (
        rows.sketch_keys.astype(np.int64) + KEY_BIAS
    )
    distinct, place = np.unique(codes, return_inverse=True)
    counts = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(counts, place, rows.sketch_counts)
    offsets = np.searchsorted(distinct, np.arange(n + 1) << CODE_SHIFT)
    return offsets, ((distinct & KEY_MASK) - KEY_BIAS).astype(np.int32), counts
