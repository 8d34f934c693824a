"""Peer groups of a partition: series that are still learning, judged by the other agents of their swarm.

In: closed windows of agents, in order. Out: verdicts, and rows of `anomalies` for those that alarm. Never: more than
GROUPS_MAX groups; the series of a swarm itself, which has no peers.

A group is (swarm, metric): the windows of metrics do not say which role an agent has or which model it asks.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from models.anomaly.peer_tuning import GROUPS_MAX, PEER_NAME, PEER_SILENT_WINDOWS, PEER_VERSION
from models.anomaly.peers import PeerGroup, PeerVerdict
from models.anomaly.port import WindowPoint, severity_of
from streams.interning import Series

Key = tuple[str, str]  # swarm_id, metric
SCORE_LOST: Final = 1e-15  # a score nearer to 1 than this says no more


class PeerBank:
    """The groups of one partition, longest-silent first."""

    def __init__(self) -> None:
        self._groups: OrderedDict[Key, tuple[PeerGroup, int]] = OrderedDict()  # -> (group, end of its last window)
        self._looking: dict[Key, PeerGroup | None] = {}  # groups of the windows that close together

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def agents(self) -> int:
        """Agents remembered in all groups."""
        return sum(len(group) for group, _ in self._groups.values())

    def group_of(self, name: Series, point: WindowPoint) -> PeerGroup | None:
        """The group of a series; None for a swarm's own series, and while all groups kept are busy ones."""
        key = (name[0], name[2])
        if key in self._looking:
            return self._looking[key]
        end_ms = point.window_start_ms + point.window_ms
        known = self._groups.pop(key, None)
        if known is None and len(self._groups) >= GROUPS_MAX:
            head, (_, head_end_ms) = next(iter(self._groups.items()))
            if head_end_ms > point.window_start_ms - PEER_SILENT_WINDOWS * point.window_ms:
                self._looking[key] = None
                return None
            del self._groups[head]
        group = known[0] if known else PeerGroup()
        group.forget_look()
        self._groups[key] = (group, end_ms)
        self._looking[key] = group
        return group

    def next_windows(self) -> None:
        """The windows that end at one moment are all seen."""
        self._looking.clear()

    def state(self) -> list[list[Any]]:
        """[[swarm, metric, end of last window, group], ...], longest-silent first."""
        return [[*key, end_ms, group.state()] for key, (group, end_ms) in self._groups.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Loads what `state` saved."""
        self._groups = OrderedDict(
            ((swarm, metric), (PeerGroup.restore(group), end_ms)) for swarm, metric, end_ms, group in state
        )


def peer_fields(verdict: PeerVerdict, point: WindowPoint, learning_left: int) -> dict[str, Any]:
    """The columns of `anomalies` that a peers' alarm has of its own."""
    odds = 1.0 / max(SCORE_LOST, 1.0 - verdict.score)
    return {
        "score": verdict.score,
        "severity": severity_of(verdict.score),
        "direction": verdict.direction,
        "expected_low": verdict.expected_low,
        "expected_high": verdict.expected_high,
        "detector": PEER_NAME,
        "detector_version": PEER_VERSION,
        "reason": (
            f"window mean {point.mean:.6g} ({point.events} events) of an agent whose series is still learning "
            f"({learning_left} windows to go) is {verdict.direction} its peers, {verdict.peers} agents of the swarm "
            f"with a median of {verdict.median:.6g} between {verdict.low:.6g} and {verdict.high:.6g}; a quiet agent is "
            f"this odd about once in {odds:,.0f} windows"
        ),
        "evidence": [
            ("learning_left", str(learning_left)),
            ("peers", str(verdict.peers)),
            ("peers_high", f"{verdict.high:.6g}"),
            ("peers_low", f"{verdict.low:.6g}"),
            ("peers_median", f"{verdict.median:.6g}"),
        ],
    }
