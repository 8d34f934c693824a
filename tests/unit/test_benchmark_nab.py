"""The benchmark's scorer against cases small enough to count by hand."""

from __future__ import annotations

import math

import pytest

from benchmarks.nab import PROFILES, at_threshold, best, detections, probation, sigmoid

STANDARD = PROFILES["standard"]
SPANS = [(40, 49)]  # ten rows of a hundred


def scored(*rows: int) -> list[float]:
    return [float(row in rows) for row in range(100)]


def standard(*rows: int) -> float:
    return at_threshold(detections(scored(*rows), SPANS), 1, STANDARD, 0.5)


def test_nothing_detected_is_0_and_the_left_edge_is_100() -> None:
    assert standard() == 0.0
    assert standard(40) == pytest.approx(100.0)


def test_the_earliest_detection_of_a_window_counts_alone() -> None:
    assert standard(40, 41, 45) == pytest.approx(100.0)
    at_45 = (2 / (1 + math.exp(-5 * 0.5)) - 1) / (2 / (1 + math.exp(-5.0)) - 1)
    assert standard(45) == pytest.approx(50.0 * (at_45 + 1.0))


def test_a_row_before_every_window_costs_its_full_price_and_one_just_behind_less() -> None:
    assert standard(40, 20) == pytest.approx(100.0 - 50.0 * 0.11)
    behind = sigmoid(1 / 9)
    assert standard(40, 50) == pytest.approx(100.0 + 50.0 * 0.11 * behind)
    assert -1.0 < behind < 0.0


def test_rows_of_the_probation_count_for_nothing() -> None:
    assert probation(100) == 15
    assert probation(100_000) == 750
    assert standard(3, 14) == 0.0


def test_the_best_threshold_leaves_the_false_row_out() -> None:
    scores = scored()
    scores[20], scores[41] = 0.5, 0.9
    threshold, score = best(detections(scores, SPANS), 1, STANDARD)
    assert threshold == 0.9
    assert score == pytest.approx(standard(41))
