"""The rules of `models.events`, field by field, in plain Python: exact, and able to say what is wrong.

In: one decoded JSON value. Out: the fields of a valid event, or EventError with a code and the field's name.
Never: faster than it must be. The hot path decodes with msgspec and comes here for what that refuses, so these
rules decide; a property test proves them equal to the pydantic models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, get_args

from models import events
from models.codecs.records import EventError, show
from models.error_codes import ErrorCode

Rule = Callable[[Any], Any]  # a JSON value -> the normalised value; raises EventError without the field's name
Fields = dict[str, Any]
REQUIRED: Final = object()


def string(length_max: int, length_min: int = 0) -> Rule:
    """A JSON string of `length_min..length_max` characters, without NUL and lone surrogates."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, "a string")
        if not length_min <= len(value) <= length_max:
            limits = f"at most {length_max}" if not length_min else f"{length_min} to {length_max}"
            raise _wrong_value(f"has {len(value)} characters, {limits} are allowed")
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise _wrong_value("contains half of a surrogate pair, which is not a character") from None
        if "\x00" in value:
            raise _wrong_value("must not contain NUL")
        return value

    return check


def integer(low: int, high: int) -> Rule:
    """A JSON integer in `low..high`; 1.0 and true are not integers."""

    def check(value: Any) -> int:
        if type(value) is not int:
            raise _wrong_type(value, "an integer")
        if not low <= value <= high:
            raise _wrong_value(f"{show(value)} is outside {low}..{high}")
        return value

    return check


