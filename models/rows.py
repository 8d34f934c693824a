"""What leaves the pipeline: the columns of every result table, in order.

In: nothing. Out: one Arrow schema a table. Never: I/O.

The ClickHouse migrations, the Kafka outputs and the fold agree through these schemas; a contract test compares
them with the columns the migrated database really has.
Times are int64 epoch milliseconds here and become DateTime64(3, 'UTC') in ClickHouse.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_text = pa.dictionary(pa.int32(), pa.string())  # arrives as LowCardinality(String)
_tags = pa.map_(pa.string(), pa.string())
_time = pa.timestamp("ms", tz="UTC")

# Where a row comes from: the identity of the log, then the coordinates in it. Part of every row's identity.
_ORIGIN: Final = [("log_id", _text), ("topic", _text), ("partition", pa.uint16())]

METRICS: Final = pa.schema(
    [
        ("swarm_id", _text),
        ("agent_id", _text),
        ("run_id", _text),
        ("metric", _text),
        ("timestamp", _time),
        ("value", pa.float64()),
        ("unit", _text),
        ("tags", _tags),
        ("weight", pa.float64()),
        ("source", _text),
        ("priority", _text),
        ("category", _text),
        ("provenance", _text),
        ("event_id", pa.string()),
        ("appended_at", _time),  # the record's append time (the producer's stamp where the broker keeps that)
        *_ORIGIN,
        ("offset", pa.uint64()),
        ("idx", pa.uint32()),  # index of the event within its record
    ]
)

ACTIVITIES: Final = pa.schema(
    [
        ("swarm_id", _text),
        ("kind", _text),
        ("activity_id", pa.string()),
        ("agent_id", _text),
        ("parent_agent_id", _text),
        ("run_id", _text),
        ("started_at", _time),
        ("ended_at", _time),  # NULL: not known
        ("duration_ms", pa.float64()),  # NULL: not measured
        ("status", _text),
        ("role", _text),
        ("model", _text),
        ("provider", _text),
        ("phase", _text),
        ("pattern", _text),
        ("workflow", _text),
        ("task_id", pa.string()),
        ("task_hash", pa.string()),
        ("tool", _text),
        ("input_hash", pa.string()),
        ("from_agent_id", _text),
        ("to_agent_id", _text),
        ("message_type", _text),
        ("input_tokens", pa.uint64()),
        ("cache_read_tokens", pa.uint64()),
        ("cache_write_5m_tokens", pa.uint64()),
        ("cache_write_1h_tokens", pa.uint64()),
        ("output_tokens", pa.uint64()),
        ("cost_usd", pa.float64()),  # NULL: not priced
        ("cost_provenance", _text),
        ("error_type", _text),
        ("retries", pa.uint64()),
        ("conflicts", pa.uint64()),
        ("quality_ratio", pa.float64()),
        ("test_coverage_ratio", pa.float64()),
        ("security_findings", pa.uint64()),
        ("files_touched", pa.uint64()),
        ("success", pa.uint8()),  # NULL: not reported; 0 / 1
        ("provenance", _text),
        ("tags", _tags),
        ("appended_at", _time),
        *_ORIGIN,
        ("offset", pa.uint64()),
        ("idx", pa.uint32()),
        ("ver", pa.uint64()),  # fold_version << 48 | offset: the newest wins
    ]
)

WINDOWS: Final = pa.schema(
    [
        ("swarm_id", _text),
        ("agent_id", _text),
        ("metric", _text),
        ("window_ms", pa.uint32()),
        ("window_start", _time),
        *_ORIGIN,
        ("gen", pa.uint64()),  # 0: the window as first opened; else the offset that re-opened it for late events
        ("fold_version", pa.uint16()),
        ("unit", _text),
        ("events", pa.uint64()),  # events folded in, unweighted
        ("weight_sum", pa.float64()),  # sum of sampling weights: the estimated number of events before sampling
        ("sum", pa.float64()),  # weighted
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("mean", pa.float64()),  # weighted
        ("m2", pa.float64()),  # weighted sum of squared deviations from `mean`; stddev = sqrt(m2 / weight_sum)
        ("last", pa.float64()),  # value of the event with the latest event time (log order breaks ties)
        ("last_at", _time),
        ("sketch_keys", pa.list_(pa.int32())),  # see models/windows/sketch.py
        ("sketch_counts", pa.list_(pa.uint64())),  # weight in units of 1 / SKETCH_UNITS
        ("closed", pa.uint8()),
        ("ver", pa.uint64()),
    ]
)

ANOMALIES: Final = pa.schema(
    [
        ("anomaly_id", pa.string()),
        ("swarm_id", _text),
        ("agent_id", _text),
        ("metric", _text),
        ("window_ms", pa.uint32()),
        ("window_start", _time),
        ("detected_at", _time),  # append time of the record that closed the window
        ("value", pa.float64()),
        ("expected_low", pa.float64()),
        ("expected_high", pa.float64()),
        ("score", pa.float64()),  # 0..1, calibrated
        ("severity", _text),  # low | medium | high | critical
        ("direction", _text),  # above | below
        ("detector", _text),
        ("detector_version", pa.uint16()),
        ("reason", pa.string()),
        ("unit", _text),
        *_ORIGIN,
        ("evidence_from_offset", pa.uint64()),
        ("evidence_to_offset", pa.uint64()),
        ("fold_version", pa.uint16()),
        ("ver", pa.uint64()),
        ("evidence", _tags),  # what a named detector found, in words and numbers; a series' score has none
    ]
)

DEAD_LETTERS: Final = pa.schema(
    [
        ("topic", _text),
        ("partition", pa.uint16()),
        ("offset", pa.uint64()),
        ("idx", pa.int32()),  # index of the event within its record; -1: the whole record
        ("log_id", _text),
        ("error_code", _text),
        ("reason", pa.string()),
        ("payload", pa.binary()),  # the original bytes (of the event, or the record), cut at PAYLOAD_BYTES_MAX
        ("payload_bytes", pa.uint64()),  # their full length
        ("content_type", _text),
        ("appended_at", _time),
    ]
)

SWARMS: Final = pa.schema(
    [
        ("swarm_id", _text),
        ("run_id", _text),
        ("started_at", _time),
        ("ended_at", _time),  # NULL: still running
        ("status", _text),
        ("configuration", _tags),  # the session activity's tags
        ("appended_at", _time),
        *_ORIGIN,
        ("offset", pa.uint64()),
        ("ver", pa.uint64()),
    ]
)

# Table name -> schema, in the order a flush writes them: results before the anomalies that rest on them.
TABLES: Final[dict[str, pa.Schema]] = {
    "metrics": METRICS,
    "activities": ACTIVITIES,
    "swarms": SWARMS,
    "windows": WINDOWS,
    "anomalies": ANOMALIES,
    "dead_letters": DEAD_LETTERS,
}

# Only on the topic `swarm.windows`, beside the agents' rows: what was on time, per swarm. ClickHouse computes the
# same from `windows` (v_swarm_windows), late events included.
SWARM_WINDOWS: Final = pa.schema(
    [
        *(f for f in WINDOWS if f.name not in {"agent_id", "gen"}),
        pa.field("agents", pa.uint32()),  # series merged into the row; the swarm's own events count as one
    ]
)
STREAM_TABLES: Final[dict[str, pa.Schema]] = {"swarm_windows": SWARM_WINDOWS}

# Written by the alerter, not by the fold: one row a transition, one row a message and channel.
ALERTS: Final = pa.schema(
    [
        ("alert_id", pa.string()),
        ("seq", pa.uint32()),  # 1, 2, ... within the alert
        ("at", _time),  # event time of the transition
        ("rule", _text),
        ("kind", _text),
        ("event", _text),  # pending | firing | escalated | acknowledged | unsilenced | resolved
        ("state", _text),  # pending | firing | acknowledged | resolved
        ("severity", _text),
        ("swarm_id", _text),
        ("agent_id", _text),
        ("labels", _tags),
        ("value", pa.float64()),
        ("bound", pa.float64()),
        ("reason", pa.string()),
        ("action", pa.string()),
        ("since", _time),
        ("by", pa.string()),
        ("silenced", pa.uint8()),
        ("ver", pa.uint64()),  # = seq
    ]
)
ALERT_MESSAGES: Final = pa.schema(
    [
        ("message_key", pa.string()),
        ("channel", _text),
        ("status", _text),  # delivered | undelivered
        ("rule", _text),
        ("event", _text),
        ("severity", _text),
        ("at", _time),  # wall clock
        ("attempts", pa.uint32()),
        ("problem", pa.string()),
        ("alert_ids", pa.list_(pa.string())),
        ("ver", pa.uint64()),  # epoch ms of `at`
    ]
)
ALERT_TABLES: Final[dict[str, pa.Schema]] = {"alerts": ALERTS, "alert_messages": ALERT_MESSAGES}

# Only on the topic `swarm.control`: the verdict on each finding of a named detector, where a policy is set.
ADVISORIES: Final = pa.schema(
    [
        ("advisory_id", pa.string()),  # the id of the anomaly it is about
        ("verdict", _text),  # advised | observed | withheld
        ("why", pa.string()),
        ("action", _text),  # proposed; empty: no rule is about it
        ("swarm_id", _text),
        ("agent_id", _text),  # empty: the whole swarm
        ("at", _time),
        ("expires_at", _time),  # not to be acted on afterwards
        *(ANOMALIES.field(name) for name in ("detector", "detector_version", "severity", "reason", "metric", "value")),
        *(ANOMALIES.field(name) for name in ("expected_high", "unit", "evidence")),
        *_ORIGIN,
        ("evidence_from_offset", pa.uint64()),
        ("evidence_to_offset", pa.uint64()),
        ("fold_version", pa.uint16()),
        ("ver", pa.uint64()),
    ]
)
CONTROL_TABLES: Final[dict[str, pa.Schema]] = {"advisories": ADVISORIES}
