"""What agents publish: metric events and activity events, with the one set of rules that makes them valid.

In: plain mappings (decoded JSON). Out: `MetricEvent`, `ActivityEvent`.
Never: reads a clock, fills an unmeasured field with a number, coerces a string into a number.

These pydantic models are the definition. `models.codecs` holds the fast decoder of the hot path, and a
property test proves that both accept and reject exactly the same inputs.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

SCHEMA_VERSION = 1  # the wire version this build reads and writes; a higher one is a dead letter, never a guess

ID_LENGTH_MAX = 256  # characters; transcripts' ids are <= 64, OTel ids <= 32; room for `host/agent` composites
METRIC_LENGTH_MAX = 128  # characters, from the metric-name rule `[a-z][a-z0-9_.]{0,127}`
UNIT_LENGTH_MAX = 32  # characters; the longest UCUM unit in use here has 12
TEXT_LENGTH_MAX = 1024  # characters of one tag value or error type: labels, not documents
TAGS_MAX = 64  # tags of one event; more is a document, not a label set
TAG_KEY_LENGTH_MAX = 128  # characters; the OpenTelemetry attribute names in use are <= 60
VALUE_LEAVES_MAX = 256  # numeric leaves of one object value: one event each
VALUE_DEPTH_MAX = 8  # nesting of an object value
TIMESTAMP_MS_MIN = 946_684_800_000  # 2000-01-01Z: earlier means seconds sent as milliseconds, or an unset clock
TIMESTAMP_MS_MAX = 4_102_444_800_000  # 2100-01-01Z: later means microseconds sent as milliseconds
TOKENS_MAX = 1 << 53  # counts stay exact in a double, so JSON and columns agree
WEIGHT_MAX = 1e9  # 1 / sampling rate; a rate below one in a billion is a mistake
DURATION_MS_MAX = 1e12  # 31 years
COST_USD_MAX = 1e9  # of one activity; more is a mistake, and sums over windows must stay far from a double's limit
VALUE_ABS_MAX = 1e100  # squares and sums of larger values overflow a double; no measured quantity comes near

METRIC_NAME = re.compile(r"[a-z][a-z0-9_.]{0,127}\Z")

Source = Literal["agent", "coordinator", "memory", "neural"]
Priority = Literal["high", "medium", "low"]
Category = Literal["performance", "resource", "error", "business"]
Provenance = Literal["measured", "derived", "estimated", "declared"]
ActivityKind = Literal["session", "phase", "task", "model_call", "tool_call", "message", "lifecycle", "edit"]
ActivityStatus = Literal["running", "completed", "failed", "blocked", "cancelled"]

TERMINAL_STATUSES: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


def normalise_metric(name: Any) -> Any:
    """`TASK_DURATION` -> `task_duration`; anything that is not a string is left for the type check."""
    return name.lower() if isinstance(name, str) else name


def _check_metric(name: str) -> str:
    if METRIC_NAME.match(name) is None:
        raise ValueError("metric must match [a-z][a-z0-9_.]{0,127} (upper case is normalised)")
    return name


def _check_printable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


def _to_float(value: float | int) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond a double's range must be a validation error, not a crash
        raise ValueError("must lie within a double's range") from None


def _check_finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Text = Annotated[StrictStr, Field(max_length=TEXT_LENGTH_MAX), AfterValidator(_check_printable)]
Identifier = Annotated[StrictStr, Field(min_length=1, max_length=ID_LENGTH_MAX), AfterValidator(_check_printable)]
OptionalIdentifier = Annotated[StrictStr, Field(max_length=ID_LENGTH_MAX), AfterValidator(_check_printable)]
MetricName = Annotated[StrictStr, BeforeValidator(normalise_metric), AfterValidator(_check_metric)]
TimestampMs = Annotated[StrictInt, Field(ge=TIMESTAMP_MS_MIN, le=TIMESTAMP_MS_MAX)]
# A JSON integer is a valid number; a bool or a string is not.
Number = Annotated[StrictFloat | StrictInt, AfterValidator(_to_float), AfterValidator(_check_finite)]
Value = Annotated[Number, Field(ge=-VALUE_ABS_MAX, le=VALUE_ABS_MAX)]
Weight = Annotated[Number, Field(gt=0, le=WEIGHT_MAX)]
Tokens = Annotated[StrictInt, Field(ge=0, le=TOKENS_MAX)]
DurationMs = Annotated[Number, Field(ge=0, le=DURATION_MS_MAX)]
Ratio = Annotated[Number, Field(ge=0, le=1)]
TagKey = Annotated[StrictStr, Field(min_length=1, max_length=TAG_KEY_LENGTH_MAX), AfterValidator(_check_printable)]
Tags = Annotated[dict[TagKey, Text], Field(max_length=TAGS_MAX)]


class _Event(BaseModel):
    # Unknown fields are ignored so that a newer client can talk to an older worker of the same schema version.
    model_config = ConfigDict(extra="ignore", frozen=True)

    v: Annotated[StrictInt, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    id: OptionalIdentifier = ""
    swarm_id: Identifier
    agent_id: OptionalIdentifier = ""
    run_id: OptionalIdentifier = ""
    tags: Tags = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Many serialisers write null for what is not given; for an optional field it means just that."""
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {k: v for k, v in data.items() if v is not None or k not in fields or fields[k].is_required()}


