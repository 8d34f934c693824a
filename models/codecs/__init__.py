"""Wire forms -> events: `decode_metrics`, `decode_activities`, `payload_of` (hot path), `edge` (pydantic).

Everything here is a pure function of the bytes of the log.
"""

from models.codecs.activities import ActivityChunk, decode_activities
from models.codecs.metrics import MetricChunk, decode_metrics
from models.codecs.payload import payload_of, payloads_of
from models.codecs.records import (
    DECODED_BYTES_MAX,
    EVENTS_PER_RECORD_MAX,
    JSON_DEPTH_MAX,
    PAYLOAD_BYTES_MAX,
    RECORD_BYTES_MAX,
    WHOLE_RECORD,
    DecodeError,
    EventError,
    ProducerStamp,
    RawRecord,
)
from models.codecs.structs import ActivityRecord, Label

__all__ = [
    "DECODED_BYTES_MAX",
    "EVENTS_PER_RECORD_MAX",
    "JSON_DEPTH_MAX",
    "PAYLOAD_BYTES_MAX",
    "RECORD_BYTES_MAX",
    "WHOLE_RECORD",
    "ActivityChunk",
    "ActivityRecord",
    "DecodeError",
    "EventError",
    "Label",
    "MetricChunk",
    "ProducerStamp",
    "RawRecord",
    "decode_activities",
    "decode_metrics",
    "payload_of",
    "payloads_of",
]
