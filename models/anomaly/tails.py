"""Tail probabilities: how rare is a deviation at least this large.

In: standardised deviations, counts. Out: probabilities in [PROBABILITY_MIN, 1].
Never: state, randomness, an exception for any finite input.
"""

from __future__ import annotations

import math
from typing import Final

# Below this a score 1 - p would round to exactly 1 and two very different events would tie.
PROBABILITY_MIN: Final = 1e-15
SHAPE_MAX: Final = 0.5  # of the Pareto tail: beyond it the variance is infinite and moments cannot fit it
NORMAL_EXCESS: Final = 0.44  # mean excess of normal noise over 1.5 standard deviations
RATE_EDGE: Final = 1e-12  # keeps logarithms of a rate finite
_SQRT_HALF: Final = math.sqrt(0.5)


def student_tail(t: float, dof: float) -> float:
    """P(T >= t), t >= 0, for Student's t with `dof` degrees of freedom.

    Wallace's normal approximation (1959): relative error below 6 % for dof >= 11 down to 1e-6.
    """
    z = (8.0 * dof + 1.0) / (8.0 * dof + 3.0) * math.sqrt(dof * math.log1p(t * t / dof))
    tail = 0.5 * math.erfc(z * _SQRT_HALF)
    return tail if tail > PROBABILITY_MIN else PROBABILITY_MIN


def student_quantile(z: float, dof: float) -> float:
    """The t whose tail probability is that of the normal deviate `z`: the inverse of `student_tail`."""
    scaled = z * (8.0 * dof + 3.0) / (8.0 * dof + 1.0)
    return math.sqrt(dof * math.expm1(scaled * scaled / dof))


def peaks_tail(excess: float, peaks: float, seen: float, mean: float, variance: float) -> float:
    """P(deviation >= bar + excess): share of peaks over the bar times a generalised Pareto law of the excess.

    The law is fitted by moments; its shape gains one over the number of peaks, which is what an exponential law
    with an uncertain mean predicts (Lomax): few peaks make a heavy tail. One more peak than were seen is
    assumed, with the excess of normal noise, so that a tail never seen before is not impossible.
    """
    scale, shape = _pareto(peaks, mean, variance)
    tail = (peaks + 1.0) / (seen + 2.0) * math.exp(-math.log1p(shape * excess / scale) / shape)
    return tail if tail > PROBABILITY_MIN else PROBABILITY_MIN


def peaks_quantile(probability: float, peaks: float, seen: float, mean: float, variance: float) -> float:
    """The excess over the bar whose tail probability is `probability` (0 when the bar itself is rarer)."""
    share = (peaks + 1.0) / (seen + 2.0)
    if share <= probability:
        return 0.0
    scale, shape = _pareto(peaks, mean, variance)
    return scale / shape * math.expm1(shape * math.log(share / probability))


def _pareto(peaks: float, mean: float, variance: float) -> tuple[float, float]:
    """Scale and shape by moments."""
    shape = 0.5 * (1.0 - mean * mean / variance) if variance > 0.0 else 0.0
    if shape < 0.0:
        shape = 0.0
    elif shape > SHAPE_MAX:
        shape = SHAPE_MAX
    peaks_and_one = peaks + 1.0
    mean = (mean * peaks + NORMAL_EXCESS) / peaks_and_one
    return mean * (1.0 - shape), shape + 1.0 / peaks_and_one


def rate_change_tail(hits: float, trials: float, hits_before: float, trials_before: float, surplus: float) -> float:
    """P(so different a share of hits under one common rate), one side: the likelihood ratio test.

    Half a hit is taken off the difference (Yates), because hits come whole. `surplus` is by how much the rate
    varies more than chance alone would have it.
    """
    expected = trials * hits_before / trials_before
    hits = max(expected, hits - 0.5) if hits > expected else min(expected, hits + 0.5)
    both = min(1.0 - RATE_EDGE, max(RATE_EDGE, (hits + hits_before) / (trials + trials_before)))
    ratio = _binomial_gain(hits, trials, both) + _binomial_gain(hits_before, trials_before, both)
    return max(PROBABILITY_MIN, 0.5 * math.erfc(math.sqrt(max(0.0, ratio) / surplus)))


def _binomial_gain(hits: float, trials: float, rate: float) -> float:
    """Log likelihood of the own share of hits over that of `rate`."""
    misses = trials - hits
    gain = hits * math.log(hits / (trials * rate)) if hits > 0.0 else 0.0
    return gain + (misses * math.log(misses / (trials * (1.0 - rate))) if misses > 0.0 else 0.0)
