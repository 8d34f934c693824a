"""The published score of the Numenta Anomaly Benchmark: windows found early count, rows outside them cost.

In: rows of a file, its labelled windows as row spans, detected rows. Out: points. Never: a detector, a file.

After Lavin and Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms" (2015): s(y) = 2 / (1 + e^{5y}) - 1 of the
relative place y. A window earns tp * s of its earliest detection, scaled to 1 at its left edge, else costs fn; each
detected row outside costs fp * |s| by its distance behind the last window. The first 15 % of rows, at most 750, are
not scored. 100 is every window at its left edge, 0 is no detection at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple


class Profile(NamedTuple):
    """Weights of a found window, a missed one, and a row outside."""

    tp: float
    fn: float
    fp: float


PROFILES: Final = {
    "standard": Profile(1.0, 1.0, 0.11),
    "low FP": Profile(1.0, 1.0, 0.22),
    "low FN": Profile(1.0, 2.0, 0.11),
}
PROBATION_SHARE: Final = 0.15
PROBATION_ROWS_MAX: Final = 750
FAR: Final = 3.0  # widths behind a window from which a row costs its full price
Span = tuple[int, int]  # first and last row of a labelled window, both inside


class Detection(NamedTuple):
    """What one detected row is worth before weights: of window `window`, or outside (-1)."""

    score: float
    window: int
    worth: float


def sigmoid(place: float) -> float:
    """1 far before the end of a window, 0 at it, -1 far behind it."""
    return -1.0 if place > FAR else 2.0 / (1.0 + math.exp(5.0 * place)) - 1.0


def probation(rows: int) -> int:
    """Rows at the start that are not scored."""
    return min(math.floor(PROBATION_SHARE * rows), PROBATION_ROWS_MAX)


def detections(scores: Sequence[float], spans: Sequence[Span], *, window_from: int = 0) -> list[Detection]:
    """Every scored row with its worth; windows are numbered from `window_from`. Rows of score 0 are none."""
    found = []
    at = 0
    for row in range(probation(len(scores)), len(scores)):
        while at < len(spans) and spans[at][1] < row:
            at += 1
        if scores[row] <= 0.0:
            continue
        if at < len(spans) and spans[at][0] <= row:
            left, right = spans[at]
            worth = sigmoid(-(right - row + 1) / (right - left + 1)) / sigmoid(-1.0)
            found.append(Detection(scores[row], window_from + at, worth))
        elif at == 0:
            found.append(Detection(scores[row], -1, -1.0))
        else:
            left, right = spans[at - 1]
            found.append(Detection(scores[row], -1, sigmoid((row - right) / max(1, right - left))))
    return found


def sweep(found: Sequence[Detection], windows: int, profile: Profile) -> list[tuple[float, float]]:
    """(threshold, score 0..100) for every threshold from the highest down, the first one detecting nothing."""
    points = -profile.fn * windows
    best: dict[int, float] = {}
    perfect, null = profile.tp * windows, -profile.fn * windows
    results = [(math.inf, 0.0)]
    ordered = sorted(found, key=lambda each: -each.score)
    for at, each in enumerate(ordered):
        if each.window < 0:
            points += profile.fp * each.worth
        else:
            before = best.get(each.window, -profile.fn)
            best[each.window] = max(before, profile.tp * each.worth)
            points += best[each.window] - before
        if at + 1 == len(ordered) or ordered[at + 1].score < each.score:
            results.append((each.score, 100.0 * (points - null) / (perfect - null)))
    return results


def at_threshold(found: Sequence[Detection], windows: int, profile: Profile, threshold: float) -> float:
    """The score when rows of at least `threshold` are detections."""
    return sweep([each for each in found if each.score >= threshold], windows, profile)[-1][1]


def best(found: Sequence[Detection], windows: int, profile: Profile) -> tuple[float, float]:
    """(threshold, score) of the threshold that scores highest."""
    return max(sweep(found, windows, profile), key=lambda pair: pair[1])
