"""What differs between the live rows and the recomputed ones in the staging database.

In: a client on the live database, a staging database, how far it reaches. Out: counts. Never: changes a row; needs
more of the server's memory than COMPARE_BYTES_MAX before it spills to its disk.

Two questions. The same fold version again: is every recomputed row the row that is stored? Another version: which
windows and anomalies would a reader see appear, vanish or change?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from models.anomaly.change_tuning import CHANGE_SEVERITY
from models.rows import TABLES
from sinks.memory import IDENTITY

COMPARE_BYTES_MAX: Final = 512 * 1024 * 1024
# Sums are added in another order where the late generations differ: the last digits say nothing.
SAME_RELATIVE: Final = 1e-9
_SETTINGS: Final = {
    "do_not_merge_across_partitions_select_final": 1,
    "max_bytes_before_external_group_by": COMPARE_BYTES_MAX,
}
_OFFSET_MASK: Final = 2**48 - 1
# The live worker goes on: only what rests on the log below the end of the replay can be compared.
_PLACE: Final = "indexOf({places:Array(String)}, concat(topic, '/', toString(partition)))"
_BELOW: Final = f"log_id IN {{logs:Array(String)}} AND offset_of_row < {{ends:Array(UInt64)}}[{_PLACE}]"
_MEASURES: Final = ("events", "sum", "min", "max")


@dataclass(frozen=True, slots=True)
class Again:
    """The rows of one table, recomputed under the version they are stored with."""

    table: str
    recomputed: int
    identical: int
    restored: int  # not stored
    repaired: int  # stored with other content under the same version number
    newer: int  # stored with a higher version: the live worker has gone on


@dataclass(frozen=True, slots=True)
class WindowChanges:
    """Windows of one metric and size, generations and partitions merged, as a reader sees them."""

    metric: str
    window_ms: int
    same: int
    added: int
    removed: int
    changed: int
    largest_change_ratio: float | None  # of events, sum, min or max, relative to the larger magnitude
    of: str | None  # which of them


@dataclass(frozen=True, slots=True)
class AnomalyChanges:
    """Anomalies of one metric, by series and window."""

    metric: str
    same: int
    gained: int
    lost: int


class Differences:
    """The comparison of one staging database. `ends`: `topic/partition` -> the replay folded what lies below."""

    def __init__(self, client: Client, staging_database: str, *, logs: Sequence[str], ends: Mapping[str, int]) -> None:
        self._client = client
        self._staging = f"`{staging_database}`"
        self._parameters = {"logs": list(logs), "places": list(ends), "ends": list(ends.values())}

    def again(self, version: int) -> list[Again]:
        """Row by row and table by table: what is stored against what was recomputed."""
        return [self._again(table, version) for table in TABLES]

    def windows(self, old: int, new: int) -> list[WindowChanges]:
        """What a reader would see change, by metric and window size."""
        sides = " UNION ALL ".join(
            (
                _window_side("windows", is_new=False),
                _window_side(f"{self._staging}.windows", is_new=True),
            )
        )
        keys = "swarm_id, agent_id, metric, window_ms, window_start"
        ratios = [f"if(n_old AND n_new, {_ratio(f'old.{i}', f'new.{i}')}, 0)" for i in range(1, len(_MEASURES) + 1)]
        sql = f"""
SELECT metric, toUInt32(window_ms), countIf(n_old AND n_new AND worst <= {SAME_RELATIVE}), countIf(NOT n_old),
    countIf(NOT n_new), countIf(n_old AND n_new AND worst > {SAME_RELATIVE}) AS changed,
    if(changed > 0, max(worst), NULL), if(changed > 0, argMax(which, worst), NULL)
FROM
(
    SELECT {keys}, countIf(NOT is_new) > 0 AS n_old, countIf(is_new) > 0 AS n_new,
        ({", ".join(_measure(m, "NOT is_new") for m in _MEASURES)}) AS old,
        ({", ".join(_measure(m, "is_new") for m in _MEASURES)}) AS new,
        [{", ".join(ratios)}] AS ratios, arrayMax(ratios) AS worst,
        {list(_MEASURES)}[indexOf(ratios, worst)] AS which,
        -- A window that is still growing is not comparable: the live worker may have seen more of it.
        max(offset_beyond) AS beyond
    FROM ({sides}) GROUP BY {keys} HAVING NOT beyond
)
GROUP BY metric, window_ms ORDER BY metric, window_ms"""
        return [WindowChanges(*r) for r in self._rows(sql, old=old, new=new)]

    def anomalies(self, old: int, new: int) -> list[AnomalyChanges]:
        """Anomalies that would appear or vanish; change points are none."""
        keys = "swarm_id, agent_id, metric, window_ms, window_start"

        def side(table: str, version: str, flag: int) -> str:
            return (
                f"SELECT {keys}, {flag} AS is_new, bitAnd(ver, {_OFFSET_MASK}) AS offset_of_row FROM {table} FINAL "
                f"WHERE fold_version = {{{version}:UInt16}} AND {_BELOW} AND severity != '{CHANGE_SEVERITY}'"
            )

        sql = f"""
