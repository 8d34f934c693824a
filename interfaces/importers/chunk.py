"""What every importer produces, and the check every event passes before it is published.

In: event dicts of a parser with the place they came from. Out: the valid ones; issues for the rest.
Never: repairs an event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from interfaces.importers.issues import Issues
from models.broken_rule import rule_of
from models.events import ActivityEvent, MetricEvent

Event = dict[str, Any]  # a MetricEvent has `metric`, an ActivityEvent has `kind`


@dataclass(slots=True)
class Chunk:
    """A bounded part of an import; the pipeline finishes one before it asks for the next."""

    events: list[Event] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)  # (file, line) of each event; may be empty

    def add(self, event: Event, path: str = "", line: int = 0) -> None:
        """Puts an event in, with the file and line it came from."""
        self.events.append(event)
        self.places.append((path, line))


_ABSENT: tuple[Any, ...] = (None, "", {})


def compact(event: Event) -> Event:
    """Without what is absent: '' and None mean the same as a missing field."""
    if all(value not in _ABSENT for value in event.values()):
        return event
    return {key: value for key, value in event.items() if value not in _ABSENT}


def valid_events(chunk: Chunk, issues: Issues) -> list[Event]:
    """The events that obey the model; each other one becomes an issue with its place and the broken rule."""
    places: Iterable[tuple[str, int]] = chunk.places or [("", 0)] * len(chunk.events)
    valid: list[Event] = []
    for event, (path, line) in zip(chunk.events, places, strict=True):
        event = compact(event)
        model = MetricEvent if "metric" in event else ActivityEvent
        try:
            model.model_validate(event)
        except ValidationError as error:
            issues.add(path or str(event.get("id", "event")), line, first_rule(error), kind="invalid event")
        else:
            valid.append(event)
    return valid


def first_rule(error: ValidationError) -> str:
    """The first broken rule on one line: `value: must be a finite number`."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, str) or part.isidentifier())
    said = rule_of(str(first["msg"]))
    return f"{where}: {said}" if where else said


def event_time_ms(event: Event) -> int:
    """When the event counts: a metric's timestamp; an activity's end, or its start while it runs."""
    if "metric" in event:
        return int(event["timestamp"])
    ended_at = event.get("ended_at")
    return int(event["started_at"] if ended_at is None else ended_at)
