"""The headers of an answer.

In: what ran and what it gave. Out: ClickHouse's response headers. Never: invents a number the engine did not give.
"""

from __future__ import annotations

import json

from infra.local.clickhouse_http.job import Answer

_TEXT = "text/plain; charset=UTF-8"
_CONTENT_TYPES = {
    "text/tab-separated-values; charset=UTF-8": ("tabseparated", "tsv", "hivetext"),
    "text/csv; charset=UTF-8": ("csv",),
    "application/json; charset=UTF-8": ("json", "geojson"),
    "application/x-ndjson; charset=UTF-8": ("ndjson", "jsonlines"),
    "text/html; charset=UTF-8": ("html",),
    "application/xml; charset=UTF-8": ("xml",),
    "text/markdown; charset=UTF-8": ("markdown", "md"),
    "application/octet-stream": ("native", "rowbinary", "arrow", "parquet", "orc", "avro", "msgpack"),
}
_BY_NAME = {name: kind for kind, names in _CONTENT_TYPES.items() for name in names}
_JSON_ROWS = "application/x-ndjson; charset=UTF-8"


def content_type(format_name: str) -> str:
    """The Content-Type ClickHouse gives an output format; families share one (CSVWithNames is CSV)."""
    name = format_name.lower()
    if name.startswith("json") and "eachrow" in name:
        return _JSON_ROWS
    for prefix in sorted(_BY_NAME, key=len, reverse=True):
        if name.startswith(prefix):
            return _BY_NAME[prefix]
    return _TEXT


def summary(answer: Answer) -> str:
    """X-ClickHouse-Summary: what the engine counted, as strings, as ClickHouse writes it."""
    return json.dumps(
        {
            "read_rows": str(answer.read_rows),
            "read_bytes": str(answer.read_bytes),
            "written_rows": str(answer.written_rows),
            "written_bytes": str(answer.written_bytes),
            "result_rows": str(answer.result_rows),
            "result_bytes": str(answer.result_bytes),
            "elapsed_ns": str(round(answer.elapsed_s * 1e9)),
        },
        separators=(",", ":"),
    )
