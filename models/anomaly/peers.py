"""Judges a series that is still learning by its peers: the other agents of its swarm with the same metric.

In: what change_point.py knows of each series' level, windows of a young series. Out: how odd a window is among them.
Never: judges an agent by itself, takes the agents for alike, remembers anything, reads a clock.

Agents differ by nature, so the spread between the levels of the grown ones is estimated (without those few that lie
far off: a faulty peer must not hide another) and a new agent is held against a Student's predictive tail with that
spread and the usual spread within one agent. Two looks, this window and all of the agent's so far; for all-positive
series each in two views, logarithms and plain values, of which the less alarming one counts, as in level.py.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from statistics import median
from typing import Final, NamedTuple

from models.anomaly.change_point import ANY_SIGN, EVENTS, LOG_MAX, MEAN, PLAIN, VAR, N
from models.anomaly.change_tuning import LOG_VAR_MAX
from models.anomaly.peer_tuning import (
    DOF_MAX,
    EVENTS_THIN_MAX,
    PEER_DOF_MAX,
    PEER_FROM_WINDOWS,
    PEER_MATCH_SPREADS,
    PEER_MATERIAL_RATIO,
    PEERS_MIN,
    PEERS_WEIGHED_MAX,
    REJECTED_SHARE_MAX,
    REJECTED_SPREADS,
    WINDOWS_ALIKE,
)
from models.anomaly.port import Direction, WindowPoint
from models.anomaly.tails import PROBABILITY_MIN, student_quantile, student_tail
from models.anomaly.tuning import MAGNITUDE_MAX, RANGE_Z, Z_MAX, ZERO_MAX

_TINY: Final = 1e-150  # its square still is a normal double


class View(NamedTuple):
    """Some peers in one space: logarithms, or plain values."""

    levels: list[float]  # ascending
    centre: float  # of the levels
    between: float  # variance of a new agent's level around it
    within: float  # variance of one usual window around its agent's level
    margin: float  # by so much two levels may differ and still count as alike
    dof: float  # of `between`


class Peers(NamedTuple):
    """What the grown agents of a group look like at one moment."""

    plain: View
    logs: View | None  # None: values of both signs, judged as they are
    events: float  # usual, of a window


class Group(NamedTuple):
    """The peers of either kind; None: fewer than PEERS_MIN of them."""

    positive: Peers | None  # agents whose windows were never below zero, and not always at it
    signed: Peers | None  # agents that had windows below zero


NOBODY: Final = Group(None, None)


class PeerVerdict(NamedTuple):
    """How a window of a young agent compares."""

    score: float  # 0..1: 1 - P(a window of a new, quiet agent at least this odd)
    direction: Direction
    peers: int
    median: float  # of the peers' levels, in the metric's unit; of all-positive series they are geometric means
    low: float  # the lowest and the highest of them
    high: float
    expected_low: float  # range that holds 99.9 % of the windows of new, quiet agents
    expected_high: float


def look(levels: Iterable[array[float]]) -> Group:
    """The peers among the vectors of a group's series (change_point.py); those that are still young are none."""
    grown = [level for level in levels if level[N] >= PEER_FROM_WINDOWS]
    positive = [level for level in grown if level[PLAIN] != ANY_SIGN and (not level[PLAIN] or level[MEAN] > ZERO_MAX)]
    signed = [level for level in grown if level[PLAIN] == ANY_SIGN]
    if len(positive) < PEERS_MIN and len(signed) < PEERS_MIN:
        return NOBODY
    return Group(_positive(positive), _signed(signed))


def judge(group: Group, own: array[float], point: WindowPoint) -> PeerVerdict | None:
    """How a window of a young agent compares, before `own`, its series' vector, has learned it.

    None: there is nobody to compare with, or nothing: a zero among magnitudes says that there was nothing to do.
    """
    value = min(MAGNITUDE_MAX, max(-MAGNITUDE_MAX, point.mean))
    by_sign = value < -ZERO_MAX or own[PLAIN] == ANY_SIGN
    peers = group.signed if by_sign else group.positive
    if peers is None or (not by_sign and value <= ZERO_MAX):
        return None
    thin = min(EVENTS_THIN_MAX, max(1.0, peers.events / point.events)) if point.events > 0 else 1.0
    seen = own[N] if (own[PLAIN] == ANY_SIGN) == by_sign else 0.0  # else what it learned is no value of this kind
    if peers.logs is None:
        probability, side, low, high = _compare(peers.plain, value, thin, seen, own[MEAN])
    else:
        so_far = _in_both_spaces(own) if seen and (not own[PLAIN] or own[MEAN] > ZERO_MAX) else _NOTHING
        seen = seen if so_far is not _NOTHING else 0.0
        probability, side, low, high = _compare(peers.plain, value, thin, seen, so_far.plain)
        by_logs, _, log_low, log_high = _compare(peers.logs, math.log(value), thin, seen, so_far.log)
        probability = max(probability, by_logs)
        low = max(0.0, min(low, math.exp(max(-LOG_MAX, log_low))))
        high = max(high, math.exp(min(LOG_MAX, log_high)))
    levels = peers.plain.levels
    score = 1.0 - max(PROBABILITY_MIN, min(1.0, 2.0 * probability))
    direction: Direction = "above" if side > 0 else "below"
    return PeerVerdict(score, direction, len(levels), median(levels), levels[0], levels[-1], low, high)


