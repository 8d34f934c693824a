"""Finds two agents that hand work to each other and back, and get nothing done.

In: messages that are hand-offs; ended work. Out: findings. Never: takes questions and answers for hand-offs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

PASSES_MIN: Final = 6
ESCALATION: Final = 4
PAIRS_MAX: Final = 64
SWARMS_MAX: Final = 1_000  # of a partition, 64 pairs of 150 bytes each at worst
# `message_type` in lower case without punctuation; frameworks write handoff, hand_off, hand-off, HandOff.
HAND_OFFS: Final = frozenset({"handoff", "transfer", "delegate", "delegation"})
PROGRESS: Final = frozenset({"task", "phase", "edit"})

SPEC: Final = DetectorSpec(
    name="handoff_ping_pong",
    version=1,
    finds="Two agents that hand the same work to each other and back.",
    reads="ended `message`: `message_type` (handoff, transfer, delegate, delegation), `from_agent_id`, `to_agent_id`, "
    "`task_id`; completed `task`, `phase`, `edit` of either agent as progress",
    limits=(
        Limit("passes", PASSES_MIN, "hand-offs", "there and back three times; a review with two corrections is five"),
        Limit("pairs", PAIRS_MAX, "pairs of agents", "of a swarm at once; the longest untouched is forgotten"),
        Limit("high severity", ESCALATION, "times the limit", "nobody has stopped it"),
    ),
    delay="with the hand-off that reaches the limit",
    blind="Circles of three agents and more; hand-offs under another `message_type`.",
    action="pause",
)


class _Swarm(Struct, array_like=True, gc=False):
    # pair and task -> passes in turn, who passed last, event time and offset of the first
    pairs: dict[str, tuple[int, str, int, int]] = field(default_factory=dict)


class PingPongDetector:
    """One memory a swarm."""

    spec = SPEC
    kinds = PROGRESS | {"message"}

    def __init__(self) -> None:
        self._swarms = Keyed(_Swarm, SWARMS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended or activity.status != "completed":
            return
        if activity.kind in PROGRESS:
            swarm = self._swarms.get(activity.swarm_id)
            if swarm is not None and swarm.pairs:
                done = activity.agent_id
                swarm.pairs = {k: v for k, v in swarm.pairs.items() if done not in k.split("\0")[:2]}
            return
        sender, receiver = activity.from_agent_id or activity.agent_id, activity.to_agent_id
        if activity.kind != "message" or not sender or not receiver or sender == receiver:
            return
        if not is_hand_off(activity.message_type):
            return
        pairs = self._swarms.of(activity.swarm_id).pairs
        key = "\0".join((*sorted((sender, receiver)), activity.task_id))
        passes, last, since_ms, from_offset = pairs.pop(key, (0, "", place.at_ms, place.offset))
        if last == sender:  # the same direction again: not in turn
            passes, since_ms, from_offset = 0, place.at_ms, place.offset
        pairs[key] = (passes + 1, sender, since_ms, from_offset)
        if len(pairs) > PAIRS_MAX:
            del pairs[next(iter(pairs))]
        if passes + 1 not in (PASSES_MIN, PASSES_MIN * ESCALATION):
            return
        severity: Severity = "medium" if passes + 1 == PASSES_MIN else "high"
        first, second = sorted((sender, receiver))
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id=sender,
            metric="handoffs",
            unit="handoffs",
            began=(since_ms, from_offset),
            place=place,
            value=float(passes + 1),
            high=float(PASSES_MIN - 1),
            severity=severity,
            reason=f"{short(first)} and {short(second)} handed work to each other {passes + 1} times in turn within "
            f"{(place.at_ms - since_ms) / 1000:.1f} s, and neither completed a task, a phase or an edit",
            subject=key,
            evidence={"first": short(first), "second": short(second), "task_id": short(activity.task_id)},
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._swarms.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._swarms.restore(state)


def is_hand_off(message_type: str) -> bool:
    """Whether a message of this type hands work over."""
    return "".join(c for c in message_type.lower() if c.isalnum()) in HAND_OFFS
