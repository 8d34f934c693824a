"""The closed choices of the import commands, apart from the code that needs heavy libraries.

In: nothing. Out: enumerations. Never: imports more than the standard library.
"""

from __future__ import annotations

from enum import StrEnum


class TimestampUnit(StrEnum):
    """What a number in the timestamp column counts; `iso` is text like 2026-01-31T07:20:10.164Z."""

    S = "s"
    MS = "ms"
    US = "us"
    ISO = "iso"


class TableFormat(StrEnum):
    """The formats of `murmur import file`."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
