"""Activities -> metrics: what one finished activity says about durations, tokens, cost and errors.

In: a valid `ActivityRecord`. Out: its metrics, in a fixed order.
Never: turns an unmeasured field into a number, or projects an activity that has not ended.

The position k of a metric in the result is part of the row's identity (`idx` = position in the record + 65,536 * k).
RULES is therefore append-only: a metric inserted before others would re-number what is already stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from models.codecs.structs import ActivityRecord
from models.events import TERMINAL_STATUSES

PROJECTED_METRICS_MAX: Final = 16  # of one activity; VALUE_LEAVES_MAX bounds the same part of `idx`


class Projected(NamedTuple):
    """One metric of an activity."""

    metric: str
    value: float
    unit: str
    provenance: str


class Rule(NamedTuple):
    """One metric that activities of some kinds give when `measure` finds a value."""

    metric: str
    unit: str
    kinds: frozenset[str]
    measure: Callable[[ActivityRecord], float | None]
    provenance: Callable[[ActivityRecord], str]


def is_terminal(activity: ActivityRecord) -> bool:
    """Whether the activity has ended, so that its metrics are final."""
    return activity.status in TERMINAL_STATUSES


def event_time_ms(activity: ActivityRecord) -> int:
    """Event time of the projected metrics: the end where it is known, else the start."""
    return activity.started_at if activity.ended_at is None else activity.ended_at


def project(activity: ActivityRecord) -> list[Projected]:
    """The metrics of a terminal activity; none for one that still runs or is blocked."""
    if activity.status not in TERMINAL_STATUSES:
        return []
    projected: list[Projected] = []
    for rule in _RULES_OF_KIND[activity.kind]:
        value = rule.measure(activity)
        if value is not None:
            projected.append(Projected(rule.metric, float(value), rule.unit, rule.provenance(activity)))
    return projected


def _own(activity: ActivityRecord) -> str:
    return activity.provenance


def _of_cost(activity: ActivityRecord) -> str:
    return activity.cost_provenance or activity.provenance


def _derived(activity: ActivityRecord) -> str:
    return "derived"


def _error(activity: ActivityRecord) -> float | None:
    """0 or 1, so that the mean over a window is the share that failed; a cancelled activity did neither."""
    return {"completed": 0.0, "failed": 1.0}.get(activity.status)


def _duration(metric: str, kind: str) -> Rule:
    return Rule(metric, "ms", frozenset({kind}), lambda a: a.duration_ms, _own)


def _tokens(metric: str, measure: Callable[[ActivityRecord], float | None]) -> Rule:
    return Rule(metric, "tokens", frozenset({"model_call"}), measure, _own)


# Append only: see the module's docstring.
RULES: Final[tuple[Rule, ...]] = (
    _duration("model_call_duration", "model_call"),
    _duration("tool_duration", "tool_call"),
    _duration("task_duration", "task"),
    _duration("communication_latency", "message"),
    _duration("session_duration", "session"),
    _duration("phase_duration", "phase"),
    _duration("agent_spawn_time", "lifecycle"),
    _tokens("input_tokens", lambda a: a.input_tokens),
    _tokens("output_tokens", lambda a: a.output_tokens),
    _tokens("cache_read_tokens", lambda a: a.cache_read_tokens),
    _tokens("cache_write_5m_tokens", lambda a: a.cache_write_5m_tokens),
    _tokens("cache_write_1h_tokens", lambda a: a.cache_write_1h_tokens),
    Rule("cost_usd", "USD", frozenset({"model_call"}), lambda a: a.cost_usd, _of_cost),
    Rule("error_rate", "ratio", frozenset({"task", "tool_call", "model_call", "message"}), _error, _derived),
)

_KINDS: Final = ("session", "phase", "task", "model_call", "tool_call", "message", "lifecycle", "edit")
_RULES_OF_KIND: Final = {kind: tuple(rule for rule in RULES if kind in rule.kinds) for kind in _KINDS}
