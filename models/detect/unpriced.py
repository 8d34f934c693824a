"""Finds models that cost something nobody knows: calls with tokens and no price.

In: ended model calls, after the price book was asked. Out: one finding a swarm and model, and one a day that it lasts.
Never: a guess of the cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from models.codecs.structs import ActivityRecord
from models.detect.finding import DetectorSpec, Finding, Limit, Place, short
from models.detect.keyed import Keyed

AGAIN_MS: Final = 86_400_000
MODELS_MAX: Final = 5_000  # swarms times models of a partition, 100 bytes each

SPEC: Final = DetectorSpec(
    name="unpriced_model",
    version=1,
    finds="Model calls with tokens and without a price: their cost is missing from every sum.",
    reads="ended `model_call`: `model`, token counts, `cost_usd` (given, or from the price book)",
    limits=(
        Limit("calls", 0, "calls", "one is enough: every sum of costs that contains it is too low"),
        Limit("again after", AGAIN_MS, "ms", "a reminder a day, with the calls and tokens since"),
    ),
    delay="with the first such call",
    blind="Calls that report no tokens at all: nothing says that they cost something.",
    action="",
)


class _Model(Struct, array_like=True, gc=False):
    calls: int = 0
    tokens: int = 0
    since_ms: int = 0
    from_offset: int = 0
    told_ms: int = 0


class UnpricedDetector:
    """One memory a swarm and model."""

    spec = SPEC
    kinds = frozenset({"model_call"})

    def __init__(self) -> None:
        self._models = Keyed(_Model, MODELS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended or activity.kind != "model_call":
            return
        if activity.cost_usd is not None:
            return
        tokens = sum(
            count or 0
            for count in (
                activity.input_tokens,
                activity.cache_read_tokens,
                activity.cache_write_5m_tokens,
                activity.cache_write_1h_tokens,
                activity.output_tokens,
            )
        )
        if not tokens:
            return
        model = self._models.of(activity.swarm_id, activity.model)
        if not model.calls:
            model.since_ms, model.from_offset = place.at_ms, place.offset
        model.calls += 1
        model.tokens += tokens
        if model.told_ms and place.at_ms < model.told_ms + AGAIN_MS:
            return
        model.told_ms = place.at_ms
        name = short(activity.model) or "(no name)"
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id=activity.agent_id,
            metric="unpriced_calls",
            unit="calls",
            began=(model.since_ms, model.from_offset),
            place=place,
            value=float(model.calls),
            high=0.0,
            severity="medium",
            reason=f"{model.calls} calls of model {name} with {model.tokens} tokens have no price: "
            "add it to the price book",
            subject=activity.model,
            evidence={"model": name, "calls": str(model.calls), "tokens": str(model.tokens)},
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._models.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._models.restore(state)
