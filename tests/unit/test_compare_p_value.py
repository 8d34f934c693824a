"""The smallest p-value a permutation test can give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.compare.ratio import Sides, compare_means

UNITS = 20


@pytest.mark.parametrize(
    ("paired", "permutations"), [(True, 2**UNITS), (False, math.comb(2 * UNITS, UNITS))], ids=["paired", "unpaired"]
)
def test_no_p_value_is_smaller_than_all_permutations_could_give(paired: bool, permutations: int) -> None:
    tasks = np.random.default_rng(3).lognormal(sigma=0.01, size=(UNITS, 1))
    estimate = compare_means(Sides(100 * tasks, tasks[::-1] if not paired else tasks * tasks, paired), scale="log")
    assert estimate.p_value == pytest.approx(2 / permutations)
