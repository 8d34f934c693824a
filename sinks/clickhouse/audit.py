"""The questions of an audit: what the raw rows say, what the window rows say, what of the log left no row.

In: a client, a fold version, a selection. Out: numbers for each (log, topic, partition) and window size.
Never: computes in this process what the server can; needs more memory there than AUDIT_BYTES_MAX before it spills.

It reads the tables, not the views: it judges what the views rest on. An event belongs to size / step windows of a
size, and to fewer of them where a time range cuts between two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client

AUDIT_BYTES_MAX: Final = 512 * 1024 * 1024  # of the server's memory for one grouping; what is beyond goes to its disk
GAPS_SHOWN_MAX: Final = 1_000  # ranges of offsets without a row that are looked at one by one
FROM_MS_MIN: Final = 0
TO_MS_MAX: Final = 4_102_444_800_000 + 86_400_000  # a day after the last valid event time, 2100-01-01Z

# Rows of one identity lie in one table partition (it is a function of the sorting key), so FINAL may treat each alone.
_SETTINGS: Final = {
    "do_not_merge_across_partitions_select_final": 1,
    "max_bytes_before_external_group_by": AUDIT_BYTES_MAX,
    "max_bytes_before_external_sort": AUDIT_BYTES_MAX,
}
_OFFSET_BITS: Final = 48  # ver = fold version << 48 | offset
# `t` is in the windows of this size that start within [from, to): starts are the multiples of `step` in (t - size, t].
_WINDOWS_OF_EVENT: Final = """greatest(0, intDiv(least(t, {to_ms:Int64} - 1), step_ms)
        - intDiv(greatest(t - size_ms, {from_ms:Int64} - 1), step_ms))"""

_SIZES: Final = """
SELECT toUInt32(window_ms) AS size_ms, uniqExact(toUnixTimestamp64Milli(window_start) % window_ms) AS starts
FROM windows WHERE fold_version = {version:UInt16} GROUP BY size_ms ORDER BY size_ms"""

# Up to where the window rows reach: an event beyond is on its way from the first table of a flush to the last.
_FOLDED: Final = f"""
SELECT log_id, topic, partition, window_ms AS size_ms, max(bitAnd(ver, {2**_OFFSET_BITS - 1})) + 1 AS folded
FROM windows WHERE fold_version = {{version:UInt16}} GROUP BY log_id, topic, partition, size_ms"""

# One statement, because the server looks at all tables at the same moment: rows that arrive later are in no part of it.
_SUMS: Final = f"""
SELECT 'windows', log_id, topic, toUInt16(partition), toUInt32(window_ms),
    toUInt64(count()), toUInt64(sum(events)), countIf(closed = 0), countIf(gen > 0), sumIf(events, gen > 0)
FROM windows FINAL
WHERE fold_version = {{version:UInt16}} AND (empty({{swarms:Array(String)}}) OR swarm_id IN {{swarms:Array(String)}})
    AND window_start >= fromUnixTimestamp64Milli({{from_ms:Int64}})
    AND window_start < fromUnixTimestamp64Milli({{to_ms:Int64}})
GROUP BY log_id, topic, partition, window_ms
UNION ALL
SELECT 'events', e.log_id, e.topic, toUInt16(e.partition), toUInt32(e.size_ms),
    count(), toUInt64(sum(e.n)), toUInt64(sumIf(e.n, e.offset >= f.folded)),
    toUInt64(sumIf(e.n, e.offset >= d.durable)), toUInt64(any(f.folded))
FROM
(
    SELECT log_id, topic, partition, offset, toUnixTimestamp64Milli(timestamp) AS t,
        size.1 AS size_ms, size.2 AS step_ms, {_WINDOWS_OF_EVENT} AS n
    FROM metrics FINAL
    ARRAY JOIN arrayZip({{sizes:Array(UInt32)}}, {{steps:Array(UInt32)}}) AS size
    WHERE (empty({{swarms:Array(String)}}) OR swarm_id IN {{swarms:Array(String)}}) AND n > 0
) AS e
LEFT JOIN ({_FOLDED}) AS f
    ON e.log_id = f.log_id AND e.topic = f.topic AND e.partition = f.partition AND e.size_ms = f.size_ms
