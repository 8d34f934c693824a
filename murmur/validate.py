"""The rules of the event model, checked before an event costs a byte on the wire.

In: what the agent passed to emit() and activity(). Out: None, or the broken rule in a few words.
Never: coerces a string into a number, raises, reads a clock.

The published JSON Schema is the authority; a test compares these rules with the worker's decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Final

ID_LENGTH_MAX = 256  # characters
UNIT_LENGTH_MAX = 32  # characters
TEXT_LENGTH_MAX = 1024  # characters of a tag value or a text field
TAGS_MAX = 64
TAG_KEY_LENGTH_MAX = 128  # characters
TIMESTAMP_MS_MIN = 946_684_800_000  # 2000-01-01Z: earlier is an unset clock, or seconds sent as milliseconds
TIMESTAMP_MS_MAX = 4_102_444_800_000  # 2100-01-01Z
TOKENS_MAX = 1 << 53  # counts stay exact in a double
DURATION_MS_MAX = 1e12  # 31 years
COST_USD_MAX = 1e9  # of one activity
VALUE_ABS_MAX = 1e100  # squares and sums of larger values overflow a double
VALUE_LEAVES_MAX = 256
VALUE_DEPTH_MAX = 8

METRIC_NAME = re.compile(r"[a-z][a-z0-9_.]{0,127}\Z")
SOURCES: Final = frozenset({"agent", "coordinator", "memory", "neural"})
PRIORITIES: Final = frozenset({"high", "medium", "low"})
CATEGORIES: Final = frozenset({"", "performance", "resource", "error", "business"})
PROVENANCES: Final = frozenset({"measured", "derived", "estimated", "declared"})
KINDS: Final = frozenset({"session", "phase", "task", "model_call", "tool_call", "message", "lifecycle", "edit"})
STATUSES: Final = frozenset({"running", "completed", "failed", "blocked", "cancelled"})

TagItems = tuple[tuple[str, str], ...]
Rule = Callable[[Any], str | None]


class InvalidEventError(ValueError):
    """Raised by a strict publisher for an event that breaks a rule."""


def check_identifier(text: object, *, empty_allowed: bool = True) -> str | None:
    """The rule of swarm, agent and run ids."""
    if type(text) is not str:
        return f"must be a string, got {type(text).__name__}"
    if not text and not empty_allowed:
        return "must not be empty"
    if len(text) > ID_LENGTH_MAX:
        return f"must have at most {ID_LENGTH_MAX} characters, has {len(text)}"
    return _check_encodable(text)


def check_tags(items: object) -> str | None:
    """The rule of tags, given as ((key, value), ...)."""
    if type(items) is not tuple:
        return f"tags must be a mapping of strings, got {type(items).__name__}"
    if len(items) > TAGS_MAX:
        return f"at most {TAGS_MAX} tags, got {len(items)}"
    for key, value in items:
        if type(key) is not str or type(value) is not str:
            return f"tag {key!r}: keys and values must be strings"
        if not key or len(key) > TAG_KEY_LENGTH_MAX or len(value) > TEXT_LENGTH_MAX:
            return f"tag {key[:40]!r}: key 1..{TAG_KEY_LENGTH_MAX}, value 0..{TEXT_LENGTH_MAX} characters"
        if (reason := _check_encodable(key) or _check_encodable(value)) is not None:
            return f"tag {key[:40]!r}: {reason}"
    return None


def check_label(
    unit: object, tags: object, priority: object, category: object, source: object, provenance: object
) -> str | None:
    """Everything of a metric event that repeats from event to event."""
    if type(unit) is not str or len(unit) > UNIT_LENGTH_MAX or _check_encodable(unit) is not None:
        return f"unit {unit!r:.40}: a string of at most {UNIT_LENGTH_MAX} characters"
    for name, value, choices in (
        ("priority", priority, PRIORITIES),
        ("category", category, CATEGORIES),
        ("source", source, SOURCES),
        ("provenance", provenance, PROVENANCES),
    ):
        if type(value) is not str or value not in choices:
            return f"{name} {value!r:.40}: choose one of {', '.join(sorted(filter(None, choices)))}"
    return check_tags(tags)


def normalise_metric(name: object) -> str | None:
    """The metric's name in lower case, or None when it breaks the rule of names."""
    if type(name) is not str:
        return None
    lowered = name.lower()
    return lowered if METRIC_NAME.match(lowered) is not None else None


def finite_number(value: object) -> float | None:
    """The value as a double, or None when it is not a number of at most VALUE_ABS_MAX. A bool is not a number."""
    if type(value) is float:
        return value if -VALUE_ABS_MAX <= value <= VALUE_ABS_MAX else None  # false for NaN
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError, TypeError):
        return None
    return number if -VALUE_ABS_MAX <= number <= VALUE_ABS_MAX else None


