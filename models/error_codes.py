"""The stable codes of everything that can be wrong with a record or an event.

In: nothing. Out: the closed list of codes, each with its meaning. Never: free text from a record.
A code never changes its meaning; consumers of `swarm.dead-letters` may branch on it.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a record, or one event of it, went to the dead letters."""

    RECORD_EMPTY = "E_RECORD_EMPTY"  # no bytes: a tombstone has no meaning in an event log
    RECORD_TOO_LARGE = "E_RECORD_TOO_LARGE"  # larger than RECORD_BYTES_MAX, or than DECODED_BYTES_MAX when decompressed
    RECORD_TOO_MANY_EVENTS = "E_RECORD_TOO_MANY_EVENTS"  # more events than EVENTS_PER_RECORD_MAX
    CONTENT_TYPE_UNKNOWN = "E_CONTENT_TYPE_UNKNOWN"  # the content-type header names no codec of ours
    CONTENT_ENCODING = "E_CONTENT_ENCODING"  # unknown or broken content-encoding, decompression bomb
    UTF8 = "E_UTF8"  # the text is not UTF-8
    JSON = "E_JSON"  # not JSON, or nested too deeply
    COLUMNS = "E_COLUMNS"  # a columnar batch that breaks its own layout (lengths, index out of range)
    VERSION = "E_VERSION"  # schema version newer than this worker
    NOT_AN_OBJECT = "E_NOT_AN_OBJECT"  # an event must be a JSON object
    FIELD_MISSING = "E_FIELD_MISSING"  # a required field is absent
    FIELD_TYPE = "E_FIELD_TYPE"  # a field has the wrong type
    FIELD_VALUE = "E_FIELD_VALUE"  # a field has the right type and breaks a rule (range, length, pattern, choice)
    VALUE_NOT_FINITE = "E_VALUE_NOT_FINITE"  # NaN, infinity, or a number outside a double's range
    TIME_TOO_OLD = "E_TIME_TOO_OLD"  # before 2000-01-01Z: seconds sent as milliseconds, or an unset clock
    TIME_IN_FUTURE = "E_TIME_IN_FUTURE"  # more than the allowed skew after the record's append time
    SINK_REJECTED = "E_SINK_REJECTED"  # the store refused the row for good; the row stands in the payload