LEFT JOIN
(
    SELECT p.1 AS log_id, p.2 AS topic, p.3 AS partition, p.4 AS durable
    FROM (SELECT arrayJoin(arrayZip({{logs:Array(String)}}, {{topics:Array(String)}}, {{partitions:Array(UInt16)}},
        {{durable:Array(UInt64)}})) AS p)
) AS d ON e.log_id = d.log_id AND e.topic = d.topic AND e.partition = d.partition
GROUP BY e.log_id, e.topic, e.partition, e.size_ms"""

# A bitmap holds runs of offsets in a few bytes, so counting distinct ones needs no sort and hardly any memory.
_OFFSETS: Final = """
SELECT log_id, topic, toUInt16(partition), min(offset), max(offset), groupBitmap(offset)
FROM
(
    SELECT log_id, topic, partition, offset FROM metrics
    UNION ALL SELECT log_id, topic, partition, offset FROM activities
    UNION ALL SELECT log_id, topic, partition, offset FROM dead_letters
)
GROUP BY log_id, topic, partition ORDER BY topic, partition, log_id"""

_DEAD_LETTERS: Final = """
SELECT log_id, topic, toUInt16(partition), count(), countIf(error_code = 'E_SINK_REJECTED')
FROM dead_letters FINAL GROUP BY log_id, topic, partition"""

_GAPS: Final = f"""
SELECT before + 1 AS first, offset - 1 AS last
FROM
(
    SELECT offset, lagInFrame(offset, 1, offset) OVER (ORDER BY offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
        AS before
    FROM
    (
        SELECT DISTINCT offset FROM
        (
            SELECT offset FROM metrics
            WHERE log_id = {{log_id:String}} AND topic = {{topic:String}} AND partition = {{partition:UInt16}}
            UNION ALL SELECT offset FROM dead_letters
            WHERE log_id = {{log_id:String}} AND topic = {{topic:String}} AND partition = {{partition:UInt16}}
        )
    )
)
WHERE offset > before + 1 ORDER BY first LIMIT {GAPS_SHOWN_MAX}"""


_STORED: Final = """
SELECT DISTINCT swarm_id, agent_id, metric, toUnixTimestamp64Milli(timestamp), value
FROM metrics
WHERE swarm_id IN {swarms:Array(String)} AND metric IN {metrics:Array(String)}
    AND timestamp >= fromUnixTimestamp64Milli({from_ms:Int64}) AND timestamp <= fromUnixTimestamp64Milli({to_ms:Int64})
    AND (swarm_id, agent_id, metric, toUnixTimestamp64Milli(timestamp), value)
        IN arrayZip({swarms:Array(String)}, {agents:Array(String)}, {metrics:Array(String)}, {times:Array(Int64)},
            {values:Array(Float64)})"""


class Place(NamedTuple):
    """One partition of one log."""

    log_id: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Selection:
    """What is audited. Empty `swarms`: all. Half-open range of window starts, epoch ms."""

    version: int
    swarms: tuple[str, ...] = ()
    from_ms: int = FROM_MS_MIN
    to_ms: int = TO_MS_MAX


@dataclass(frozen=True, slots=True)
class WindowSum:
    """What the window rows of one place and size hold."""

    rows: int
    events: int
    open_rows: int
    late_rows: int  # late generations
    late_events: int


@dataclass(frozen=True, slots=True)
class EventSum:
    """What the window rows of one place and size should hold, by the raw rows."""

    raw_events: int
    events: int  # each as often as it is in a window
    in_flight: int  # of these, from offsets beyond the last one any window row rests on
    open: int  # of these, from offsets that need not have left all their rows yet
    folded: int  # next offset after the last one a window row rests on; 0: no window row


@dataclass(frozen=True, slots=True)
class Offsets:
    """Which offsets of a place have left a row in any table."""

    first: int
    last: int
    distinct: int


class AuditReader:
    """The questions over one database."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def shown_version(self) -> int:
        """The fold version the views show; 0: there is none yet."""
        sql = (
            "SELECT fold_version FROM v_active_fold WHERE (SELECT count() FROM folds) OR (SELECT count() FROM windows)"
        )
        rows = self._rows(sql)
        return int(rows[0][0]) if rows else 0

    def versions(self) -> list[int]:
        """Every fold version with rows or a note."""
        sql = "SELECT fold_version FROM folds UNION DISTINCT SELECT fold_version FROM windows"
        return sorted(int(version) for (version,) in self._rows(sql))

    def note(self, version: int) -> str:
        """What the worker of this version wrote about itself; empty when none did."""
        rows = self._rows("SELECT note FROM folds FINAL WHERE fold_version = {version:UInt16}", version=version)
        return str(rows[0][0]) if rows else ""

    def sizes(self, version: int) -> dict[int, int]:
        """Window size -> step, in ms. Each event stands in size / step windows, so the starts tell the step."""
        return {int(size): int(size) // int(starts) for size, starts in self._rows(_SIZES, version=version)}

    def sums(
        self, what: Selection, sizes: dict[int, int], durable: Mapping[Place, int]
    ) -> tuple[dict[tuple[Place, int], WindowSum], dict[tuple[Place, int], EventSum]]:
        """What the window rows hold, and what they should hold, by (place, window size in ms); at one moment.

        `durable`: the offset below which every record had left all its rows before this was asked.
        """
        rows = self._rows(
            _SUMS,
            version=what.version,
            swarms=list(what.swarms),
            from_ms=what.from_ms,
            to_ms=what.to_ms,
            sizes=list(sizes),
            steps=list(sizes.values()),
            logs=[place.log_id for place in durable],
            topics=[place.topic for place in durable],
            partitions=[place.partition for place in durable],
            durable=list(durable.values()),
        )
        windows = {
            (Place(*row[1:4]), int(row[4])): WindowSum(*map(int, row[5:])) for row in rows if row[0] == "windows"
        }
        events = {(Place(*row[1:4]), int(row[4])): EventSum(*map(int, row[5:])) for row in rows if row[0] == "events"}
        return windows, events

    def offsets(self) -> dict[Place, Offsets]:
        """Offsets with rows, whatever the selection: an offset belongs to no swarm."""
        return {Place(*row[:3]): Offsets(*map(int, row[3:])) for row in self._rows(_OFFSETS)}

    def dead_letters(self) -> dict[Place, tuple[int, int]]:
        """Place -> dead letters, and how many of them are rows that ClickHouse refused."""
        return {Place(*row[:3]): (int(row[3]), int(row[4])) for row in self._rows(_DEAD_LETTERS)}

    def gaps(self, place: Place) -> list[tuple[int, int]]:
        """The first GAPS_SHOWN_MAX ranges of offsets (both ends inclusive) without a row."""
        return [(int(a), int(b)) for a, b in self._rows(_GAPS, **place._asdict())]

    def stored(self, events: Sequence[tuple[str, str, str, int, float]]) -> set[tuple[str, str, str, int, float]]:
        """Which of these events (swarm, agent, metric, epoch ms, value) stand in `metrics`, under any offset."""
        if not events:
            return set()
        swarms, agents, metrics, times, values = (list(column) for column in zip(*events, strict=True))
        rows = self._rows(
            _STORED,
            swarms=swarms,
            agents=agents,
            metrics=metrics,
            times=times,
            values=values,
            from_ms=min(times),
            to_ms=max(times),
        )
        return {(str(s), str(a), str(m), int(t), float(v)) for s, a, m, t, v in rows}

    def _rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = self._client.query(
            sql, parameters=parameters, settings=dict(_SETTINGS)
        ).result_rows
        return rows
