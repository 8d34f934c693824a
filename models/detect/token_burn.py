"""Finds an agent that goes on paying for tokens and gets nothing done.

In: ended model calls and what counts as progress. Out: findings. Never: counts tokens read from a cache (they are the
same context again, at a tenth of the price).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from models.codecs.structs import ActivityRecord
from models.detect.finding import DetectorSpec, Finding, Limit, Place, Severity, short
from models.detect.keyed import Keyed

TOKENS_MIN: Final = 200_000
CALLS_MIN: Final = 10
ESCALATION: Final = 4
REMEMBERED: Final = 8
AGENTS_MAX: Final = 20_000  # of a partition, 200 bytes each
PROGRESS: Final = frozenset({"task", "phase", "edit", "message", "session"})

SPEC: Final = DetectorSpec(
    name="token_burn",
    version=1,
    finds="An agent that spends tokens call after call and completes nothing.",
    reads="ended `model_call`: input, cache-write and output tokens; as progress: completed `task`, `phase`, `edit`, "
    "`message`, `session`, and completed `tool_call` whose input is none of its last eight",
    limits=(
        Limit("tokens", TOKENS_MIN, "tokens", "since the last progress: a whole context window filled anew"),
        Limit("calls", CALLS_MIN, "model calls", "since then: one large prompt is no burn"),
        Limit("remembered inputs", REMEMBERED, "tool calls", "a call with one of them is a repetition, not progress"),
        Limit("high severity", ESCALATION, "times the tokens", "nobody has stopped it"),
    ),
    delay="with the call that reaches both limits",
    blind="Progress that no event reports looks like none: an agent that only talks is told after 200,000 tokens.",
    action="pause",
)


class _Agent(Struct, array_like=True, gc=False):
    tokens: int = 0
    calls: int = 0
    since_ms: int = 0
    from_offset: int = 0
    failed_tools: int = 0
    told: int = 0  # how often since the last progress
    inputs: list[str] = field(default_factory=list)  # digests of the last tool calls


class TokenBurnDetector:
    """One memory an agent."""

    spec = SPEC
    kinds = PROGRESS | {"model_call", "tool_call"}

    def __init__(self) -> None:
        self._agents = Keyed(_Agent, AGENTS_MAX)

    def see(self, activity: ActivityRecord, place: Place, *, ended: bool) -> Iterator[Finding]:
        """What this activity shows."""
        if not ended:
            return
        if activity.kind == "model_call":
            yield from self._spend(activity, place)
        elif activity.kind == "tool_call":
            agent = self._agents.of(activity.swarm_id, activity.agent_id)
            if activity.status != "completed":
                agent.failed_tools += 1
            elif _is_new(agent, activity):
                _progress(agent)
        elif activity.kind in PROGRESS and activity.status == "completed":
            known = self._agents.get(activity.swarm_id, activity.agent_id)
            if known is not None:
                _progress(known)

    def _spend(self, activity: ActivityRecord, place: Place) -> Iterator[Finding]:
        agent = self._agents.of(activity.swarm_id, activity.agent_id)
        if not agent.calls:
            agent.since_ms, agent.from_offset = place.at_ms, place.offset
        agent.calls += 1
        agent.tokens += (
            (activity.input_tokens or 0)
            + (activity.cache_write_5m_tokens or 0)
            + (activity.cache_write_1h_tokens or 0)
            + (activity.output_tokens or 0)
        )
        if agent.calls < CALLS_MIN or agent.tokens < TOKENS_MIN * (1, ESCALATION)[min(agent.told, 1)] or agent.told > 1:
            return
        agent.told += 1
        severity: Severity = "medium" if agent.told == 1 else "high"
        yield Finding(
            detector=SPEC.name,
            swarm_id=activity.swarm_id,
            agent_id=activity.agent_id,
            metric="tokens_without_progress",
            unit="tokens",
            began=(agent.since_ms, agent.from_offset),
            place=place,
            value=float(agent.tokens),
            high=float(TOKENS_MIN),
            severity=severity,
            reason=f"{agent.calls} model calls spent {agent.tokens} tokens within "
            f"{(place.at_ms - agent.since_ms) / 60_000:.1f} min, and nothing was completed meanwhile",
            evidence={
                "calls": str(agent.calls),
                "tokens": str(agent.tokens),
                "failed_tool_calls": str(agent.failed_tools),
                "model": short(activity.model),
            },
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._agents.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._agents.restore(state)


def _is_new(agent: _Agent, activity: ActivityRecord) -> bool:
    if not activity.input_hash:
        return True  # nothing says that it was a repetition
    digest = hashlib.blake2b(f"{activity.tool}\0{activity.input_hash}".encode(), digest_size=8).hexdigest()
    new = digest not in agent.inputs
    agent.inputs.append(digest)
    del agent.inputs[:-REMEMBERED]
    return new


def _progress(agent: _Agent) -> None:
    agent.tokens = agent.calls = agent.failed_tools = agent.told = 0
