"""The msgspec structs of the hot path, and the values that describe many events at once.

In: nothing. Out: `MetricStruct`, `ActivityRecord`, `ColumnBatch`, `Label`.
Never: accepts what `models.codecs.rules` refuses. A struct may be stricter than the rules (unknown fields), because
what it refuses is decided there; it must not be laxer.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Raw, Struct

from models.codecs.records import EVENTS_PER_RECORD_MAX
from models.events import (
    COST_USD_MAX,
    DURATION_MS_MAX,
    ID_LENGTH_MAX,
    SCHEMA_VERSION,
    TAG_KEY_LENGTH_MAX,
    TAGS_MAX,
    TEXT_LENGTH_MAX,
    TIMESTAMP_MS_MAX,
    TIMESTAMP_MS_MIN,
    TOKENS_MAX,
    UNIT_LENGTH_MAX,
    VALUE_ABS_MAX,
    WEIGHT_MAX,
    ActivityKind,
    ActivityStatus,
    Priority,
    Provenance,
    Source,
)
from models.events import Category as _Category

Version = Annotated[int, Meta(ge=1, le=SCHEMA_VERSION)]
Identifier = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)]
OptionalIdentifier = Annotated[str, Meta(max_length=ID_LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Unit = Annotated[str, Meta(max_length=UNIT_LENGTH_MAX)]
TimestampMs = Annotated[int, Meta(ge=TIMESTAMP_MS_MIN, le=TIMESTAMP_MS_MAX)]
Value = Annotated[float, Meta(ge=-VALUE_ABS_MAX, le=VALUE_ABS_MAX)]
Weight = Annotated[float, Meta(gt=0, le=WEIGHT_MAX)]
Count = Annotated[int, Meta(ge=0, le=TOKENS_MAX)]
DurationMs = Annotated[float, Meta(ge=0, le=DURATION_MS_MAX)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Cost = Annotated[float, Meta(ge=0, le=COST_USD_MAX)]
TagKey = Annotated[str, Meta(min_length=1, max_length=TAG_KEY_LENGTH_MAX)]
Tags = Annotated[dict[TagKey, Text], Meta(max_length=TAGS_MAX)]
Category = Literal[_Category, ""]

NO_TAGS = Raw(b"{}")


class MetricStruct(Struct, forbid_unknown_fields=True, gc=False):
    """A metric event on its way into columns; `metric`, `tags` and `dimensions` are checked once per distinct text.

    Unknown fields are left to the rules, which ignore them: what this struct accepts holds nothing unread.
    gc=False: it can be part of no reference cycle, and a collector pass over a batch costs more than its decoding.
    """

    swarm_id: Identifier
    timestamp: TimestampMs
    metric: str
    value: Value
    agent_id: OptionalIdentifier = ""
    run_id: OptionalIdentifier = ""
    unit: Unit = ""
    source: Source = "agent"
    priority: Priority = "medium"
    category: Category = ""
    provenance: Provenance = "measured"
    tags: Raw = NO_TAGS
    dimensions: Raw = NO_TAGS
    weight: Weight = 1.0
    id: OptionalIdentifier = ""
    v: Version = SCHEMA_VERSION


class PlainMetric(Struct, forbid_unknown_fields=True, gc=False):
    """A metric event that says no more than most do. It is decoded in two thirds of the time of a `MetricStruct`,
    and its label follows from its unit alone."""

    swarm_id: Identifier
    timestamp: TimestampMs
    metric: str
    value: Value
    agent_id: OptionalIdentifier = ""
    unit: Unit = ""


class OpenMetricStruct(MetricStruct, forbid_unknown_fields=False, gc=False):
    """The same for events of a newer client, with fields this build does not know."""


class ActivityRecord(Struct, forbid_unknown_fields=True):
    """A valid activity: the fields of `models.events.ActivityEvent`, without pydantic's cost."""

    id: Identifier
    swarm_id: Identifier
    kind: ActivityKind
    status: ActivityStatus
    started_at: TimestampMs
    ended_at: TimestampMs | None = None
    agent_id: OptionalIdentifier = ""
    run_id: OptionalIdentifier = ""
    tags: Tags = {}
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
    input_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_5m_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Cost | None = None
    cost_provenance: Literal[Provenance, ""] = ""
    error_type: Text = ""
    retries: Count | None = None
    conflicts: Count | None = None
    quality_ratio: Ratio | None = None
    test_coverage_ratio: Ratio | None = None
    security_findings: Count | None = None
    files_touched: Count | None = None
    success: bool | None = None
    provenance: Provenance = "measured"
    v: Version = SCHEMA_VERSION


class Label(NamedTuple):
    """What describes an event beside its series, its time and its value; hashable."""

    run_id: str
    unit: str
    source: str
    priority: str
    category: str
    provenance: str
    tags: tuple[tuple[str, str], ...]  # sorted by key; dimensions stand here as `dim.<name>`


Index = Annotated[int, Meta(ge=0)]


class ColumnBatch(Struct, forbid_unknown_fields=True):
    """A columnar batch as it stands on the wire (docs/wire-format.md). A new key is a new version `v`."""

    v: Version
    n: Annotated[int, Meta(ge=0, le=EVENTS_PER_RECORD_MAX)]
    strings: list[str]
    series: list[tuple[Index, Index, Index]]
    labels: list[tuple[Index, Index, Index, Index, Index, Index, list[tuple[Index, Index]]]]
    series_idx: memoryview
    label_idx: memoryview
    t0: Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]  # t0 + dt never overflows 64 bits
    dt: memoryview
    value: memoryview
    weight: memoryview | None = None
    ids: list[str] | None = None


class ColumnHeader(Struct):
    """The two fields of a columnar batch that say why the rest could not be read."""

    v: int
    n: int = 0
