"""Judges a series that is still learning by its peers: the other agents of its swarm with the same metric.

In: closed windows of all agents of one (swarm, metric), in order. Out: how odd a window of a young agent is among them.
Never: judges an agent by itself, takes the agents for alike, remembers more than PEERS_MAX of them, reads a clock.

Agents differ by nature, so the spread between the levels of the grown ones is estimated (without those few that lie
far off: a faulty peer must not hide another) and a new agent is held against a Student's predictive tail with that
spread and the usual spread within one agent. Two looks, this window and all of the agent's so far; each in two views,
logarithms and plain values, of which the less alarming one counts, as in level.py.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from statistics import median
from typing import Any, Final, NamedTuple, Self

from models.anomaly.peer_tuning import (
    DOF_MAX,
    EVENTS_THIN_MAX,
    PEER_DOF_MAX,
    PEER_FROM_WINDOWS,
    PEER_MATCH_SPREADS,
    PEER_MATERIAL_RATIO,
    PEER_MEMORY_WINDOWS,
    PEER_SILENT_WINDOWS,
    PEERS_MAX,
    PEERS_MIN,
    REJECTED_SHARE_MAX,
    REJECTED_SPREADS,
    WINDOWS_ALIKE,
)
from models.anomaly.port import Direction, WindowPoint
from models.anomaly.tails import PROBABILITY_MIN, student_quantile, student_tail
from models.anomaly.tuning import MAGNITUDE_MAX, RANGE_Z, Z_MAX, ZERO_MAX

# What is remembered of an agent: windows, usual events of one, end of the last one; number, mean and variance of the
# means of its windows, and of the logarithms of those above zero. Numbers count up to PEER_MEMORY_WINDOWS, then fade.
SEEN, EVENTS, END_MS, MEAN, VAR, LOG_N, LOG_MEAN, LOG_VAR = range(8)
SIZE: Final = 8
_LOG_MAX: Final = 700.0  # math.exp overflows beyond 709
_TINY: Final = 1e-150  # its square still is a normal double
_NOTHING: Final = array("d", bytes(8 * SIZE))  # of an agent that is not remembered


class View(NamedTuple):
    """The peers in one space: logarithms, or plain values."""

    levels: tuple[float, ...]  # ascending
    centre: float  # of the levels
    between: float  # variance of a new agent's level around it
    within: float  # variance of one usual window around its agent's level
    margin: float  # by so much two levels may differ and still count as alike
    dof: float  # of `between`


class Peers(NamedTuple):
    """What the grown agents of a group look like at one moment."""

    plain: View
    logs: View | None  # None: the group is judged in plain values alone
    events: float  # usual, of a window
    signed: bool


class PeerVerdict(NamedTuple):
    """How a window of a young agent compares."""

    score: float  # 0..1: 1 - P(a window of a new, quiet agent at least this odd)
    direction: Direction
    peers: int
    median: float  # of the peers' levels, in the metric's unit
    low: float  # the lowest and the highest of them
    high: float
    expected_low: float  # range that holds 99.9 % of the windows of new, quiet agents
    expected_high: float


class PeerGroup:
    """The agents of one swarm that publish one metric, longest-silent first."""

    __slots__ = ("_agents", "_looked_ms", "_peers", "_signed")

    def __init__(self) -> None:
        self._agents: OrderedDict[str, array[float]] = OrderedDict()
        self._signed = False  # a negative value was seen: no logarithms from then on
        self._looked_ms = -1  # start of the windows that `_peers` is for; never saved: a window's judging is not cut
        self._peers: Peers | None = None

    def __len__(self) -> int:
        return len(self._agents)

    def learn(self, agent: str, point: WindowPoint, *, first: bool) -> None:
        """Fold a window of this agent in; `first`: its series has just begun (again)."""
        known = self._agents.pop(agent, None)
        if known is None and len(self._agents) >= PEERS_MAX and not self._give_way(point):
            return
        if known is None or first:
            known = array("d", bytes(8 * SIZE))
        self._agents[agent] = known
        value = min(MAGNITUDE_MAX, max(-MAGNITUDE_MAX, point.mean))
        known[SEEN] = seen = known[SEEN] + 1.0
        share = 1.0 / (seen if seen < PEER_MEMORY_WINDOWS else PEER_MEMORY_WINDOWS)
        known[EVENTS] += share * (point.events - known[EVENTS])
        known[END_MS] = point.window_start_ms + point.window_ms
        away = value - known[MEAN]
        known[MEAN] += share * away
        known[VAR] = (1.0 - share) * (known[VAR] + share * away * away)
        if value > ZERO_MAX:
            known[LOG_N] = n = known[LOG_N] + 1.0
            share = 1.0 / (n if n < PEER_MEMORY_WINDOWS else PEER_MEMORY_WINDOWS)
            away = math.log(value) - known[LOG_MEAN]
            known[LOG_MEAN] += share * away
            known[LOG_VAR] = (1.0 - share) * (known[LOG_VAR] + share * away * away)
        elif value < -ZERO_MAX:
            self._signed = True

    def judge(self, agent: str, point: WindowPoint) -> PeerVerdict | None:
        """How a window of a young agent compares, before it is learned; None: with nobody, or nothing, to compare."""
        if self._looked_ms != point.window_start_ms:
            self._looked_ms, self._peers = point.window_start_ms, self._look(point)
        peers = self._peers
        if peers is None or (not peers.signed and point.mean <= ZERO_MAX):
            return None  # a zero among magnitudes is not judged: an agent may have nothing to do yet
        value = min(MAGNITUDE_MAX, max(-MAGNITUDE_MAX, point.mean))
        thin = min(EVENTS_THIN_MAX, max(1.0, peers.events / point.events)) if point.events > 0 else 1.0
        known = self._agents.get(agent, _NOTHING)
        plain = _compare(peers.plain, value, thin, known[SEEN], known[MEAN])
        probability, side, low, high = plain
        if peers.logs:
            by_logs, _, log_low, log_high = _compare(peers.logs, math.log(value), thin, known[LOG_N], known[LOG_MEAN])
            probability = max(probability, by_logs)
            low = max(0.0, min(low, math.exp(max(-_LOG_MAX, log_low))))
            high = max(high, math.exp(min(_LOG_MAX, log_high)))
        levels = peers.plain.levels
        score = 1.0 - max(PROBABILITY_MIN, min(1.0, 2.0 * probability))
        direction: Direction = "above" if side > 0 else "below"
        return PeerVerdict(score, direction, len(levels), median(levels), levels[0], levels[-1], low, high)

    def forget_look(self) -> None:
        """After the windows that closed together: whoever restores a state looks anew, so everybody does."""
        self._looked_ms, self._peers = -1, None

    def state(self) -> list[Any]:
        """Everything it knows: whether signed, then agents, longest-silent first, and their numbers as bytes."""
        return [self._signed, list(self._agents), b"".join(known.tobytes() for known in self._agents.values())]

    @classmethod
    def restore(cls, state: Sequence[Any]) -> Self:
        """The group whose `state()` this is."""
        group = cls()
        group._signed, agents, numbers = state
        for place, agent in enumerate(agents):
            group._agents[agent] = array("d")
            group._agents[agent].frombytes(numbers[8 * SIZE * place : 8 * SIZE * (place + 1)])
        return group

    def _give_way(self, point: WindowPoint) -> bool:
        """Whether the longest-silent agent has been silent long enough to be forgotten for a new one."""
        head = next(iter(self._agents))
        if self._agents[head][END_MS] > point.window_start_ms - PEER_SILENT_WINDOWS * point.window_ms:
            return False
        del self._agents[head]
        return True

    def _look(self, point: WindowPoint) -> Peers | None:
        since_ms = point.window_start_ms - PEER_SILENT_WINDOWS * point.window_ms
        grown = [a for a in self._agents.values() if a[SEEN] >= PEER_FROM_WINDOWS and a[END_MS] > since_ms]
        if len(grown) < PEERS_MIN:
            return None
        plain = _view([a[MEAN] for a in grown], [_unbiased(a[VAR], a[SEEN]) for a in grown], relative=True)
        events = median(a[EVENTS] for a in grown)
        if self._signed:
            return Peers(plain, None, events, True)
        above = [a for a in grown if a[LOG_N] >= PEER_FROM_WINDOWS]
        if len(above) < PEERS_MIN:
            return None  # mostly zero: too few magnitudes to tell a first one from a fault
        logs = _view([a[LOG_MEAN] for a in above], [_unbiased(a[LOG_VAR], a[LOG_N]) for a in above], relative=False)
        return Peers(plain, logs, events, False)


def _unbiased(variance: float, n: float) -> float:
    n = min(n, PEER_MEMORY_WINDOWS)
    return variance * n / (n - 1.0)


def _view(levels: list[float], within: list[float], *, relative: bool) -> View:
    """Centre and spread of the levels, without the few that lie far from all the others."""
    levels.sort()
    first, beyond = 0, len(levels)
    floor = PEER_MATERIAL_RATIO * (abs(median(levels)) if relative else 1.0)
    for _ in range(int(len(levels) * REJECTED_SHARE_MAX)):
        low, high = _moments(levels[first + 1 : beyond], floor), _moments(levels[first : beyond - 1], floor)
        below, above = (low[0] - levels[first]) / low[1], (levels[beyond - 1] - high[0]) / high[1]
        if max(below, above) <= REJECTED_SPREADS:
            break
        first, beyond = (first + 1, beyond) if below > above else (first, beyond - 1)
    centre, spread = _moments(levels[first:beyond], floor)
    count = beyond - first
    usual = median(within)
    margin = PEER_MATCH_SPREADS * math.sqrt(usual + floor * floor)
    between = spread * spread * (1.0 + 1.0 / count)
    return View(tuple(levels), centre, between, usual, margin, float(min(PEER_DOF_MAX, count - 1)))


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
    matches = sum(level * side + view.margin >= position * side for level in view.levels)
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
