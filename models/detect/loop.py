"""Finds an agent that goes round in circles: the same calls again and again, or the same error again and again.

In: ended activities. Out: findings. Never: judges calls without an input hash (two calls of one tool are not one call).

A circle is one call, or two or three calls in turn, with the same tool and input each time round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

ROUNDS_MIN: Final = {1: 5, 2: 4, 3: 4}  # calls of a circle -> times round
ERRORS_MIN: Final = 5
ESCALATION: Final = 4
POLL_GAP_MS: Final = 60_000
REACTION_MS: Final = 500
REST_MS: Final = 600_000
AGENTS_MAX: Final = 20_000  # of a partition, 300 bytes each
TOOLS_MAX: Final = 16  # of one agent whose errors are counted
# A person's answer, or a call that never ran, is no fault of the agent.
NO_FAULT: Final = frozenset({"user_rejected", "interrupted", "sibling_failed"})

SPEC: Final = DetectorSpec(
    name="loop",
    version=1,
    finds="The same tool calls with the same input again and again, or the same error again and again.",
    reads="ended activities: `tool`, `input_hash`, `status`, `error_type`",
    limits=(
        Limit(
            "rounds of one call", ROUNDS_MIN[1], "times", "four can be a patient retry; the fifth learns nothing new"
        ),
        Limit(
            "rounds of two or three calls", ROUNDS_MIN[2], "times", "edit and test in turn have new inputs each time"
        ),
        Limit(
            "errors in a row",
            ERRORS_MIN,
            "errors",
            "of one tool and class without a success; calls side by side are one",
        ),
        Limit(
            "polling",
            POLL_GAP_MS,
            "ms",
            "calls or errors this far apart, on average, wait for something or for a person",
        ),
        Limit(
            "reaction", REACTION_MS, "ms", "no model answers sooner: an error that follows faster is the same attempt"
        ),
        Limit("rest", REST_MS, "ms", "an agent that goes round circle after circle is one event, told once a severity"),
        Limit("high severity", ESCALATION, "times the limit", "who has not stopped by then will not stop alone"),
    ),
    delay="with the call that reaches the limit",
    blind="Calls without `input_hash`; circles of more than three calls.",
    action="pause",
)


class _Agent(Struct, array_like=True, gc=False):
    last: list[tuple[str, int, int]] = field(default_factory=list)  # newest 4 calls: digest, event time, offset
    runs: list[int] = field(default_factory=lambda: [0, 0, 0])  # calls in a row that equal the one 1, 2, 3 before
    starts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)] * 3)  # event time, offset of their first
    # tool -> class, count, event time and offset of the first, when the next attempt can begin
    errors: dict[str, tuple[str, int, int, int, int]] = field(default_factory=dict)
    told_ms: dict[str, int] = field(default_factory=dict)  # severity -> event time of the last circle told


class LoopDetector:
    """One memory an agent."""

    spec = SPEC
    kinds = frozenset({"tool_call", "model_call", "task", "message"})

    def __init__(self) -> None:
        self._agents = Keyed(_Agent, AGENTS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended or not (activity.tool or activity.error_type):
            return
        agent = self._agents.of(activity.swarm_id, activity.agent_id)
        if activity.kind == "tool_call" and activity.input_hash:
            yield from self._circle(agent, activity, place)
        yield from self._errors(agent, activity, place)

    def _circle(self, agent: _Agent, activity: ActivityRecord, place: Place) -> Iterator[Finding]:
        digest = hashlib.blake2b(f"{activity.tool}\0{activity.input_hash}".encode(), digest_size=8).hexdigest()
        last, runs = agent.last, agent.runs
        for period in (1, 2, 3):
            if len(last) >= period and last[-period][0] == digest:
                if not runs[period - 1]:
                    agent.starts[period - 1] = last[-period][1:]
                runs[period - 1] += 1
            else:
                runs[period - 1] = 0
        last.append((digest, place.at_ms, place.offset))
        del last[:-4]
        period = 1 if runs[0] else 2 if runs[1] else 3
        run, rounds = runs[period - 1], ROUNDS_MIN[period]
        severity: Severity = "medium" if run == period * (rounds - 1) else "high"
        if run not in (period * (rounds - 1), period * (ESCALATION * rounds - 1)):
            return
        since_ms, from_offset = agent.starts[period - 1]
        calls = run + period
        if place.at_ms - since_ms > POLL_GAP_MS * calls:
            return
        if place.at_ms < agent.told_ms.get(severity, place.at_ms - REST_MS) + REST_MS:
            return
        agent.told_ms[severity] = place.at_ms
        what = activity.tool if period == 1 else f"a circle of {period} calls with {activity.tool}"
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id=activity.agent_id,
            metric="repeated_calls",
            unit="calls",
            began=(since_ms, from_offset),
            place=place,
            value=float(calls),
            high=float(period * rounds - 1),
            severity=severity,
            reason=f"{short(what)} was called {calls // period} times in a row with the same input, "
            f"in {(place.at_ms - since_ms) / 1000:.1f} s; {rounds - 1} are usual at most",
            subject=f"call {digest}",
            evidence={"tool": short(activity.tool), "input_hash": short(activity.input_hash), "period": str(period)},
        )

    def _errors(self, agent: _Agent, activity: ActivityRecord, place: Place) -> Iterator[Finding]:
        tool = activity.tool or activity.kind
        if activity.status == "completed":
            agent.errors.pop(tool, None)
            return
        if activity.status != "failed" or activity.error_type in NO_FAULT:
            return
        error, count, since_ms, from_offset, last_ms = agent.errors.pop(tool, ("", 0, 0, 0, 0))
        if error != activity.error_type:
            error, count, since_ms, from_offset, last_ms = activity.error_type, 0, place.at_ms, place.offset, 0
        # Calls side by side are one attempt: none of them knew of the other's failure.
        attempt = activity.started_at >= last_ms
        if attempt:
            count, last_ms = count + 1, place.at_ms + REACTION_MS
        agent.errors[tool] = (error, count, since_ms, from_offset, last_ms)
        if len(agent.errors) > TOOLS_MAX:
            del agent.errors[next(iter(agent.errors))]
        if not attempt or count not in (ERRORS_MIN, ERRORS_MIN * ESCALATION):
            return
        if place.at_ms - since_ms > POLL_GAP_MS * count:
            return
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id=activity.agent_id,
            metric="repeated_errors",
            unit="errors",
            began=(since_ms, from_offset),
            place=place,
            value=float(count),
            high=float(ERRORS_MIN - 1),
            severity="medium" if count == ERRORS_MIN else "high",
            reason=f"{short(tool)} failed {count} times in a row with {short(error) or 'an unnamed error'}, "
            f"in {(place.at_ms - since_ms) / 1000:.1f} s",
            subject=f"error {tool}",
            evidence={"tool": short(tool), "error_type": short(error)},
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._agents.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._agents.restore(state)
