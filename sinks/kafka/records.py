"""Result rows as Kafka records: key, value, headers.

In: Arrow tables of `windows`, `swarm_windows`, `anomalies`, `alerts`, `advisories`, `dead_letters`.
Out: one record a row. Never: talks to a broker; puts a number into text that a reader could not get back exactly.

Windows and anomalies are JSON objects with the column names as keys; times are integers, epoch milliseconds UTC.
In place of its sketch a window has the percentiles themselves: who reads a topic acts on numbers, and the buckets were
half of a row's bytes and most of its cost. The sketches are in ClickHouse.
A dead letter's value is the original bytes, so that it can be read or published again as it is; what is known
about it stands in the headers, under the column names.
The key is the row's identity, its parts joined by `|` (a `|` or `\\` within a part is escaped by `\\`), so a
compacted topic keeps the newest version of each row. Consumers keep the highest `ver` of each key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, starmap
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from models.rows import ALERT_TABLES, CONTROL_TABLES, STREAM_TABLES, TABLES
from models.windows.sketch import quantiles

KEY_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "windows": (
        "swarm_id",
        "agent_id",
        "metric",
        "window_ms",
        "window_start",
        "log_id",
        "topic",
        "partition",
        "gen",
        "fold_version",
    ),
    "swarm_windows": (
        "swarm_id",
        "metric",
        "window_ms",
        "window_start",
        "log_id",
        "topic",
        "partition",
        "fold_version",
    ),
    "anomalies": ("anomaly_id",),
    "alerts": ("alert_id", "seq"),
    "advisories": ("advisory_id",),
    "dead_letters": ("topic", "partition", "offset", "idx", "log_id"),
}
SCHEMAS: Final = TABLES | STREAM_TABLES | ALERT_TABLES | CONTROL_TABLES
PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# Cut below this: 1 MiB is the default record limit of brokers, and headers and framing need room.
DEAD_LETTER_BYTES_MAX: Final = 900_000

ROWS_AT_ONCE: Final = 8_192  # as Python values: 25 numbers and texts a row, about 10 MB

_JSON_TYPE: Final = ("content-type", b"application/json")
_encode_lines: Final = msgspec.json.Encoder().encode_lines

Headers = list[tuple[str, bytes]]


class Record(msgspec.Struct, frozen=True, gc=False):
    """What is handed to the producer."""

    key: bytes
    value: bytes
    headers: Headers

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return len(self.key) + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)


def records(table: str, rows: pa.Table) -> Iterator[Record]:
    """The records of `rows`, in order."""
    for start in range(0, rows.num_rows, ROWS_AT_ONCE):
        yield from _records(table, rows.slice(start, ROWS_AT_ONCE))


def _records(table: str, rows: pa.Table) -> Iterator[Record]:
    columns = {name: _column(rows.column(name)) for name in _COLUMNS[table] if name not in PERCENTILES}
    keys = _keys([columns[name] for name in KEY_COLUMNS[table]])
    if table == "dead_letters":
        return _dead_letters(keys, columns)
    if "sketch_keys" in rows.column_names:
        columns |= _percentiles(rows)
    return _objects(keys, [columns[name] for name in _COLUMNS[table]], columns["ver"], _ROW_TYPES[table])


def identity(*parts: str | int) -> bytes:
    """The key of the row with these identity columns, in the order of KEY_COLUMNS."""
    return next(iter(_keys([[part] for part in parts])))


def _objects(
    keys: Iterable[bytes], columns: list[list[Any]], versions: list[int], row_type: Callable[..., Any]
) -> Iterator[Record]:
    # A struct per row instead of a dict: msgspec writes its field names without looking them up (2x faster). Written as
    # lines and cut apart, which no text within JSON disturbs, a row takes no step of Python.
    values = _encode_lines(list(map(row_type, *columns))).split(b"\n")
    values.pop()  # what is behind the last line break
    headers = [[_JSON_TYPE, ("ver", ver)] for ver in map(str.encode, map(str, versions))]
    return starmap(Record, zip(keys, values, headers, strict=True))


def _percentiles(rows: pa.Table) -> dict[str, list[float]]:
    """The percentiles of each row from its sketch."""
    if not rows.num_rows:
        return {name: [] for name in PERCENTILES}
    keys, counts = (rows.column(name).combine_chunks() for name in ("sketch_keys", "sketch_counts"))
    offsets = keys.offsets.to_numpy().astype(np.int64)
    low, high = (rows.column(name).to_numpy() for name in ("min", "max"))
    sketches = (offsets - offsets[0], keys.flatten().to_numpy(), counts.flatten().to_numpy().astype(np.int64))
    return {name: quantiles(*sketches, q, low=low, high=high).tolist() for name, q in PERCENTILES.items()}


def _dead_letters(keys: Iterator[bytes], columns: dict[str, list[Any]]) -> Iterator[Record]:
    names = [name for name in columns if name not in {"payload", "content_type"}]
    told = zip(*(columns[name] for name in names), strict=True)
    for key, payload, content_type, values in zip(keys, columns["payload"], columns["content_type"], told, strict=True):
        headers = [(name, _text(value)) for name, value in zip(names, values, strict=True) if value is not None]
        if content_type:
            headers.append(("content-type", _text(content_type)))
        yield Record(key, (payload or b"")[:DEAD_LETTER_BYTES_MAX], headers)


def _keys(columns: list[list[Any]]) -> Iterator[bytes]:
    texts = [_escaped(column) if column and isinstance(column[0], str) else map(str, column) for column in columns]
    return map(str.encode, map("|".join, zip(*texts, strict=True)))


def _escaped(column: list[str]) -> list[str]:
    special = {text for text in set(column) if "|" in text or "\\" in text}
    if not special:
        return column
    return [t.replace("\\", "\\\\").replace("|", "\\|") if t in special else t for t in column]


def _text(value: str | int) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


def _column(column: pa.ChunkedArray) -> list[Any]:
    """Python values of a column: times as integers, lists without a Python call per element."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return list(chain.from_iterable(map(_texts, column.chunks)))
    if pa.types.is_map(kind):
        return [None if pairs is None else dict(pairs) for pairs in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    if pa.types.is_primitive(column.type) and not column.null_count:
        return list(column.to_numpy().tolist())
    return list(column.to_pylist())


def _texts(chunk: pa.DictionaryArray) -> Iterator[str | None]:
    # Looked up in Python: 4 times faster than Arrow's conversion of each element. A slice uses few of its entries.
    absent = len(chunk.dictionary)
    used, place = np.unique(chunk.indices.fill_null(absent).to_numpy(), return_inverse=True)
    texts: list[str | None] = chunk.dictionary.take(pa.array(used[used < absent])).to_pylist()
    texts.append(None)  # the place of what is absent: the largest index
    return map(texts.__getitem__, place.tolist())


def _names(table: str) -> list[str]:
    """The keys of a row's JSON object: the columns, percentiles in the place of the sketch."""
    names = [name for name in SCHEMAS[table].names if name != "sketch_counts"]
    if "sketch_keys" not in names:
        return names
    at = names.index("sketch_keys")
    return [*names[:at], *PERCENTILES, *names[at + 1 :]]


_COLUMNS: Final = {table: _names(table) for table in KEY_COLUMNS}
_ROW_TYPES: Final[dict[str, Callable[..., Any]]] = {
    table: msgspec.defstruct(f"{table.title()}Row", [(name, Any) for name in names])
    for table, names in _COLUMNS.items()
    if table != "dead_letters"
}
