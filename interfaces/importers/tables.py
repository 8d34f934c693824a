"""Generic tables (NDJSON, CSV, Parquet) -> metric events through a column mapping.

In: a file, a mapping. Out: chunks of events; bad rows as issues with their line or row. Never: holds more than one
chunk of the table, publishes a row it had to guess at.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interfaces.importers.choices import TableFormat
from interfaces.importers.chunk import Chunk
from interfaces.importers.identity import ContentIds
from interfaces.importers.issues import Issues
from interfaces.importers.jsonl import read_objects
from interfaces.importers.mapping import ColumnMapping, MappingError, RowError, RowReader
from interfaces.importers.paths import NothingToImportError
from interfaces.importers.pipeline import Summary

CHUNK_ROWS = 50_000  # about 40 MB of dicts
READERS_MAX = 1_000  # sets of columns remembered; an NDJSON file usually has one or two
CSV_FIELD_CHARS_MAX = 1 << 20  # a longer cell is an unbalanced quote that swallows the file

Rows = Iterator[tuple[int, Mapping[str, Any]]]  # (line or row number, cells)


_SUFFIXES = {
    ".ndjson": TableFormat.NDJSON,
    ".jsonl": TableFormat.NDJSON,
    ".csv": TableFormat.CSV,
    ".parquet": TableFormat.PARQUET,
    ".pq": TableFormat.PARQUET,
}


def format_of(path: Path) -> TableFormat:
    """The format a file's name says. Raises NothingToImportError when it says none."""
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise NothingToImportError(f"{path}: the suffix does not tell the format; add --format ndjson, csv or parquet")
    return found


def chunks(
    path: Path,
    format: TableFormat,
    mapping: ColumnMapping,
    summary: Summary,
    *,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """Chunks of the table's rows. Raises MappingError, NothingToImportError."""
    summary.facts |= {"files": 1, "rows": 0}
    ids = ContentIds("file")
    read = {TableFormat.NDJSON: _ndjson, TableFormat.CSV: _csv, TableFormat.PARQUET: _parquet}[format]
    chunk = Chunk()
    readers: dict[tuple[str, ...], RowReader] = {}  # every NDJSON row has columns of its own
    for number, row in read(path, mapping, summary.issues, on_bytes):
        summary.facts["rows"] += 1
        try:
            reader = readers.get(tuple(row)) or _reader(readers, mapping, row, str(path))
            chunk.add(reader.event(row, ids), str(path), number)
        except RowError as error:
            summary.issues.add(str(path), number, str(error), kind="bad row")
        if len(chunk.events) >= CHUNK_ROWS:
            yield chunk
            chunk = Chunk()
    if chunk.events:
        yield chunk


def _reader(
    readers: dict[tuple[str, ...], RowReader], mapping: ColumnMapping, row: Mapping[str, Any], path: str
) -> RowReader:
    """The reader for rows with these columns. A row that lacks some is a bad row; tables were checked before."""
    try:
        reader = mapping.reader(row, path)
    except MappingError as error:
        raise RowError(str(error).removeprefix(f"{path}: ")) from None
    if len(readers) < READERS_MAX:
        readers[tuple(row)] = reader
    return reader


def _ndjson(path: Path, _: ColumnMapping, issues: Issues, on_bytes: Callable[[int], None] | None) -> Rows:
    yield from read_objects(path, issues, on_bytes=on_bytes)


def _csv(path: Path, mapping: ColumnMapping, issues: Issues, on_bytes: Callable[[int], None] | None) -> Rows:
    csv.field_size_limit(CSV_FIELD_CHARS_MAX)
    # Bytes that are not UTF-8 stay recognisable, so that the row is refused instead of being quietly changed.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as source:
        reader = csv.reader(_counted(source, on_bytes))
        header = next(reader, None)
        if not header:
            raise NothingToImportError(f"{path}: empty; the first line must name the columns")
        if len(set(header)) != len(header):
            raise MappingError(f"{path}: two columns have the same name in {', '.join(header)}")
        mapping.reader(header, str(path))
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                issues.add(str(path), reader.line_num, f"not CSV: {error}", kind="bad row")
                continue
            if cells is None:
                return
            if len(cells) == len(header):
                yield reader.line_num, dict(zip(header, cells, strict=True))
            elif cells:
                issues.add(
                    str(path), reader.line_num, f"{len(cells)} cells where the header has {len(header)}", kind="bad row"
                )


def _counted(lines: Iterator[str], on_bytes: Callable[[int], None] | None) -> Iterator[str]:
    for line in lines:
        if on_bytes is not None:
            on_bytes(len(line))
        yield line


def _parquet(path: Path, mapping: ColumnMapping, _: Issues, on_bytes: Callable[[int], None] | None) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = mapping.reader(names, str(path)).columns
            rows = max(file.metadata.num_rows, 1)
            size = path.stat().st_size
            number = 0
            for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
                if on_bytes is not None:
                    on_bytes(size * batch.num_rows // rows)
    except (pa.ArrowException, OSError) as error:
        raise NothingToImportError(f"{path}: not readable as Parquet: {' '.join(str(error).split())}") from None
