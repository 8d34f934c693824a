"""The textbook methods alarm exactly where their definition says."""

from __future__ import annotations

import math
import random
import statistics

import numpy as np
import pytest

from models.anomaly import Verdict, WindowPoint
from models.anomaly.fences import FenceScorer

QUIET = [random.Random(i).gauss(50.0, 4.0) for i in range(100)]


def judged(scorer: FenceScorer, means: list[float]) -> list[Verdict]:
    return [scorer.step(WindowPoint(10_000 * i, 10_000, 1, 1.0, x, x, x, 0.0, x)) for i, x in enumerate(means)]


@pytest.mark.parametrize("sensitivity", [1.0, 2.0, 3.5])
def test_a_z_score_alarms_from_so_many_standard_deviations_on(sensitivity: float) -> None:
    mean, sigma = statistics.fmean(QUIET), statistics.pstdev(QUIET)
    wide = FenceScorer("zscore", sensitivity=100.0)  # learns without a fence in the way
    judged(wide, QUIET)
    for off, alarm in ((0.99, False), (1.01, True), (-0.99, False), (-1.01, True)):
        state = wide.state()
        state[3] = sensitivity
        value = mean + off * sensitivity * sigma
        verdict = judged(FenceScorer.restore(state), [value])[0]
        assert verdict.alarm is alarm
        assert verdict.score == pytest.approx(math.erf(abs(off) * sensitivity / math.sqrt(2)))
        assert (verdict.expected_low, verdict.expected_high) == pytest.approx(
            (mean - sensitivity * sigma, mean + sensitivity * sigma)
        )


def test_tukeys_fences_stand_so_many_interquartile_ranges_beyond_the_quartiles() -> None:
    scorer = FenceScorer("iqr", sensitivity=100.0)
    judged(scorer, QUIET)
    state = scorer.state()
    state[3] = 1.5
    first, third = np.percentile(QUIET, [25, 75])
    verdict = judged(FenceScorer.restore(state), [200.0])[0]
    assert (verdict.expected_low, verdict.expected_high) == pytest.approx(
        (first - 1.5 * (third - first), third + 1.5 * (third - first))
    )
    assert verdict.alarm
    assert "iqr" in verdict.reason


def test_one_outlier_moves_quartiles_less_than_the_mean() -> None:
    reach = {}
    for method in ("zscore", "iqr"):
        scorer = FenceScorer(method, sensitivity=2.0)  # type: ignore[arg-type] # the two names of Method
        verdict = judged(scorer, [*QUIET[:50], 1e6, *QUIET[50:]])[-1]
        reach[method] = verdict.expected_high - verdict.expected_low
    assert reach["iqr"] < 60.0
    assert reach["zscore"] < 60.0  # what lies beyond a fence teaches no more than the fence
