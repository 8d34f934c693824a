"""What one activity measures for alert rules: the projected metrics, and those that only activities carry.

In: an `ActivityRecord`. Out: (measure, value, weight). Never: a number for what was not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from models.codecs.structs import ActivityRecord
from models.projection import is_terminal, project

_Value = tuple[float, float]  # value, weight


class Measure(NamedTuple):
    """A measure that exists only in activities. `kinds`: empty means activities of any kind."""

    name: str
    unit: str
    kinds: frozenset[str]
    of: Callable[[ActivityRecord], _Value | None]
    meaning: str


def _number(value: float | int | None) -> _Value | None:
    return None if value is None else (float(value), 1.0)


def _success(activity: ActivityRecord) -> _Value | None:
    """What the agent says of its task, else how the task ended; a cancelled task did neither."""
    if activity.success is not None:
        return float(activity.success), 1.0
    return _number({"completed": 1.0, "failed": 0.0}.get(activity.status))


def _cache_miss(activity: ActivityRecord) -> _Value | None:
    """Share of the prompt that no cache served, weighted by the prompt's tokens, so that a mean is the true share."""
    if activity.cache_read_tokens is None or activity.input_tokens is None:
        return None
    written = (activity.cache_write_5m_tokens or 0) + (activity.cache_write_1h_tokens or 0)
    prompt = activity.input_tokens + activity.cache_read_tokens + written
    return ((activity.input_tokens + written) / prompt, float(prompt)) if prompt else None


ONLY_IN_ACTIVITIES: Final[tuple[Measure, ...]] = (
    Measure(
        "task_success", "ratio", frozenset({"task"}), _success, "1 for a task that succeeded, 0 for one that failed."
    ),
    Measure(
        "cache_miss_ratio", "ratio", frozenset({"model_call"}), _cache_miss, "Share of prompt tokens no cache served."
    ),
    Measure("quality_ratio", "ratio", frozenset(), lambda a: _number(a.quality_ratio), "Quality of a piece of work."),
    Measure(
        "test_coverage_ratio", "ratio", frozenset(), lambda a: _number(a.test_coverage_ratio), "Test coverage of it."
    ),
    Measure("security_findings", "", frozenset(), lambda a: _number(a.security_findings), "Security findings."),
    Measure("conflicts", "", frozenset(), lambda a: _number(a.conflicts), "Integration conflicts."),
    Measure("retries", "", frozenset(), lambda a: _number(a.retries), "Retries."),
)
ACTIVITY_MEASURES: Final = frozenset(m.name for m in ONLY_IN_ACTIVITIES)


def measured(activity: ActivityRecord) -> Iterator[tuple[str, float, float]]:
    """(measure, value, weight) of an activity that has ended; nothing for one that still runs."""
    if not is_terminal(activity):
        return
    for metric in project(activity):
        yield metric.metric, metric.value, 1.0
    for measure in ONLY_IN_ACTIVITIES:
        if not measure.kinds or activity.kind in measure.kinds:
            found = measure.of(activity)
            if found is not None:
                yield measure.name, *found
