"""Swarms judged as a whole: several of their agents unusual in the same window.

In: the scores that the series of one swarm got for one window. Out: rows of `anomalies` without an agent.
Never: an anomaly for what one agent alone did: its series have raised their own. One agent is one voice, because its
metrics go together (the bytes of its memory, and their share, are one thing said twice).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from models.anomaly.combination import Combination, Together, rarity_of
from models.anomaly.port import severity_of
from streams.interning import Series
from streams.result_rows import Origin

METRIC: Final = "combined"  # stands where a series' anomaly has its metric
DETECTOR: Final = "combination"
DETECTOR_VERSION: Final = 1
AGENTS_MIN: Final = 2  # with a series that has learned enough to speak


class Spoken(NamedTuple):
    """What one series said about a window."""

    score: float  # 0..1
    name: Series
    from_offset: int  # of its events
    to_offset: int
    closed_offset: int  # the record that closed the window, and when the broker got it
    appended_ms: int


class SwarmBank:
    """The combinations of one partition's swarms, longest-silent first."""

    def __init__(self, *, swarms_max: int, idle_ms: int, score_min: float) -> None:
        self._swarms_max = swarms_max
        self._idle_ms = idle_ms
        self._score_min = score_min
        self._swarms: OrderedDict[str, tuple[Combination, int]] = OrderedDict()  # -> (it, end of its last window)

    def __len__(self) -> int:
        return len(self._swarms)

    def judge(
        self, swarm_id: str, scores: Mapping[str, Sequence[float]], start_ms: int, window_ms: int
    ) -> Together | None:
        """What the agents of a swarm's window say together, when it is unusual as a whole: agent -> its series' scores.

        The strongest of an agent's m series counts as one look in m (Bonferroni).
        """
        if len(scores) < AGENTS_MIN:
            return None
        ordered = sorted((max(0.0, 1.0 - (1.0 - max(own)) * len(own)) for own in scores.values()), reverse=True)
        ordered[0] = ordered[1]  # the strongest counts as the next one does: alone it is its own matter
        together = self._combination(swarm_id, start_ms + window_ms).step(start_ms, ordered)
        return together if together.alarm else None

    def state(self) -> list[list[Any]]:
        """[[swarm, end of last window, numbers], ...], longest-silent first."""
        return [[swarm, end_ms, one.state()] for swarm, (one, end_ms) in self._swarms.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Loads what `state` saved."""
        self._swarms = OrderedDict((swarm, (Combination.restore(one), end_ms)) for swarm, end_ms, one in state)

    def _combination(self, swarm_id: str, end_ms: int) -> Combination:
        while self._swarms:
            head, (_, head_end_ms) = next(iter(self._swarms.items()))
            if head_end_ms >= end_ms - self._idle_ms and len(self._swarms) <= self._swarms_max:
                break
            del self._swarms[head]
        known = self._swarms.pop(swarm_id, None)
        one = known[0] if known else Combination(score_min=self._score_min)
        self._swarms[swarm_id] = (one, end_ms)
        return one


def combined_row(
    strongest: Sequence[Spoken], count: int, together: Together, start_ms: int, window_ms: int, origin: Origin
) -> dict[str, Any]:
    """The row of `anomalies` for a swarm's window, told by the strongest series of `count` agents."""
    swarm_id = strongest[0].name[0]
    last = max(strongest, key=lambda one: one.closed_offset)
    named = ", ".join(f"{one.name[1]} {one.name[2]} {one.score:.6f}".strip() for one in strongest)
    return {
        "anomaly_id": origin.row_id(DETECTOR, swarm_id, str(window_ms), str(start_ms)),
        "swarm_id": swarm_id,
        "agent_id": "",
        "metric": METRIC,
        "window_ms": window_ms,
        "window_start": start_ms,
        "detected_at": last.appended_ms,
        "value": rarity_of(together.score),
        "expected_low": 0.0,
        "expected_high": together.bar,
        "score": together.score,
        "severity": severity_of(together.score),
        "direction": "above",
        "detector": DETECTOR,
        "detector_version": DETECTOR_VERSION,
        "reason": (
            f"of {count} agents of the swarm several are unusual in the same window, most of all {named}; quiet, "
            f"independent agents do this about once in {1.0 / (1.0 - together.score):,.0f} windows"
        ),
        "unit": "decades",
        **origin.fields(last.closed_offset),
        "evidence_from_offset": min(one.from_offset for one in strongest),
        "evidence_to_offset": max(one.to_offset for one in strongest),
        "evidence": [("agents", str(count)), ("strongest", named)],
    }
