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
    distance = np.abs(difference)
    ordered = np.sort(distance)
    # Twice the mean rank of tied values.
    ranks = np.searchsorted(ordered, distance, "left") + np.searchsorted(ordered, distance, "right") + 1
    return float((np.sign(difference) * ranks).sum() / ranks.sum())


def _cliffs_delta(pair: Aligned) -> float:
    ordered = np.sort(pair.b)
    below = np.searchsorted(ordered, pair.a, "left").sum() + np.searchsorted(ordered, pair.a, "right").sum()
    return float(below / (len(pair.a) * len(pair.b)) - 1)
