"""How large a difference is in ranks, whatever its unit.

In: two aligned sides. Out: a number -1 (a always below b) .. 1 (a always above), and its name.
Never: a test; the size of a difference in its own unit.
"""

from __future__ import annotations

import numpy as np

from reports.compare.align import Aligned


def effect(pair: Aligned) -> tuple[float, str]:
    """Matched-pairs rank-biserial correlation, or Cliff's delta."""
    return (
        (_rank_biserial(pair), "rank-biserial correlation") if pair.paired else (_cliffs_delta(pair), "Cliff's delta")
    )


def _rank_biserial(pair: Aligned) -> float:
    difference = pair.a - pair.b
    difference = difference[difference != 0]
    if not len(difference):
        return 0.0
    n = len(difference)
    distance = np.abs(difference)
    order = np.argsort(distance)
    ordered = distance[order]
    if (ordered[1:] > ordered[:-1]).all():
        ranks = np.arange(2, 2 * n + 2, 2)  # twice the rank
    else:  # twice the mean rank of tied values
        ranks = np.searchsorted(ordered, ordered, "left") + np.searchsorted(ordered, ordered, "right") + 1
    return float((np.sign(difference[order]) * ranks).sum() / ranks.sum())  # sums of whole numbers, so exact


def _cliffs_delta(pair: Aligned) -> float:
    ordered = np.sort(pair.b)
    below = np.searchsorted(ordered, pair.a, "left").sum() + np.searchsorted(ordered, pair.a, "right").sum()
    return float(below / (len(pair.a) * len(pair.b)) - 1)
