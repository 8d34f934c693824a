"""Raw calls of emit() and activity() -> checked, sampled, encoded records.

In: what the buffers hold. Out: `Record`s without a stamp, and the counts of what was left out.
Never: runs in the agent's thread; raises for a bad event.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from murmur.options import RECORD_BYTES_MAX, Options
from murmur.record import Record
from murmur.validate import (
    VALUE_DEPTH_MAX,
    VALUE_LEAVES_MAX,
    check_activity,
    check_identifier,
    check_label,
    check_tags,
    check_timestamp,
    finite_number,
    normalise_metric,
)
from murmur.wire import (
    CONTENT_TYPE_COLUMNS,
    CONTENT_TYPE_JSON,
    DT_MS_MAX,
    Event,
    Label,
    encode_activities,
    encode_columns,
    encode_json,
    encode_json_array,
)

CACHE_MAX = 10_000  # distinct series and label sets remembered; tags with a value per event must not grow it
ACTIVITIES_PER_RECORD_MAX = 500


class RawMetric(NamedTuple):
    """The arguments of one emit(), in the order of its tuple."""

    metric: Any
    value: Any
    timestamp_ms: Any
    agent_id: Any
    run_id: Any
    unit: Any
    tags: Any  # ((key, value), ...), or what the caller gave when that is no mapping
    priority: Any
    category: Any
    source: Any
    provenance: Any


class Encoder:
    """Keeps caches of checked series and labels; the hot path per event is two dictionary look-ups."""

    def __init__(self, options: Options) -> None:
        self.expanded = 0  # events beyond one a call: the leaves of object values
        self.sampled = 0
        self.invalid = 0
        self.invalid_reason = ""
        self._options = options
        self._tags = dict(options.tags)
        self._weights = {p: 1.0 / rate for p, rate in options.sampling.items() if rate < 1.0}
        self._rates = {p: rate for p, rate in options.sampling.items() if rate < 1.0}
        self._random = random.Random(options.sampling_seed)
        self._metrics: dict[tuple[Any, Any], str] = {}
        self._labels: dict[tuple[Any, ...], Label] = {}

    def metrics(self, raw: Sequence[RawMetric]) -> list[Record]:
        """Records of these metric events; the order within a key is kept."""
        by_key: dict[str, list[Event]] = {}
        per_agent = self._options.key_by == "agent"
        for event in self._events(raw):
            by_key.setdefault(event.agent_id if per_agent else "", []).append(event)
        records: list[Record] = []
        for agent_id, events in by_key.items():
            key = f"{self._options.swarm_id}/{agent_id}" if agent_id else self._options.swarm_id
            for batch in _spans(events, self._options.batch_events_max):
                records.extend(self._pack(key.encode(), batch))
        return records

    def activities(self, raw: Sequence[dict[str, Any]]) -> list[Record]:
        """Records of these activities, keyed by swarm."""
        good: list[dict[str, Any]] = []
        for activity in raw:
            tags = activity.get("tags")
            if isinstance(tags, Mapping):
                activity["tags"] = {**self._tags, **tags}
            elif tags is None:
                activity["tags"] = self._tags
            if (reason := _quietly(check_activity, activity)) is None:
                good.append(activity)
            else:
                self._refuse(f"activity {reason}")
        return self._pack_activities(good) if good else []

    def check(self, raw: RawMetric) -> str | None:
        """The first rule a metric event breaks; for strict publishers."""
        before, self.invalid_reason = self.invalid_reason, ""
        invalid, expanded = self.invalid, self.expanded
        events = self._checked(raw)
        reason = self.invalid_reason
        self.invalid, self.expanded, self.invalid_reason = invalid, expanded, before
        return None if events else reason

    def _events(self, raw: Sequence[RawMetric]) -> Iterator[Event]:
        rates = self._rates
        for item in raw:
            try:
                events = self._checked(item)
            except Exception as error:  # an agent's own object may fail in any way when it is looked at
                self._refuse(f"{type(error).__name__} while the event was checked")
                continue
            for event in events:
                if rates and (rate := rates.get(event.label.priority)) is not None:
                    if self._random.random() >= rate:
                        self.sampled += 1
                        continue
                    yield event._replace(weight=self._weights[event.label.priority])
                else:
                    yield event

    def _checked(self, raw: RawMetric) -> Sequence[Event]:
        """The event, or those of an object's leaves; nothing when a rule is broken."""
        metric, value, timestamp_ms, agent_id, run_id, unit, tags, priority, category, source, provenance = raw
        try:
            name = self._metrics.get((agent_id, metric))
            key: tuple[Any, ...] = (run_id, unit, tags, priority, category, source, provenance)
            label = self._labels.get(key)
        except TypeError:  # something unhashable stands where a string belongs
            name, label, key = None, None, ()
        if name is None and (name := self._check_series(agent_id, metric)) is None:
            return ()
        if label is None and (label := self._check_label(key, RawMetric(*raw))) is None:
            return ()
        if (reason := check_timestamp(timestamp_ms)) is not None:
            self._refuse(f"metric {name}: {reason}")
        elif isinstance(value, Mapping):
            return self._leaves(name, value, agent_id, timestamp_ms, label)
        elif (number := finite_number(value)) is None:
            self._refuse(f"metric {name}: value must be a finite number, got {_short(value)}")
        else:
            return (Event(agent_id, name, number, timestamp_ms, label, 1.0),)
        return ()

    def _leaves(
        self, name: str, value: Mapping[Any, Any], agent_id: str, timestamp_ms: int, label: Label
    ) -> Sequence[Event]:
        """One event a numeric leaf, named `metric.leaf`; one bad leaf refuses the object."""
        events: dict[str, Event] = {}
        for path, leaf in _walk(name, value, VALUE_DEPTH_MAX):
            metric, number = normalise_metric(path), finite_number(leaf)
            reason = ""
            if metric is None:
                reason = f"metric {path!r:.80}: must match [a-z][a-z0-9_.]{{0,127}}"
            elif number is None:
                reason = f"metric {path}: value must be a finite number, got {_short(leaf)}"
            elif metric in events:
                reason = f"metric {metric}: the object names this leaf twice"
            elif len(events) == VALUE_LEAVES_MAX:
                reason = f"metric {name}: an object value has at most {VALUE_LEAVES_MAX} leaves"
            else:
                events[metric] = Event(agent_id, metric, number, timestamp_ms, label, 1.0)
            if reason:
                self._refuse(reason)
                return ()
        if not events:
            self._refuse(f"metric {name}: the object has no numeric leaves")
        self.expanded += max(0, len(events) - 1)
        return tuple(events.values())

    def _check_series(self, agent_id: Any, metric: Any) -> str | None:
        name = _quietly(normalise_metric, metric)
        if name is None:
            self._refuse(f"metric {_short(metric)}: must match [a-z][a-z0-9_.]{{0,127}} (upper case is normalised)")
            return None
        if (reason := check_identifier(agent_id)) is not None:
            self._refuse(f"agent_id: {reason}")
            return None
        if len(self._metrics) >= CACHE_MAX:
            self._metrics.clear()
        self._metrics[(agent_id, metric)] = name
        return name

    def _check_label(self, key: tuple[Any, ...], raw: RawMetric) -> Label | None:
        reason = check_identifier(raw.run_id)
        if reason is None:
            reason = check_label(raw.unit, raw.tags, raw.priority, raw.category, raw.source, raw.provenance)
        merged = tuple({**self._tags, **dict(raw.tags)}.items()) if reason is None else ()
        reason = reason or check_tags(merged)
        if reason is not None:
            self._refuse(f"metric {_short(raw.metric)}: {reason}")
            return None
        label = Label(raw.run_id, raw.unit, raw.source, raw.priority, raw.category, raw.provenance, merged)
        if len(self._labels) >= CACHE_MAX:
            self._labels.clear()
        self._labels[key] = label
        return label

    def _pack(self, key: bytes, events: list[Event]) -> Iterator[Record]:
        """Encodes; a batch beyond the broker's record limit is halved until it fits."""
        swarm_id, topic = self._options.swarm_id, self._options.metrics_topic
        if self._options.wire == "json":
            for event in events:
                yield Record(topic, key, encode_json(swarm_id, event), CONTENT_TYPE_JSON, 1)
            return
        columns = self._options.wire == "columns"
        value = (encode_columns if columns else encode_json_array)(swarm_id, events)
        if len(value) > RECORD_BYTES_MAX and len(events) > 1:
            half = len(events) // 2
            yield from self._pack(key, events[:half])
            yield from self._pack(key, events[half:])
            return
        yield Record(topic, key, value, CONTENT_TYPE_COLUMNS if columns else CONTENT_TYPE_JSON, len(events))

    def _pack_activities(self, activities: list[dict[str, Any]]) -> list[Record]:
        topic, key = self._options.activities_topic, self._options.swarm_id.encode()
        value = encode_activities(activities)
        if len(activities) > ACTIVITIES_PER_RECORD_MAX or (len(value) > RECORD_BYTES_MAX and len(activities) > 1):
            half = len(activities) // 2
            return self._pack_activities(activities[:half]) + self._pack_activities(activities[half:])
        return [Record(topic, key, value, CONTENT_TYPE_JSON, len(activities))]

    def _refuse(self, reason: str) -> None:
        self.invalid += 1
        self.invalid_reason = self.invalid_reason or reason


def _spans(events: list[Event], count_max: int) -> Iterator[list[Event]]:
    """Runs of at most `count_max` events whose times fit the signed 32-bit offset from the first."""
    start = 0
    for position in range(1, len(events) + 1):
        ends = position == len(events) or position - start == count_max
        if ends or abs(events[position].timestamp_ms - events[start].timestamp_ms) > DT_MS_MAX:
            yield events[start:position]
            start = position


def _walk(path: str, value: Mapping[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for name, leaf in value.items():
        if isinstance(leaf, Mapping) and depth > 1:
            yield from _walk(f"{path}.{name}", leaf, depth - 1)
        else:
            yield f"{path}.{name}", leaf


def _quietly(check: Callable[[Any], str | None], value: Any) -> str | None:
    try:
        return check(value)
    except Exception as error:  # an agent's own object may fail in any way when it is looked at
        return f"{type(error).__name__} while it was checked" if check is not normalise_metric else None


def _short(value: object) -> str:
    try:
        return repr(value)[:60]
    except Exception:
        return f"a {type(value).__name__}"
