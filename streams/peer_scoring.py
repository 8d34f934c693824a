"""Peer groups of a partition: series that are still learning, judged by the other agents of their swarm.

In: what the scorers' bank holds of each series, windows of young ones. Out: verdicts, and the columns of `anomalies`
for those that alarm. Never: state of its own: who belongs together follows from the names of the series held.

A group is (swarm, metric): the windows of metrics do not say which role an agent has or which model it asks.
"""

from __future__ import annotations

from array import array
from typing import Any, Final, Protocol

from models.anomaly.peer_tuning import PEER_NAME, PEER_SILENT_WINDOWS, PEER_VERSION
from models.anomaly.peers import NOBODY, Group, PeerVerdict, judge, look
from models.anomaly.port import WindowPoint, severity_of
from streams.interning import Series

Key = tuple[str, str]  # swarm_id, metric
GONE: Final = -1
SCORE_LOST: Final = 1e-15  # a score nearer to 1 than this says no more


class Member(Protocol):
    """What is held of one series."""

    change: array[float]  # models/anomaly/change_point.py
    end_ms: int  # of its last window; GONE: it is not held any more


class _Group:
    """A list and not a dictionary: 8 bytes a series. Who is gone leaves it when as many are gone as are left."""

    __slots__ = ("alive", "members")

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.alive = 0


class PeerGroups:
    """The series of one partition's agents by (swarm, metric)."""

    def __init__(self) -> None:
        self._groups: dict[Key, _Group] = {}
        self._looked: dict[Key, Group] = {}  # at the windows of one moment; each group is looked at once
        self._looked_ms = -1

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, name: Series, member: Member) -> None:
        """A series is held from now on. A swarm's own series has no peers."""
        swarm_id, agent_id, metric = name
        if agent_id:
            group = self._groups.setdefault((swarm_id, metric), _Group())
            group.members.append(member)
            group.alive += 1

    def remove(self, name: Series, member: Member) -> None:
        """A series is forgotten."""
        swarm_id, agent_id, metric = name
        if not agent_id:
            return
        member.end_ms = GONE
        group = self._groups[swarm_id, metric]
        group.alive -= 1
        if not group.alive:
            del self._groups[swarm_id, metric]
        elif len(group.members) > 2 * group.alive:
            group.members = [each for each in group.members if each.end_ms != GONE]

    def judge(self, name: Series, member: Member, point: WindowPoint) -> PeerVerdict | None:
        """How a window of a young series compares with its peers, before the series has learned it."""
        key = (name[0], name[2])
        if key not in self._groups or not name[1]:
            return None
        if self._looked_ms != point.window_start_ms:
            self._looked_ms = point.window_start_ms
            self._looked.clear()
        group = self._looked.get(key)
        if group is None:
            since_ms = point.window_start_ms - PEER_SILENT_WINDOWS * point.window_ms
            group = self._looked[key] = look(
                each.change for each in self._groups[key].members if each.end_ms > since_ms
            )
        return None if group is NOBODY else judge(group, member.change, point)


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
