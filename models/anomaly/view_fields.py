"""Where each number of a grown series' views stands in their flat vector of doubles.

In: nothing. Out: one index a name. Never: logic.

One vector for all views: eight small objects with boxed floats cost a series 2 KB more.
"""

from __future__ import annotations

from typing import Final

from models.anomaly.full_tuning import LARGEST_KEPT

HOURS_KEPT: Final = 48  # of working days, then of weekends

# The tail of one view, from its place on: bar, number of excesses, their mean and variance, the largest deviations.
BAR, PEAKS, MEAN, VARIANCE, LARGEST = range(5)
TAIL_SIZE: Final = LARGEST + LARGEST_KEPT
TAILS: Final = 7
HOUR, HOURS, DAY, LEVEL, SPREAD, SHAPE, COURSE = range(0, TAILS * TAIL_SIZE, TAIL_SIZE)
# Records: windows seen, lowest and highest value, records, sum of their shares.
EXTREMES: Final = TAILS * TAIL_SIZE
STILLNESS: Final = EXTREMES + 5  # last value, its run, runs, longest run, records, sum of their logarithms
PROFILE: Final = STILLNESS + 6  # one mean an hour
SIZE: Final = PROFILE + HOURS_KEPT
