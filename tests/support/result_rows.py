"""Readable result rows for tests: give the columns that matter, the others are plain and valid.

In: column values. Out: Arrow tables with the schemas of models.rows. Never: random values without a seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from models.rows import TABLES

T0: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)  # on a window edge of every usual size
T0_MS: Final = int(T0.timestamp() * 1000)

_ORIGIN: Final = {"log_id": "log-a", "topic": "swarm.metrics", "partition": 0}
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "metrics": {
        **_ORIGIN,
        "swarm_id": "s1",
        "agent_id": "a1",
        "run_id": "r1",
        "metric": "task_duration",
        "timestamp": T0,
        "value": 1.0,
        "unit": "ms",
        "tags": [("cluster", "eu")],
        "weight": 1.0,
        "source": "agent",
        "priority": "medium",
        "category": "",
        "provenance": "measured",
        "event_id": "",
        "appended_at": T0,
        "offset": 0,
        "idx": 0,
    },
    "activities": {
        **_ORIGIN,
        "topic": "swarm.activities",
        "swarm_id": "s1",
        "kind": "task",
        "activity_id": "act-1",
        "agent_id": "a1",
        "run_id": "r1",
        "started_at": T0,
        "status": "completed",
        "provenance": "measured",
        "appended_at": T0,
        "offset": 0,
        "idx": 0,
        "ver": 1 << 48,
    },
    "swarms": {
        **_ORIGIN,
        "topic": "swarm.activities",
        "swarm_id": "s1",
        "run_id": "r1",
        "started_at": T0,
        "status": "running",
        "appended_at": T0,
        "offset": 0,
        "ver": 1 << 48,
    },
    "windows": {
        **_ORIGIN,
        "swarm_id": "s1",
        "agent_id": "a1",
        "metric": "task_duration",
        "window_ms": 10_000,
        "window_start": T0,
        "gen": 0,
        "fold_version": 1,
        "unit": "ms",
        "events": 1,
        "weight_sum": 1.0,
        "sum": 1.0,
        "min": 1.0,
        "max": 1.0,
        "mean": 1.0,
        "m2": 0.0,
        "last": 1.0,
        "last_at": T0,
        "sketch_keys": [50_000],
        "sketch_counts": [1024],
        "closed": 1,
        "ver": 1 << 48,
    },
    "anomalies": {
        **_ORIGIN,
        "anomaly_id": "an-1",
        "swarm_id": "s1",
        "agent_id": "a1",
        "metric": "task_duration",
        "window_ms": 10_000,
        "window_start": T0,
        "detected_at": T0 + timedelta(seconds=15),
        "value": 9.0,
        "expected_low": 1.0,
        "expected_high": 3.0,
        "score": 0.9995,
        "severity": "high",
        "direction": "above",
        "detector": "residual",
        "detector_version": 1,
        "reason": "9 ms is above the expected 1 to 3 ms",
        "unit": "ms",
        "evidence_from_offset": 1,
        "evidence_to_offset": 9,
        "evidence": [("tool", "Bash")],
        "fold_version": 1,
        "ver": 1 << 48,
    },
    "dead_letters": {
        **_ORIGIN,
        "offset": 0,
        "idx": -1,
        "error_code": "E_JSON",
        "reason": "not JSON at byte 3",
        "payload": b"{x",
        "payload_bytes": 2,
        "content_type": "",
        "appended_at": T0,
    },
}
# Absent text is '', an absent map is empty; every other absent column is NULL (not measured).
_EMPTY: Final = {pa.types.is_dictionary: "", pa.types.is_string: "", pa.types.is_map: []}


def row(table: str, **columns: Any) -> dict[str, Any]:
    """One valid row of `table`, with the given columns replaced."""
    unknown = set(columns) - set(TABLES[table].names)
    if unknown:
        raise KeyError(f"{table} has no columns {sorted(unknown)}")
    given = {**_DEFAULTS[table], **columns}
    return {field.name: given.get(field.name, _absent(field.type)) for field in TABLES[table]}


def table(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows (partial ones are completed by `row`) as an Arrow table of models.rows.TABLES[name]."""
    return pa.Table.from_pylist([row(name, **r) for r in rows], schema=TABLES[name])


def one_of_each(**columns: Any) -> dict[str, pa.Table]:
    """A batch with one row in every table; the columns go to the tables that have them."""
    return {
        name: table(name, [{k: v for k, v in columns.items() if k in schema.names}]) for name, schema in TABLES.items()
    }


def _absent(kind: pa.DataType) -> Any:
    return next((value for test, value in _EMPTY.items() if test(kind)), None)
