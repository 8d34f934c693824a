"""River's running statistics on plain numbers, with fading memory.

In: (weight, mean, variance) and an observation. Out: the same three, updated. Never: an object that lives on.

One `stats.Var` a thread is loaded with the three numbers, updated and read back: River's arithmetic without the
600 bytes that one such object for every statistic would cost a series.
"""

from __future__ import annotations

import threading

from river import stats


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.moments = stats.Var(ddof=0)


_scratch = _Scratch()


def fading_update(
    weight: float, mean: float, variance: float, value: float, value_weight: float, memory: float
) -> tuple[float, float, float]:
    """Mean and variance with `value` folded in; weight above `memory` fades, so that old values count less."""
    moments = _scratch.moments
    centre = moments.mean
    if weight > memory - 1.0:
        weight = memory - 1.0
    # The fields River's own merge code sets; tests/unit/test_anomaly_statistics.py holds them to the public API.
    centre.n, centre._mean, moments._S = weight, mean, variance * weight
    moments.update(value, value_weight)
    variance = moments._S / centre.n
    return centre.n, centre._mean, variance if variance > 0.0 else 0.0
