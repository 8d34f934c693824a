"""Finds a swarm whose work fails far more often than it used to.

In: ended tasks, tool calls, model calls, messages. Out: findings. Never: counts what a person refused or stopped.

The failures among the recent outcomes are held against the share that failed before: P(at least as many | that share).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed
from models.detect.loop import NO_FAULT

RECENT_MAX: Final = 50
SAME_MS: Final = 2_000
WINDOW_MS: Final = 300_000
FAILURES_MIN: Final = 5
SHARE_MIN: Final = 0.1
LEARNED_MIN: Final = 30
MEMORY: Final = 500.0
PRIOR_OUTCOMES: Final = 20.0
PRIOR_FAILURES: Final = 1.0
CHANCE_MAX: Final = 1e-6
SWARMS_MAX: Final = 2_000  # of a partition, 50 outcomes of 20 bytes each
KINDS: Final = frozenset({"task", "tool_call", "model_call", "message"})

SPEC: Final = DetectorSpec(
    name="error_rate_spike",
    version=2,
    finds="A swarm whose work fails far more often than before.",
    reads="ended `task`, `tool_call`, `model_call`, `message`: `status`, `error_type`",
    limits=(
        Limit("chance", CHANCE_MAX, "probability", "of so many failures at the former share; one look an outcome"),
        Limit("failures", FAILURES_MIN, "failures", "fewer are an incident of one tool"),
        Limit("share", SHARE_MIN, "ratio", "F10's critical limit of 0.10 over five minutes"),
        Limit(
            "same",
            SAME_MS,
            "ms",
            "calls of one tool by one agent that end alike within it, parallel or tried again, are one",
        ),
        Limit("window", WINDOW_MS, "ms", "of the same rule"),
        Limit("recent outcomes", RECENT_MAX, "outcomes", "bounds the memory; a burst within them is seen all the same"),
        Limit("learned", LEARNED_MIN, "outcomes", "before there is a share to compare with"),
        Limit("memory", MEMORY, "outcomes", "a day of work of one busy agent; older ones fade"),
        Limit("prior outcomes", PRIOR_OUTCOMES, "outcomes", "with one failure: a spotless start is no promise"),
    ),
    delay="with the failure that makes it rarer than the chance: the 5th to 12th when all fail",
    blind="Errors a swarm had from its first 30 outcomes on; swarms that publish only the metric `error_rate` (their "
    "series has a score).",
    action="pause",
)


class _Swarm(Struct, array_like=True, gc=False):
    # Event time, offset, failed, what, agent.
    recent: list[tuple[int, int, bool, str, str]] = field(default_factory=list)
    outcomes: float = 0.0  # before the recent ones, fading
    failures: float = 0.0
    told_share: float = 0.0  # of the spike that lasts; 0: none does


class ErrorSpikeDetector:
    """One memory a swarm."""

    spec = SPEC
    kinds = KINDS

    def __init__(self) -> None:
        self._swarms = Keyed(_Swarm, SWARMS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended or activity.kind not in KINDS or activity.status == "cancelled":
            return
        if activity.error_type in NO_FAULT:
            return
        failed = activity.status == "failed"
        swarm = self._swarms.of(activity.swarm_id)
        what = short(f"{activity.tool or activity.kind}: {activity.error_type or 'failed' if failed else 'completed'}")
        if _is_same(swarm, place.at_ms, what, activity.agent_id):
            return
        swarm.recent.append((place.at_ms, place.offset, failed, what, activity.agent_id))
        oldest_ms = place.at_ms - WINDOW_MS
        while swarm.recent[0][0] < oldest_ms or len(swarm.recent) > RECENT_MAX:
            _learn(swarm, failed=swarm.recent.pop(0)[2])
        if swarm.told_share:
            share = sum(o[2] for o in swarm.recent) / len(swarm.recent)
            if share < swarm.told_share / 2 and len(swarm.recent) >= 2 * FAILURES_MIN:
                swarm.told_share = 0.0
        elif failed and swarm.outcomes >= LEARNED_MIN:
            yield from self._judge(swarm, activity.swarm_id, place)

    def _judge(self, swarm: _Swarm, swarm_id: str, place: Place) -> Iterator[Finding]:
        failures = [outcome for outcome in swarm.recent if outcome[2]]
        n, k = len(swarm.recent), len(failures)
        if k < FAILURES_MIN or k / n < SHARE_MIN:
            return
        before = (swarm.failures + PRIOR_FAILURES) / (swarm.outcomes + PRIOR_OUTCOMES)
        chance = binomial_tail(k, n, before)
        if chance > CHANCE_MAX:
            return
        swarm.told_share = k / n
        whats = [outcome[3] for outcome in failures]
        main = max(sorted(set(whats)), key=whats.count)
        severity: Severity = "critical" if k / n >= 0.5 else "high"
        yield Finding(
            detector=SPEC.name,
            swarm_id=swarm_id,
            agent_id="",
            metric="error_rate",
            unit="ratio",
            began=(failures[0][0], failures[0][1]),
            place=place,
            value=k / n,
            high=min(1.0, max(SHARE_MIN, before)),
            severity=severity,
            reason=f"{k} of the last {n} outcomes failed ({k / n:.0%}) within {WINDOW_MS // 60_000} min; "
            f"{before:.1%} failed before; most of them {main}",
            evidence={
                "failures": str(k),
                "outcomes": str(n),
                "share_before": f"{before:.4f}",
                "chance": f"{chance:.1e}",
                "most": main,
                "most_count": str(whats.count(main)),
            },
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._swarms.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._swarms.restore(state)


def _is_same(swarm: _Swarm, at_ms: int, what: str, agent_id: str) -> bool:
    """Whether such an outcome of this agent was counted just before: one cause, whatever the number of calls.

    Against the last one counted, so that a tool that keeps failing is counted again and again.
    """
    for past_ms, _, _, past_what, past_agent in reversed(swarm.recent):
        if abs(at_ms - past_ms) > SAME_MS:
            return False
        if past_what == what and past_agent == agent_id:
            return True
    return False


def _learn(swarm: _Swarm, *, failed: bool) -> None:
    fade = 1.0 - 1.0 / MEMORY
    swarm.outcomes = swarm.outcomes * fade + 1.0
    swarm.failures = swarm.failures * fade + (1.0 if failed else 0.0)


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(at least k of n) when each happens with probability p; 0 < p < 1, 0 <= k <= n."""
    odds = p / (1.0 - p)
    term = math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p)) * (1.0 - p) ** (
        n - k
    )
    total = 0.0
    for i in range(k, n + 1):
        total += term
        term *= odds * (n - i) / (i + 1)
    return min(1.0, total)
