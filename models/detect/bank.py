"""All detectors that look at activities, as one: what a partition's fold holds.

In: activities in log order, with their place. Out: findings, state. Never: lets one detector see what another found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, Protocol

from models.codecs.structs import ActivityRecord
from models.detect.agent_state import AgentStateDetector
from models.detect.cost_spike import CostSpikeDetector
from models.detect.error_spike import ErrorSpikeDetector
from models.detect.fan_out import FanOutDetector
from models.detect.finding import EVERY_KIND, DetectorSpec, Finding, Place
from models.detect.keyed import memory_of
from models.detect.latency_shift import LatencyShiftDetector
from models.detect.loop import LoopDetector
from models.detect.ping_pong import PingPongDetector
from models.detect.token_burn import TokenBurnDetector
from models.detect.unpriced import UnpricedDetector
from models.detect.wait_cycle import WaitCycleDetector


class ActivityDetector(Protocol):
    """What every detector of activities is."""

    spec: DetectorSpec
    kinds: frozenset[str]  # of activities; others are not shown to it

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterable[Finding]:
        """Takes one activity; `ended`: it has ended, and was not seen so before. `place.at_ms` is its event time."""
        ...

    def state(self) -> list[Any]:
        """For snapshots: equal histories give equal states."""
        ...

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` became on its way through msgpack."""
        ...


ACTIVITY_DETECTORS: Final[tuple[type[ActivityDetector], ...]] = (
    LoopDetector,
    FanOutDetector,
    UnpricedDetector,
    ErrorSpikeDetector,
    CostSpikeDetector,
    LatencyShiftDetector,
    PingPongDetector,
    WaitCycleDetector,
    TokenBurnDetector,
    AgentStateDetector,
)


class ActivityDetectors:
    """Every detector that is on."""

    def __init__(self, off: Collection[str] = ()) -> None:
        self._detectors = [made for kind in ACTIVITY_DETECTORS if (made := kind()).spec.name not in off]
        self._of_kind = {kind: [d.see for d in self._detectors if kind in d.kinds] for kind in EVERY_KIND}

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> list[Finding]:
        """What this activity shows, in the order of the detectors."""
        found: list[Finding] = []
        for see in self._of_kind[activity.kind]:
            found.extend(see(activity, place, ended=ended))
        return found

    def memories(self) -> dict[str, tuple[int, int]]:
        """Name of the detector -> keys it holds, and at most."""
        return {detector.spec.name: memory_of(detector) for detector in self._detectors}

    def state(self) -> dict[str, list[Any]]:
        """Name of the detector -> its state."""
        return {detector.spec.name: detector.state() for detector in self._detectors}

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Loads what `state` saved; a detector that was off then begins anew."""
        for detector in self._detectors:
            detector.restore(state.get(detector.spec.name, []))
