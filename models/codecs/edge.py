"""The pydantic door: single events from outside the log (REST, importers, tests).

In: one decoded JSON value. Out: validated events. Never: on the hot path.
Raises pydantic.ValidationError, which names every broken rule at once.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from models.codecs import rules
from models.codecs.records import EventError
from models.events import ActivityEvent, MetricEvent


def parse_metric_event(obj: Any) -> list[MetricEvent]:
    """The event, or one event for each numeric leaf of an object value (`metric.leaf`)."""
    if not isinstance(obj, dict) or not isinstance(obj.get("value"), dict):
        return [MetricEvent.model_validate(obj)]
    # The object's other fields are judged with a number in its place, so that every mistake is reported.
    base = MetricEvent.model_validate({**obj, "value": 0})
    try:
        found = rules.leaves(base.metric, obj["value"])
    except EventError as error:
        raise _value_error(f"value: {error.reason}", obj["value"]) from None
    return [MetricEvent.model_validate({**obj, "metric": name, "value": leaf}) for name, leaf in found]


def parse_activity_event(obj: Any) -> ActivityEvent:
    """The activity."""
    return ActivityEvent.model_validate(obj)


def _value_error(reason: str, value: object) -> ValidationError:
    detail = InitErrorDetails(
        type=PydanticCustomError("value_object", "{reason}", {"reason": reason}), loc=("value",), input=value
    )
    return ValidationError.from_exception_data("MetricEvent", [detail])