SELECT metric, countIf(n_old AND n_new), countIf(NOT n_old), countIf(NOT n_new)
FROM
(
    SELECT {keys}, countIf(is_new = 0) > 0 AS n_old, countIf(is_new = 1) > 0 AS n_new
    FROM ({side("anomalies", "old", 0)} UNION ALL {side(f"{self._staging}.anomalies", "new", 1)})
    GROUP BY {keys}
)
GROUP BY metric ORDER BY metric"""
        return [AnomalyChanges(*r) for r in self._rows(sql, old=old, new=new)]

    def out_of_reach(self, version: int, *, starts: Mapping[str, int]) -> tuple[int, Any, Any]:
        """Windows of `version` that rest on records before the log's first, or on a log that is gone.

        Their number, first and last start: a new version cannot have them. `starts`: `topic/partition` -> offset.
        """
        sql = f"""
SELECT count(), min(window_start), max(window_start)
FROM
(
    SELECT window_start, bitAnd(ver, {_OFFSET_MASK}) AS offset_of_row, log_id, topic, partition
    FROM windows FINAL WHERE fold_version = {{version:UInt16}}
)
WHERE log_id NOT IN {{logs:Array(String)}} OR offset_of_row
    < {{starts:Array(UInt64)}}[{_PLACE}]"""
        parameters = {"places": list(starts), "starts": list(starts.values())}
        count, first, last = self._rows(sql, version=version, **parameters)[0]
        return int(count), first, last

    def _again(self, table: str, version: int) -> Again:
        names = TABLES[table].names
        key = ", ".join(f"`{name}`" for name in IDENTITY[table])
        content = ", ".join(f"`{name}`" for name in names if name not in IDENTITY[table])  # as one tuple: NULLs count
        hashed = f"cityHash64(({content}))"
        ver = "ver" if "ver" in names else "toUInt64(0)"
        of_version = f" AND intDiv(ver, {_OFFSET_MASK + 1}) = {{version:UInt16}}" if "ver" in names else ""
        sql = f"""
SELECT countIf(again), countIf(again AND stored AND ver_again = ver_stored AND hash_again = hash_stored),
    countIf(again AND NOT stored),
    countIf(again AND stored AND ver_again >= ver_stored AND (ver_again, hash_again) != (ver_stored, hash_stored)),
    countIf(again AND stored AND ver_again < ver_stored)
FROM
(
    SELECT {key}, countIf(is_new = 0) > 0 AS stored, countIf(is_new = 1) > 0 AS again,
        maxIf(ver, is_new = 0) AS ver_stored, maxIf(ver, is_new = 1) AS ver_again,
        anyIf(hash, is_new = 0) AS hash_stored, anyIf(hash, is_new = 1) AS hash_again
    FROM
    (
        SELECT {key}, {ver} AS ver, {hashed} AS hash, 0 AS is_new FROM `{table}` FINAL
            WHERE log_id IN {{logs:Array(String)}}{of_version}
        UNION ALL
        SELECT {key}, {ver} AS ver, {hashed} AS hash, 1 AS is_new FROM {self._staging}.`{table}` FINAL
    )
    GROUP BY {key}
)"""
        return Again(table, *map(int, self._rows(sql, version=version)[0]))

    def _rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = self._client.query(
            sql, parameters={**self._parameters, **parameters}, settings=dict(_SETTINGS)
        ).result_rows
        return rows


def _window_side(table: str, *, is_new: bool) -> str:
    return f"""SELECT swarm_id, agent_id, metric, window_ms, window_start, {", ".join(_MEASURES)},
        {int(is_new)} = 1 AS is_new, bitAnd(ver, {_OFFSET_MASK}) AS offset_of_row, NOT ({_BELOW}) AS offset_beyond
    FROM {table} FINAL
    WHERE fold_version = {{{"new" if is_new else "old"}:UInt16}} AND log_id IN {{logs:Array(String)}}"""


def _measure(name: str, condition: str) -> str:
    function = {"events": "sum", "sum": "sum", "min": "min", "max": "max"}[name]
    return f"toFloat64({function}If({name}, {condition}))"


def _ratio(a: str, b: str) -> str:
    """|a - b| relative to the larger magnitude; 0 when both are 0."""
    return f"if({a} = {b}, 0, abs({a} - {b}) / greatest(abs({a}), abs({b})))"