def check_timestamp(timestamp_ms: object) -> str | None:
    """Epoch milliseconds between 2000 and 2100."""
    if type(timestamp_ms) is not int:
        return f"timestamp_ms must be a whole number of milliseconds, got {type(timestamp_ms).__name__}"
    if not TIMESTAMP_MS_MIN <= timestamp_ms <= TIMESTAMP_MS_MAX:
        return f"timestamp_ms {timestamp_ms} is not between 2000 and 2100 in epoch milliseconds"
    return None


def check_activity(fields: Mapping[str, object]) -> str | None:
    """The first rule an activity breaks, as `field: rule`; fields the model does not know are a mistake too."""
    for name in ("kind", "status", "started_at"):
        if fields.get(name) is None:
            return f"{name}: required"
    for name, value in fields.items():
        rule = _ACTIVITY_RULES.get(name)
        if rule is None:
            return f"{name}: not a field of an activity; put it into tags"
        if value is None and name in _OPTIONAL:
            continue
        if (reason := rule(value)) is not None:
            return f"{name}: {reason}"
    ended_at, started_at = fields.get("ended_at"), fields["started_at"]
    if isinstance(ended_at, int) and isinstance(started_at, int) and ended_at < started_at:
        return "ended_at: must not be before started_at"
    if fields.get("cost_usd") is None and fields.get("cost_provenance"):
        return "cost_provenance: without cost_usd; an unknown cost has no provenance"
    return None


def _check_encodable(text: str) -> str | None:
    if "\x00" in text:
        return "must not contain NUL"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "must be valid Unicode (a lone surrogate cannot be sent)"
    return None


def _text(value: object) -> str | None:
    if type(value) is not str or len(value) > TEXT_LENGTH_MAX:
        return f"a string of at most {TEXT_LENGTH_MAX} characters"
    return _check_encodable(value)


def _count(value: object) -> str | None:
    good = type(value) is int and 0 <= value <= TOKENS_MAX
    return None if good else "a whole number from 0 to 2^53"


def _number(low: float, high: float) -> Rule:
    def rule(value: object) -> str | None:
        number = finite_number(value)
        good = number is not None and low <= number <= high
        return None if good else f"a finite number from {low:g} to {high:g}"

    return rule


def _one_of(choices: frozenset[str]) -> Rule:
    def rule(value: object) -> str | None:
        good = type(value) is str and value in choices
        return None if good else f"choose one of {', '.join(sorted(filter(None, choices)))}"

    return rule


def _tag_mapping(value: object) -> str | None:
    return check_tags(tuple(value.items()) if isinstance(value, Mapping) else value)


def _flag(value: object) -> str | None:
    return None if type(value) is bool else "true or false"


_ACTIVITY_RULES: Final[dict[str, Rule]] = {
    "id": lambda value: check_identifier(value, empty_allowed=False),
    "swarm_id": lambda value: check_identifier(value, empty_allowed=False),
    **dict.fromkeys(
        (
            *("agent_id", "run_id", "parent_agent_id", "task_id", "task_hash", "input_hash"),
            *("from_agent_id", "to_agent_id"),
        ),
        check_identifier,
    ),
    "kind": _one_of(KINDS),
    "status": _one_of(STATUSES),
    "started_at": check_timestamp,
    "ended_at": check_timestamp,
    "duration_ms": _number(0, DURATION_MS_MAX),
    **dict.fromkeys(
        (
            *("role", "model", "provider", "phase", "pattern", "workflow"),
            *("tool", "message_type", "error_type"),
        ),
        _text,
    ),
    **dict.fromkeys(
        (
            *("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
            *("output_tokens", "retries", "conflicts", "security_findings", "files_touched"),
        ),
        _count,
    ),
    "cost_usd": _number(0, COST_USD_MAX),
    "cost_provenance": _one_of(PROVENANCES | {""}),
    "quality_ratio": _number(0, 1),
    "test_coverage_ratio": _number(0, 1),
    "success": _flag,
    "provenance": _one_of(PROVENANCES),
    "tags": _tag_mapping,
}
_OPTIONAL: Final = frozenset(
    {
        *("ended_at", "duration_ms", "input_tokens", "cache_read_tokens", "cache_write_5m_tokens"),
        *("cache_write_1h_tokens", "output_tokens", "cost_usd", "retries", "conflicts", "quality_ratio"),
        *("test_coverage_ratio", "security_findings", "files_touched", "success"),
    }
)