class _Level(NamedTuple):
    plain: float
    plain_variance: float
    log: float
    log_variance: float


_NOTHING: Final = _Level(0.0, 0.0, 0.0, 0.0)


def _in_both_spaces(level: array[float]) -> _Level:
    """One level in logarithms and in plain values; where only the one is known, the other as a lognormal law has it.

    A series without a zero is known in logarithms, one with a zero in plain values.
    """
    mean, variance = level[MEAN], level[VAR] * level[N] / max(1.0, level[N] - 1.0)
    if not level[PLAIN]:
        mean = min(LOG_MAX, max(-LOG_MAX, mean))
        plain = math.exp(mean)
        return _Level(plain, plain * plain * math.expm1(min(LOG_VAR_MAX, variance)), mean, variance)
    return _Level(mean, variance, math.log(mean), math.log1p(variance / (mean * mean)))


def _positive(grown: list[array[float]]) -> Peers | None:
    if len(grown) < PEERS_MIN:
        return None
    levels = [_in_both_spaces(level) for level in grown]
    plain = _view([level.plain for level in levels], [level.plain_variance for level in levels], relative=True)
    logs = _view([level.log for level in levels], [level.log_variance for level in levels], relative=False)
    return Peers(plain, logs, median(level[EVENTS] for level in grown))


def _signed(grown: list[array[float]]) -> Peers | None:
    if len(grown) < PEERS_MIN:
        return None
    plain = _view([level[MEAN] for level in grown], [level[VAR] for level in grown], relative=True)
    return Peers(plain, None, median(level[EVENTS] for level in grown))


def _view(levels: list[float], within: list[float], *, relative: bool) -> View:
    """Centre and spread of the levels, without the few that lie far from all the others."""
    levels = sorted(levels)
    weighed = levels
    if len(levels) > PEERS_WEIGHED_MAX:  # so many quantiles tell as much
        weighed = [levels[(2 * i + 1) * len(levels) // (2 * PEERS_WEIGHED_MAX)] for i in range(PEERS_WEIGHED_MAX)]
    first, beyond = 0, len(weighed)
    floor = PEER_MATERIAL_RATIO * (abs(median(weighed)) if relative else 1.0)
    for _ in range(int(len(weighed) * REJECTED_SHARE_MAX)):
        low, high = _moments(weighed[first + 1 : beyond], floor), _moments(weighed[first : beyond - 1], floor)
        below, above = (low[0] - weighed[first]) / low[1], (weighed[beyond - 1] - high[0]) / high[1]
        if max(below, above) <= REJECTED_SPREADS:
            break
        first, beyond = (first + 1, beyond) if below > above else (first, beyond - 1)
    centre, spread = _moments(weighed[first:beyond], floor)
    count = beyond - first
    usual = median(within)
    margin = PEER_MATCH_SPREADS * math.sqrt(usual + floor * floor)
    between = spread * spread * (1.0 + 1.0 / count)
    return View(levels, centre, between, usual, margin, float(min(PEER_DOF_MAX, count - 1)))


def _moments(levels: list[float], floor: float) -> tuple[float, float]:
    """Mean and standard deviation; agents differ at least by the floor."""
    mean = math.fsum(levels) / len(levels)
    variance = math.fsum((level - mean) ** 2 for level in levels) / (len(levels) - 1)
    return mean, math.sqrt(variance + floor * floor) or _TINY


def _compare(view: View, position: float, thin: float, seen: float, so_far: float) -> tuple[float, int, float, float]:
    """One-sided probability, side, and the 99.9 % range, of this window and of the agent's windows so far.

    Peers that lie as far out, or nearly, are no fewer than their share: (matches + 1) of (peers + 1), which is exact
    for agents in no particular order, whatever their law.
    """
    probability, side = _tail(view, position, view.within * thin)
    if seen >= 1.0:
        level = so_far + (position - so_far) / (seen + 1.0)
        by_level, level_side = _tail(view, level, view.within * WINDOWS_ALIKE / (seen + WINDOWS_ALIKE))
        if by_level < probability:
            probability, side, position = by_level, level_side, level
        probability = min(1.0, 2.0 * probability)  # two looks
    if side > 0:
        matches = len(view.levels) - bisect_left(view.levels, position - view.margin)
    else:
        matches = bisect_right(view.levels, position + view.margin)
    if matches:
        probability = max(probability, 0.5 * (matches + 1) / (len(view.levels) + 1))
    reach = student_quantile(RANGE_Z, view.dof) * math.sqrt(view.between + view.within * thin)
    return probability, side, view.centre - reach, view.centre + reach


def _tail(view: View, position: float, within: float) -> tuple[float, int]:
    """One-sided probability and side; degrees of freedom by Welch and Satterthwaite, `within` counted as known."""
    total = view.between + within
    dof = min(DOF_MAX, view.dof * (total / view.between) ** 2)
    side = 1 if position > view.centre else -1
    return student_tail(min(Z_MAX, (position - view.centre) * side / math.sqrt(total)), dof), side
