"""What a ClickHouse error means for the rows of an insert.

In: an exception of clickhouse_connect. Out: the `SinkError` to raise, or `RowRejected`.
Never: decides by the text of a message where a code exists.

Codes and names: ClickHouse, src/Common/ErrorCodes.cpp; a test compares the names with the engine's own
`errorCodeToName`. The split follows what the code says about a second attempt with the same rows.
"""

from __future__ import annotations

import re
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from sinks.base import PermanentSinkError, RetryableSinkError, SinkError

# The same rows may be taken later: the server is away, busy, full, or the outcome is unknown.
RETRYABLE: Final[dict[int, str]] = {
    3: "UNEXPECTED_END_OF_FILE",
    32: "ATTEMPT_TO_READ_AFTER_EOF",
    33: "CANNOT_READ_ALL_DATA",
    74: "CANNOT_READ_FROM_FILE_DESCRIPTOR",
    75: "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
    76: "CANNOT_OPEN_FILE",
    87: "CANNOT_SEEK_THROUGH_FILE",
    95: "CANNOT_READ_FROM_SOCKET",
    96: "CANNOT_WRITE_TO_SOCKET",
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    173: "CANNOT_ALLOCATE_MEMORY",
    198: "DNS_ERROR",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    204: "CANNOT_FSYNC",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    319: "UNKNOWN_STATUS_OF_INSERT",
    364: "RECEIVED_ERROR_TOO_MANY_REQUESTS",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    745: "SERVER_OVERLOADED",
    999: "KEEPER_EXCEPTION",
}

# Some row of the block holds something the table cannot take; the others can be stored.
ROW_REJECTED: Final[dict[int, str]] = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    407: "DECIMAL_OVERFLOW",
    469: "VIOLATED_CONSTRAINT",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}

_MIGRATE = "run `murmur migrate`"
_PASSWORD = "set MURMUR_CLICKHOUSE_USER and MURMUR_CLICKHOUSE_PASSWORD to a user this server knows"
_GRANT = "grant the user SELECT, INSERT and (for `murmur migrate`) CREATE, DROP and ALTER on the database"

# Neither waiting nor leaving out a row helps: name -> what the operator should do.
PERMANENT: Final[dict[int, tuple[str, str]]] = {
    8: ("THERE_IS_NO_COLUMN", _MIGRATE),
    10: ("NOT_FOUND_COLUMN_IN_BLOCK", _MIGRATE),
    16: ("NO_SUCH_COLUMN_IN_TABLE", _MIGRATE),
    36: ("BAD_ARGUMENTS", "see the server's message"),
    47: ("UNKNOWN_IDENTIFIER", _MIGRATE),
    60: ("UNKNOWN_TABLE", _MIGRATE),
    62: ("SYNTAX_ERROR", "the server may be older than this product supports: use ClickHouse 25.8 or newer"),
    81: ("UNKNOWN_DATABASE", f"{_MIGRATE}, or set MURMUR_CLICKHOUSE_DATABASE"),
    115: (
        "UNKNOWN_SETTING",
        "the server may be older than this product supports: use ClickHouse 25.8 or newer",
    ),
    164: ("READONLY", "set MURMUR_CLICKHOUSE_USER to a user that may write"),
    192: ("UNKNOWN_USER", _PASSWORD),
    193: ("WRONG_PASSWORD", _PASSWORD),
    194: ("REQUIRED_PASSWORD", _PASSWORD),
    195: ("IP_ADDRESS_NOT_ALLOWED", "allow this host in the user's networks on the server"),
    291: ("DATABASE_ACCESS_DENIED", _GRANT),
    452: ("SETTING_CONSTRAINT_VIOLATION", "let the user change insert settings, or use another user"),
    497: ("ACCESS_DENIED", _GRANT),
    516: ("AUTHENTICATION_FAILED", _PASSWORD),
}

# A proxy or load balancer before the server answers without a ClickHouse code.
_HTTP_STATUS = re.compile(r"HTTP status (\d{3})")
_HTTP_RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MESSAGE_LENGTH_MAX = 400  # characters of the server's own words in our one line

OVERLOADED_RETRY_AFTER_S = 5.0  # too many parts or queries, no memory: merges need seconds, not milliseconds
_OVERLOADED: Final = frozenset({201, 202, 241, 243, 252, 745})


class RowRejectedError(Exception):
    """The block holds a row the table refuses for good; the message is the server's."""


def translate(error: BaseException, *, where: str) -> SinkError | RowRejectedError:
    """The error to raise for `error`, in one line: where, what, what to do.

    `where` names the place, for example `ClickHouse http://127.0.0.1:8123 insert into metrics`.
    """
    code = error.code if isinstance(error, Error) else None
    text = one_line(error)
    if code is None:
        return _without_code(error, text, where)
    if code in RETRYABLE:
        wait = OVERLOADED_RETRY_AFTER_S if code in _OVERLOADED else 1.0
        return RetryableSinkError(f"{where}: {RETRYABLE[code]} ({code}): {text}", retry_after_s=wait)
    if code in ROW_REJECTED:
        return RowRejectedError(f"{ROW_REJECTED[code]} ({code}): {text}")
    name, advice = PERMANENT.get(code, (getattr(error, "name", None) or "error", "see the server's message"))
    return PermanentSinkError(f"{where}: {name} ({code}): {advice}; server: {text}")


def one_line(error: BaseException) -> str:
    """The server's or the driver's own words, without the driver's frame, line breaks and version trailer."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    text = re.sub(r"^Received ClickHouse exception, code: \d+, server response: ", "", text)
    text = re.sub(r"^Code: \d+\. ", "", text)
    text = re.sub(r"^(DB::Exception: )+", "", text)
    text = re.sub(r" \(for url [^)]*\)$", "", text)
    text = re.sub(r"\s*\(version [^()]*(\([^()]*\))?\)\s*$", "", text)
    text = re.sub(r" ?\([A-Z][A-Z0-9_]+\)$", "", text)  # the code's name, which stands in front already
    return text if len(text) <= _MESSAGE_LENGTH_MAX else text[: _MESSAGE_LENGTH_MAX - 1] + "…"


def _without_code(error: BaseException, text: str, where: str) -> SinkError:
    status = _HTTP_STATUS.search(text)
    if status is not None and int(status[1]) in {401, 403}:
        return PermanentSinkError(f"{where}: HTTP {status[1]}: {_PASSWORD}; server: {text}")
    if status is not None and int(status[1]) == 413:
        return PermanentSinkError(
            f"{where}: HTTP 413: the endpoint refuses large bodies: raise its body limit; server: {text}"
        )
    if status is not None and int(status[1]) not in _HTTP_RETRYABLE:
        return PermanentSinkError(f"{where}: not a ClickHouse HTTP address? Check MURMUR_CLICKHOUSE_URL; {text}")
    if "SSL" in text:
        return PermanentSinkError(
            f"{where}: TLS fails: is the address http:// instead, or its certificate not trusted? {text}"
        )
    if isinstance(error, (ClickHouseError, OSError)):
        # Connection refused, reset, timed out: the driver gives no code for what never reached the server.
        return RetryableSinkError(f"{where}: not reachable; is the server running? {_cause(error) or text}")
    return PermanentSinkError(f"{where}: {type(error).__name__}: {text}")


def _cause(error: BaseException) -> str:
    """`Connection refused` out of the nested exceptions of the HTTP library."""
    found = re.search(r"\[Errno \d+\] ([^'\")]+)|(timed out)|(Name or service not known)", str(error))
    return "" if found is None else next(filter(None, found.groups()))
