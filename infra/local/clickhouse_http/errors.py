"""ClickHouse errors: code, name, text, and the HTTP status a ClickHouse server would give.

In: an engine's message or our own refusal. Out: `ClickHouseError`. Never: a Python traceback in an answer.
"""

from __future__ import annotations

import re

# The codes this server itself raises; the engine brings all others in its messages.
SYNTAX_ERROR = (62, "SYNTAX_ERROR")
UNKNOWN_COMPRESSION = (89, "UNKNOWN_COMPRESSION_METHOD")
CANNOT_READ = (33, "CANNOT_READ_ALL_DATA")
NOT_ENOUGH_SPACE = (243, "NOT_ENOUGH_SPACE")
CANNOT_DECOMPRESS = (271, "CANNOT_DECOMPRESS")
READONLY = (164, "READONLY")
UNKNOWN_SETTING = (115, "UNKNOWN_SETTING")
BAD_ARGUMENTS = (36, "BAD_ARGUMENTS")
TOO_MANY_QUERIES = (202, "TOO_MANY_SIMULTANEOUS_QUERIES")
BODY_TOO_LARGE = (307, "TOO_MANY_BYTES")
QUERY_TOO_LARGE = (229, "QUERY_IS_TOO_LARGE")
CHECKSUM = (40, "CHECKSUM_DOESNT_MATCH")
NO_OUTFILE = (358, "INTO_OUTFILE_NOT_ALLOWED")
NO_INFILE = (78, "UNKNOWN_TYPE_OF_QUERY")
SESSION_NOT_FOUND = (372, "SESSION_NOT_FOUND")
SESSION_LOCKED = (373, "SESSION_IS_LOCKED")
INVALID_SESSION_TIMEOUT = (374, "INVALID_SESSION_TIMEOUT")
LENGTH_REQUIRED = (381, "HTTP_LENGTH_REQUIRED")
ACCESS_DENIED = (497, "ACCESS_DENIED")
AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
UNKNOWN_EXCEPTION = (1002, "UNKNOWN_EXCEPTION")

# The server's own table (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp); every other code is a 500.
_STATUS_CODES: dict[int, tuple[int, ...]] = {
    401: (194,),
    403: (192, 193, 497, 512, 516),
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229, 307),  # 307: a body above our own limit
    415: (779,),
    501: (48,),
    503: (76, 202, 209, 439),  # 202: clients retry a 503, never a 500
}
_STATUS_OF = {code: status for status, codes in _STATUS_CODES.items() for code in codes}
_STATUS_OF |= dict.fromkeys((675, 676), 400)  # CANNOT_PARSE_IPV4, CANNOT_PARSE_IPV6

_HEAD = re.compile(r"Code: (\d+)\. DB::Exception: ")
_NAME = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\s*\.?\s*\Z")
_VERSION = re.compile(r"\s*\(version [^()]*(?:\([^()]*\))?\)\s*\.?\s*\Z")
# Where an insert's data lay for the engine is nothing the client has sent.
_OUR_FILE = re.compile(r"(?:: )?\(in file/uri [^()]*\)|: data for INSERT was parsed from file")
_PREFIX = re.compile(r"\A(?:Streaming (?:query|insert \w+) failed: |Failed to create connection: )+")


class ClickHouseError(Exception):
    """One refusal, worded as ClickHouse words it."""

    def __init__(self, kind: tuple[int, str], message: str) -> None:
        super().__init__(message)
        self.code, self.name = kind
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return _STATUS_OF.get(self.code, 500)

    def body(self, version: str) -> str:
        """The text of an answer: what ClickHouse prints, one line at its end."""
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name}) (version {version})\n"


def from_engine(text: str) -> ClickHouseError:
    """The engine's message -> one error; messages the engine wraps into each other are unwrapped."""
    text = _OUR_FILE.sub("", text)
    text = _PREFIX.sub("", text.strip())
    code, name = 0, ""
    while match := _HEAD.match(text):
        code = int(match[1])
        text = text[match.end() :]
    while True:
        text = _VERSION.sub("", text)
        if not (found := _NAME.search(text)):
            break
        name = found[1]
        text = text[: found.start()]
    if not code:
        return ClickHouseError(UNKNOWN_EXCEPTION, text or "the engine gave no reason")
    return ClickHouseError((code, name or "UNKNOWN_EXCEPTION"), text)