def number(low: float = -math.inf, high: float = math.inf, *, low_open: bool = False) -> Rule:
    """A finite JSON number in `low..high` (`low` itself excluded when `low_open`)."""

    def check(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise _wrong_type(value, "a number")
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
        if not math.isfinite(result):
            raise EventError(ErrorCode.VALUE_NOT_FINITE, f"{show(value)} is not a finite 64-bit floating-point number")
        if result < low or result > high or (low_open and result == low):
            bound = f"greater than {low:g}" if low_open else f"at least {low:g}"
            raise _wrong_value(f"{show(value)} must be {bound}" + (f" and at most {high:g}" if high < math.inf else ""))
        return result

    return check


def choice(*allowed: str) -> Rule:
    """One of a closed list of strings."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, "a string")
        if value not in allowed:
            raise _wrong_value(f"{show(value)} is not one of {', '.join(a or repr('') for a in allowed)}")
        return value

    return check


def nullable(rule: Rule) -> Rule:
    """`rule`, or null for: not measured."""
    return lambda value: None if value is None else rule(value)


def timestamp(value: Any) -> int:
    """Epoch milliseconds between 2000 and 2100."""
    if type(value) is not int:
        raise _wrong_type(value, "an integer of epoch milliseconds")
    if value < events.TIMESTAMP_MS_MIN:
        raise EventError(
            ErrorCode.TIME_TOO_OLD,
            f"{show(value)} ms is before 2000-01-01Z; were seconds sent as milliseconds, or is the clock unset?",
        )
    if value > events.TIMESTAMP_MS_MAX:
        raise _wrong_value(f"{show(value)} ms is after 2100-01-01Z; were microseconds sent as milliseconds?")
    return value


def metric_name(value: Any) -> str:
    """A metric name, normalised to lower case."""
    if not isinstance(value, str):
        raise _wrong_type(value, "a string")
    name = value.lower()
    if events.METRIC_NAME.match(name) is None:
        raise _wrong_value(f"{show(value)} must match [a-z][a-z0-9_.]{{0,127}} (upper case is normalised)")
    return name


def tags(value: Any) -> dict[str, str]:
    """A JSON object of strings."""
    if not isinstance(value, dict):
        raise _wrong_type(value, "an object of strings")
    if len(value) > events.TAGS_MAX:
        raise _wrong_value(f"has {len(value)} entries, at most {events.TAGS_MAX} are allowed")
    for key, text in value.items():
        try:
            _tag_key(key)
        except EventError as error:
            raise EventError(error.code, f"key {show(key)}: {error.reason}") from None
        try:
            _text(text)
        except EventError as error:
            raise EventError(error.code, f"entry {show(key)}: {error.reason}") from None
    return value


def boolean(value: Any) -> bool:
    """true or false; 0 and 1 are numbers."""
    if not isinstance(value, bool):
        raise _wrong_type(value, "true or false")
    return value


def leaves(metric: str, value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """`{"p50": 1, "p95": {"a": 2}}` -> [(metric.p50, 1), (metric.p95.a, 2)], in the order of the document.

    The leaves are not yet checked to be numbers. Raises EventError for an object that is empty, too deep, too
    large, or that names one leaf twice once the names are normalised.
    """
    found: dict[str, Any] = {}
    for name, leaf in _walk(metric, value, 1):
        if name in found:
            raise _wrong_value(f"names the leaf {show(name)} twice")
        found[name] = leaf
        if len(found) > events.VALUE_LEAVES_MAX:
            raise _wrong_value(f"has more than {events.VALUE_LEAVES_MAX} numeric leaves")
    if not found:
        raise _wrong_value("is an object without a numeric leaf")
    return list(found.items())


def _walk(prefix: str, value: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    if depth > events.VALUE_DEPTH_MAX:
        raise _wrong_value(f"is nested deeper than {events.VALUE_DEPTH_MAX}")
    for key, item in value.items():
        if not isinstance(key, str) or not key:
            raise _wrong_value("has a leaf without a name")
        name = f"{prefix}.{key.lower()}"
        if len(name) > events.METRIC_LENGTH_MAX:
            raise _wrong_value(f"the leaf name {show(name)} is longer than {events.METRIC_LENGTH_MAX} characters")
        if isinstance(item, dict):
            yield from _walk(name, item, depth + 1)
        else:
            yield name, item


def check_metric(value: object) -> list[Fields]:
    """The fields of the event, or of one event for each leaf of an object value."""
    document = _object(value)
    _check_version(document)
    fields: Fields = {}
    for name, rule, default in METRIC_FIELDS:
        if name != "value":
            fields[name] = _field(document, name, rule, default)
    if "value" not in document:
        raise EventError(ErrorCode.FIELD_MISSING, "value: the field is required")
    raw = document["value"]
    if not isinstance(raw, dict):
        return [fields | {"value": _named("value", _value, raw)}]
    found = _named("value", lambda v: leaves(fields["metric"], v), raw)
    return [
        fields | {"metric": _named("value", metric_name, name), "value": _named(f"value ({name})", _value, leaf)}
        for name, leaf in found
    ]


def check_activity(value: object) -> Fields:
    """The fields of the activity."""
    document = _object(value)
    _check_version(document)
    fields = {name: _field(document, name, rule, default) for name, rule, default in ACTIVITY_FIELDS}
    check_activity_whole(fields["started_at"], fields["ended_at"], fields["cost_usd"], fields["cost_provenance"])
    return fields


def check_activity_whole(started_at: int, ended_at: int | None, cost_usd: float | None, cost_provenance: str) -> None:
    """The rules that concern more than one field."""
    if ended_at is not None and ended_at < started_at:
        raise _wrong_value(f"ended_at: {ended_at} is before started_at {started_at}")
    if cost_usd is None and cost_provenance:
        raise _wrong_value("cost_provenance: there is no cost_usd, and an unknown cost has no provenance")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EventError(ErrorCode.NOT_AN_OBJECT, f"an event must be a JSON object, not {show(value)}")
    return value


def _check_version(document: Mapping[str, Any]) -> None:
    """First, because a newer version may have changed any other rule."""
    version = document.get("v", events.SCHEMA_VERSION)
    if type(version) is int and version > events.SCHEMA_VERSION:
        raise EventError(
            ErrorCode.VERSION,
            f"v: {show(version)} is newer than {events.SCHEMA_VERSION}, the version this worker reads; update it",
        )


def _field(document: Mapping[str, Any], name: str, rule: Rule, default: Any) -> Any:
    value = document.get(name)
    if value is None and (default is not REQUIRED or name not in document):
        if default is REQUIRED:
            raise EventError(ErrorCode.FIELD_MISSING, f"{name}: the field is required")
        return dict(default) if isinstance(default, dict) else default  # null: not given
    return _named(name, rule, value)


def _named(name: str, rule: Rule, value: Any) -> Any:
    try:
        return rule(value)
    except EventError as error:
        raise EventError(error.code, f"{name}: {error.reason}") from None


def _wrong_type(value: object, expected: str) -> EventError:
    return EventError(ErrorCode.FIELD_TYPE, f"expected {expected}, got {show(value)}")


def _wrong_value(reason: str) -> EventError:
    return EventError(ErrorCode.FIELD_VALUE, reason)


_value = number(-events.VALUE_ABS_MAX, events.VALUE_ABS_MAX)
_text = string(events.TEXT_LENGTH_MAX)
_tag_key = string(events.TAG_KEY_LENGTH_MAX, 1)
_identifier = string(events.ID_LENGTH_MAX, 1)
_optional_identifier = string(events.ID_LENGTH_MAX)
_count = nullable(integer(0, events.TOKENS_MAX))
_ratio = nullable(number(0, 1))
_provenance = choice(*get_args(events.Provenance))

_COMMON: Final[tuple[tuple[str, Rule, Any], ...]] = (
    ("v", integer(1, events.SCHEMA_VERSION), events.SCHEMA_VERSION),
    ("swarm_id", _identifier, REQUIRED),
    ("agent_id", _optional_identifier, ""),
    ("run_id", _optional_identifier, ""),
    ("tags", tags, {}),
    ("provenance", _provenance, "measured"),
)
METRIC_FIELDS: Final[tuple[tuple[str, Rule, Any], ...]] = (
    *_COMMON,
    ("id", _optional_identifier, ""),
    ("timestamp", timestamp, REQUIRED),
    ("metric", metric_name, REQUIRED),
    ("value", _value, REQUIRED),
    ("unit", string(events.UNIT_LENGTH_MAX), ""),
    ("source", choice(*get_args(events.Source)), "agent"),
    ("priority", choice(*get_args(events.Priority)), "medium"),
    ("category", choice(*get_args(events.Category), ""), ""),
    ("dimensions", tags, {}),
    ("weight", number(0, events.WEIGHT_MAX, low_open=True), 1.0),
)
ACTIVITY_FIELDS: Final[tuple[tuple[str, Rule, Any], ...]] = (
    *_COMMON,
    ("id", _identifier, REQUIRED),
    ("kind", choice(*get_args(events.ActivityKind)), REQUIRED),
    ("status", choice(*get_args(events.ActivityStatus)), REQUIRED),
    ("started_at", timestamp, REQUIRED),
    ("ended_at", nullable(timestamp), None),
    ("parent_agent_id", _optional_identifier, ""),
    *((name, _text, "") for name in ("role", "model", "provider", "phase", "pattern", "workflow")),
    ("task_id", _optional_identifier, ""),
    ("task_hash", _optional_identifier, ""),
    ("tool", _text, ""),
    ("input_hash", _optional_identifier, ""),
    ("from_agent_id", _optional_identifier, ""),
    ("to_agent_id", _optional_identifier, ""),
    ("message_type", _text, ""),
    ("duration_ms", nullable(number(0, events.DURATION_MS_MAX)), None),
    ("input_tokens", _count, None),
    ("cache_read_tokens", _count, None),
    ("cache_write_5m_tokens", _count, None),
    ("cache_write_1h_tokens", _count, None),
    ("output_tokens", _count, None),
    ("cost_usd", nullable(number(0, events.COST_USD_MAX)), None),
    ("cost_provenance", choice(*get_args(events.Provenance), ""), ""),
    ("error_type", _text, ""),
    ("retries", _count, None),
    ("conflicts", _count, None),
    ("quality_ratio", _ratio, None),
    ("test_coverage_ratio", _ratio, None),
    ("security_findings", _count, None),
    ("files_touched", _count, None),
    ("success", nullable(boolean), None),
)
