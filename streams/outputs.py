"""What a partition's fold has produced since the last flush.

In: accepted events, Arrow tables of result rows. Out: one batch for the sinks. Never: loses a row between two flushes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from models.rows import STREAM_TABLES, TABLES
from streams.metric_rows import StoredEvents, metric_rows
from streams.result_rows import Origin

ANOMALIES: Final = "anomalies"


@dataclass(slots=True)
class Outputs:
    """Rows by result table, in the order they were made, and counts of what happened."""

    origin: Origin
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    events: list[StoredEvents] = field(default_factory=list)  # made into rows of `metrics` when the batch is
    rows: int = 0
    urgent: bool = False  # holds anomalies: somebody may have to act at once

    def add(self, table: str, rows: pa.Table | None, *, alarms: bool = True) -> None:
        """Appends rows of a result table; None and empty tables are fine. `alarms`: anomalies must not wait."""
        if rows is None or not rows.num_rows:
            return
        self.tables.setdefault(table, []).append(rows)
        self.urgent |= table == ANOMALIES and alarms
        self.rows += rows.num_rows

    def add_events(self, events: StoredEvents) -> None:
        """Appends accepted events."""
        if len(events):
            self.events.append(events)
            self.rows += len(events)

    def take_anomalies(self) -> pa.Table | None:
        """The anomalies that wait, for a way of their own; None when there are none."""
        tables = self.tables.pop(ANOMALIES, None)
        self.urgent = False
        if tables is None:
            return None
        found = pa.concat_tables(tables)
        self.rows -= found.num_rows
        return found

    def batch(self) -> dict[str, pa.Table]:
        """One table a result table, in the order of models.rows.TABLES."""
        found = {name: pa.concat_tables(tables) for name, tables in self.tables.items()}
        if self.events:
            found["metrics"] = metric_rows(self.events, self.origin)
        return {name: found[name].unify_dictionaries() for name in (*TABLES, *STREAM_TABLES) if name in found}


@dataclass(slots=True)
class Counters:
    """Running counts of one worker process; not part of any state."""

    records: int = 0
    events: int = 0  # accepted metric events, projected ones included
    activities: int = 0
    late_events: int = 0
    overflow_events: int = 0  # on time, but without room for their window; once for each window
    dead_letters: int = 0
    duplicate_records: int = 0
    duplicate_events: int = 0
    unverifiable_records: int = 0  # stamps older than the producer memory reaches
    skipped_records: int = 0  # delivered again after a resume
    windows_closed: int = 0
    anomalies: int = 0
    change_points: int = 0  # rows of the same table that are no alarms
