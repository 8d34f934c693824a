"""Finds a model that has become slower for a swarm, and stays so.

In: ended model calls with a duration. Out: findings. Never: an alarm for single slow calls.

The recent calls are held against the 90 % quantile of those before: of 20 calls two lie above it by chance, so eleven
do so in one of a million looks. No assumption about the shape of durations is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.cost_spike import median
from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

RECENT: Final = 20
ABOVE_MIN: Final = 11
QUANTILE: Final = 0.9
REFERENCE_MIN: Final = 60
REFERENCE_MAX: Final = 200
RATIO_MIN: Final = 1.5
REFRESH: Final = 20
MODELS_MAX: Final = 2_000  # swarms times models of a partition, 220 numbers each

SPEC: Final = DetectorSpec(
    name="latency_shift",
    version=1,
    finds="A model that answers slower than before, call after call.",
    reads="ended `model_call`: `model`, `duration_ms`",
    limits=(
        Limit("recent calls", RECENT, "calls", "the fewest in which eleven slow ones are no chance"),
        Limit("slow calls", ABOVE_MIN, "calls", "above the former 90 % quantile: 7e-7 by chance (binomial, 20, 0.1)"),
        Limit("ratio", RATIO_MIN, "times the former median", "a smaller shift is for reports"),
        Limit("reference", REFERENCE_MIN, "calls", "for a quantile that six calls lie above"),
        Limit("remembered", REFERENCE_MAX, "calls", "the newest before the recent ones"),
    ),
    delay="11 slow calls",
    blind="Slow drifts over more than 200 calls; models with fewer than 80 calls; durations published as metrics only "
    "(their series has a score).",
    action="reroute",
)


class _Model(Struct, array_like=True, gc=False):
    recent: list[tuple[float, int, int]] = field(default_factory=list)  # duration, event time, offset
    reference: list[float] = field(default_factory=list)
    quantile_ms: float = 0.0
    fresh: int = 0  # calls that joined the reference since its quantile was computed
    told: bool = False


class LatencyShiftDetector:
    """One memory a swarm and model."""

    spec = SPEC
    kinds = frozenset({"model_call"})

    def __init__(self) -> None:
        self._models = Keyed(_Model, MODELS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended or activity.kind != "model_call" or activity.duration_ms is None or activity.status != "completed":
            return
        model = self._models.of(activity.swarm_id, activity.model)
        model.recent.append((float(activity.duration_ms), place.at_ms, place.offset))
        if len(model.recent) > RECENT:
            model.reference.append(model.recent.pop(0)[0])
            del model.reference[:-REFERENCE_MAX]
            model.fresh += 1
        if len(model.reference) < REFERENCE_MIN:
            return
        if model.fresh >= REFRESH or not model.quantile_ms:
            ordered = sorted(model.reference)
            model.quantile_ms, model.fresh = ordered[int(QUANTILE * len(ordered))], 0
        slow = [call for call in model.recent if call[0] > model.quantile_ms]
        if model.told:
            model.told = len(slow) >= ABOVE_MIN // 2  # back to normal, or the new level has become the reference
        elif len(slow) >= ABOVE_MIN:
            yield from self._judge(model, activity, place, slow)

    def _judge(
        self, model: _Model, activity: ActivityRecord, place: Place, slow: list[tuple[float, int, int]]
    ) -> Iterator[Finding]:
        now_ms, before_ms = median([call[0] for call in model.recent]), median(model.reference)
        if now_ms < RATIO_MIN * before_ms:
            return
        model.told = True
        severity: Severity = "high" if now_ms > 3 * before_ms else "medium"
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id="",
            metric="model_call_duration",
            unit="ms",
            began=(slow[0][1], slow[0][2]),
            place=place,
            value=now_ms,
            high=model.quantile_ms,
            severity=severity,
            reason=f"{short(activity.model) or 'a model without a name'}: {len(slow)} of the last {RECENT} calls took "
            f"longer than {model.quantile_ms:.0f} ms, which 90 % of calls before did not; the median went from "
            f"{before_ms:.0f} to {now_ms:.0f} ms",
            subject=activity.model,
            evidence={
                "model": short(activity.model),
                "median_before_ms": f"{before_ms:.0f}",
                "slow_calls": str(len(slow)),
                "calls_before": str(len(model.reference)),
            },
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._models.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._models.restore(state)
