"""A value that stays exactly the same for longer than it ever did: a stuck sensor, a collector that repeats itself.

In: the views' vector, values. Out: rarities, -log10 P. Never: an opinion on a series that never moves, or that rests
for hours by nature: neither knows a run that is much longer than all before.

The n-th of equally likely runs of equal values is the longest so far once in n. By how much a record beats the former
one is counted in logarithms, which gives runs a power law: heavier than chance repeats have, so that idle hours are no
news. A run teaches when it is over, so that it is not measured against itself.
"""

from __future__ import annotations

import math
from array import array

from models.anomaly.full_tuning import (
    STILL_LONGEST_MIN,
    STILL_NEWS_MAX,
    STILL_NEWS_MIN,
    STILL_PRIOR,
    STILL_PRIOR_RATIO,
    STILL_RARITY_MAX,
    STILL_RATIO_MAX,
    STILL_RUNS_MIN,
)
from models.anomaly.view_fields import STILLNESS

LOG_10 = math.log(10.0)
LAST, RUN, RUNS, LONGEST, RECORDS, RATIOS = range(STILLNESS, STILLNESS + 6)


def begin(state: array[float]) -> None:
    """Nothing was seen."""
    state[LAST] = math.nan
    state[LONGEST] = STILL_LONGEST_MIN


def step(state: array[float], value: float) -> float:
    """Rarity of the run of equal values that `value` goes on with; 0 for a value that differs from the last."""
    run = state[RUN]
    if value != state[LAST]:
        state[LAST] = value
        state[RUNS] += 1.0
        if run > 1.0:
            state[RUN] = 1.0
            if run > state[LONGEST]:
                _learn_record(state, run)
        elif run == 0.0:
            state[RUN] = 1.0
        return 0.0
    run = state[RUN] = run + 1.0
    longest = state[LONGEST]
    if run <= longest or state[RUNS] < STILL_RUNS_MIN or run > STILL_NEWS_MAX * max(longest, STILL_NEWS_MIN):
        return 0.0
    usual = (STILL_PRIOR * STILL_PRIOR_RATIO + state[RATIOS]) / (STILL_PRIOR + state[RECORDS])
    return min(STILL_RARITY_MAX, math.log10(0.5 * state[RUNS]) + math.log(run / longest) / usual / LOG_10)


def _learn_record(state: array[float], run: float) -> None:
    state[RECORDS] += 1.0
    state[RATIOS] += min(STILL_RATIO_MAX, math.log(run / state[LONGEST]))
    state[LONGEST] = run
