"""Finds a swarm whose last hour cost more than twice what its hours usually cost.

In: ended model calls with a cost. Out: findings. Never: compares before it knows some hours, or takes an hour without
calls for a cheap one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

HOUR_MS: Final = 3_600_000
SLOT_MS: Final = 300_000
RATIO_MIN: Final = 2.0
HOURS_MIN: Final = 4
HOURS_MAX: Final = 48
SPREADS_MIN: Final = 3.0
COST_MIN_USD: Final = 1.0
SWARMS_MAX: Final = 2_000  # of a partition, 60 numbers each

SPEC: Final = DetectorSpec(
    name="cost_spike",
    version=2,
    finds="A swarm whose last 60 minutes cost more than twice its usual hour.",
    reads="ended `model_call`: `cost_usd` (given, or from the price book)",
    limits=(
        Limit("ratio", RATIO_MIN, "times the usual hour", "F10: hourly cost above twice the baseline"),
        Limit("spreads", SPREADS_MIN, "robust spreads", "above the usual hour: who works in bursts has such hours"),
        Limit(
            "hours",
            HOURS_MIN,
            "hours with calls",
            "before there is a usual hour: the median of the most that any 60 minutes ending in each of them cost",
        ),
        Limit("remembered", HOURS_MAX, "hours with calls", "two days without a break"),
        Limit("cost", COST_MIN_USD, "USD", "an hour cheaper than this wakes nobody"),
    ),
    delay="with the call that makes the last 60 minutes too dear",
    blind="The first four hours of a swarm; calls without a price (see `unpriced_model`).",
    action="pause",
)


class _Swarm(Struct, array_like=True, gc=False):
    slots: list[tuple[int, float, int]] = field(default_factory=list)  # start, USD, first offset: of the last hour
    hour_ms: int = 0  # start of the present clock hour
    hour_usd: float = 0.0  # the most of any 60 minutes that end within it
    hours: list[float] = field(default_factory=list)  # the same of the hours before it that had calls, oldest first
    told_usd: float = 0.0  # of the spike that lasts; 0: none does


class CostSpikeDetector:
    """One memory a swarm."""

    spec = SPEC
    kinds = frozenset({"model_call"})

    def __init__(self) -> None:
        self._swarms = Keyed(_Swarm, SWARMS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended or activity.kind != "model_call" or not activity.cost_usd:
            return
        swarm = self._swarms.of(activity.swarm_id)
        hour_ms, slot_ms = place.at_ms - place.at_ms % HOUR_MS, place.at_ms - place.at_ms % SLOT_MS
        if hour_ms > swarm.hour_ms:
            if swarm.hour_usd:
                swarm.hours.append(swarm.hour_usd)
                del swarm.hours[:-HOURS_MAX]
            swarm.hour_ms, swarm.hour_usd = hour_ms, 0.0
        if swarm.slots and slot_ms <= swarm.slots[-1][0]:  # a late call counts where the newest do
            start, usd, offset = swarm.slots.pop()
            swarm.slots.append((start, usd + activity.cost_usd, offset))
        else:
            swarm.slots.append((slot_ms, activity.cost_usd, place.offset))
        while swarm.slots[0][0] <= swarm.slots[-1][0] - HOUR_MS:
            swarm.slots.pop(0)
        now_usd = math.fsum(usd for _, usd, _ in swarm.slots)
        swarm.hour_usd = max(swarm.hour_usd, now_usd)
        if len(swarm.hours) >= HOURS_MIN:
            yield from self._judge(swarm, now_usd, activity, place)

    def _judge(self, swarm: _Swarm, now_usd: float, activity: ActivityRecord, place: Place) -> Iterator[Finding]:
        usual = median(swarm.hours)
        spread = 1.4826 * median([abs(usd - usual) for usd in swarm.hours])  # the standard deviation of normal hours
        limit = max(RATIO_MIN * usual, usual + SPREADS_MIN * spread, COST_MIN_USD)
        if now_usd <= limit:
            if now_usd <= limit / 2:
                swarm.told_usd = 0.0
            return
        if swarm.told_usd and now_usd < 2 * swarm.told_usd:
            return
        swarm.told_usd = now_usd
        severity: Severity = "high" if now_usd > 2 * limit else "medium"
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id="",
            metric="cost_usd",
            unit="USD",
            began=(swarm.slots[0][0], swarm.slots[0][2]),
            place=place,
            value=now_usd,
            high=limit,
            severity=severity,
            reason=f"the last 60 minutes cost {now_usd:.2f} USD, {now_usd / usual:.1f} times the usual hour of "
            f"{usual:.2f} USD (median of {len(swarm.hours)} hours)",
            evidence={
                "usual_hour_usd": f"{usual:.4f}",
                "hours": str(len(swarm.hours)),
                "newest_agent": short(activity.agent_id),
                "newest_model": short(activity.model),
            },
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._swarms.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._swarms.restore(state)


def median(values: list[float]) -> float:
    """The middle one, or the mean of the two middle ones; of at least one value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