class MetricEvent(_Event):
    """One measurement of one series at one moment.

    timestamp: event time, epoch milliseconds UTC. value: finite number in `unit`. weight: 1 / sampling rate.
    agent_id '' means the swarm itself. unit '' means the catalogue's unit of the metric, if it has one.
    id '' means no producer id: such an event is only de-duplicated by its batch.
    """

    timestamp: TimestampMs
    metric: MetricName
    value: Value
    unit: Annotated[StrictStr, Field(max_length=UNIT_LENGTH_MAX), AfterValidator(_check_printable)] = ""
    source: Source = "agent"
    priority: Priority = "medium"
    category: Category | Literal[""] = ""
    dimensions: Tags = Field(default_factory=dict)
    weight: Weight = 1.0
    provenance: Provenance = "measured"


class ActivityEvent(_Event):
    """One thing an agent did. Published again with the same id, the newest record wins (running -> completed).

    Times are epoch milliseconds UTC; None means not measured. The five token counts are disjoint.
    Metrics are projected from an activity once, when its status is terminal.
    """

    id: Identifier
    kind: ActivityKind
    status: ActivityStatus
    started_at: TimestampMs
    ended_at: TimestampMs | None = None
    parent_agent_id: OptionalIdentifier = ""
    role: Text = ""
    model: Text = ""
    provider: Text = ""
    phase: Text = ""
    pattern: Text = ""
    workflow: Text = ""
    task_id: OptionalIdentifier = ""
    task_hash: OptionalIdentifier = ""
    tool: Text = ""
    input_hash: OptionalIdentifier = ""
    from_agent_id: OptionalIdentifier = ""
    to_agent_id: OptionalIdentifier = ""
    message_type: Text = ""
    duration_ms: DurationMs | None = None
    input_tokens: Tokens | None = None
    cache_read_tokens: Tokens | None = None
    cache_write_5m_tokens: Tokens | None = None
    cache_write_1h_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cost_usd: Annotated[Number, Field(ge=0, le=COST_USD_MAX)] | None = None
    cost_provenance: Provenance | Literal[""] = ""
    error_type: Text = ""
    retries: Tokens | None = None
    conflicts: Tokens | None = None
    quality_ratio: Ratio | None = None
    test_coverage_ratio: Ratio | None = None
    security_findings: Tokens | None = None
    files_touched: Tokens | None = None
    success: StrictBool | None = None
    provenance: Provenance = "measured"

    @model_validator(mode="after")
    def _times_are_ordered(self) -> ActivityEvent:
        if self.ended_at is not None and self.ended_at < self.started_at:
            raise ValueError("ended_at must not be before started_at")
        if self.cost_usd is None and self.cost_provenance:
            raise ValueError("cost_provenance without cost_usd: an unknown cost has no provenance")
        return self
