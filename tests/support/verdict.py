"""The verdict on a run: what the stores show, compared exactly with an independent recount of the log.

In: settings of a run whose log nobody writes to any more. Out: `Verdict`, or an AssertionError with what differs.
Never: takes a figure from the engine: the log is read by a plain consumer, the rows through the public views.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from models.settings import Settings
from sinks.clickhouse.client import Client, connect
from tests.support.logs import each_record, read_log
from tests.support.oracle import Recount, Tally, recount

DRAIN_S = 180.0  # from the last record to final rows, crashes and rebalances included
LOOK_EVERY_S = 0.25  # the recount's questions are heavy: looked at less often than other conditions
LETTERS = "swarm.dead-letters"
SHOWN = 5  # differences that a failure names


class _TopicRow(msgspec.Struct, gc=False):
    """What is compared of a row of `swarm.windows`; a swarm's own row names no agent."""

    swarm_id: str
    metric: str
    window_ms: int
    window_start: int
    events: int
    sum: float
    min: float
    max: float
    ver: int
    agent_id: str | None = None


_TOPIC_ROW = msgspec.json.Decoder(_TopicRow)


@dataclass(frozen=True)
class Verdict:
    """What was compared, all of it equal."""

    records: int
    events: int
    windows: int
    dead_letters: int
    topic_rows: int  # of `swarm.windows`, compared after keeping the highest ver of each key
    drain_s: float  # from the call to equality; reading the log is part of it
    recount: Recount
    log: list[Any]  # what was recounted

    def windows_of(self, swarm: str) -> list[Any]:
        """Keys of the windows of one swarm."""
        return [key for key in self.recount.windows if key[0] == swarm]


def compare_when_drained(
    settings: Settings,
    *,
    rejected: frozenset[Any] = frozenset(),
    within_s: float = DRAIN_S,
    events_min: int = 1_000,
) -> Verdict:
    """Waits until the stores show the recount. `rejected`: (partition, offset, idx) of events the store refuses."""
    started_s = time.monotonic()
    records = read_log(settings.kafka_bootstrap, f"{settings.topic_prefix}swarm.metrics")
    sizes = tuple(size for size, _ in settings.window_specs)
    expected = recount(records, sizes, settings.future_skew_ms)
    assert len(expected.events) >= events_min, "too few events to prove anything"
    stored = expected.events - rejected
    client = connect(settings)
    try:
        await_equal(lambda: events_stored(settings), len(stored), "events", within_s=within_s)
        await_equal(lambda: _places(client, "v_dead_letters"), expected.dead | rejected, "dead letters")
        await_equal(lambda: window_differences(client, expected.windows), [], "windows")
        drain_s = time.monotonic() - started_s
        assert _places(client, "v_metrics") == stored
    finally:
        client.close()
    assert _letters(settings) == expected.dead | rejected
    rows = topic_differences(settings, expected.windows)
    return Verdict(
        len(records),
        len(stored),
        len(expected.windows),
        len(expected.dead | rejected),
        rows,
        drain_s,
        expected,
        records,
    )


def await_equal(read: Callable[[], Any], expected: Any, what: str, *, within_s: float = DRAIN_S) -> None:
    """Looks until the store shows what is expected; tells what it shows otherwise."""
    deadline_s = time.monotonic() + within_s
    while (found := read()) != expected and time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S)
    if isinstance(expected, set | frozenset):
        unexpected, missing = sorted(found - expected), sorted(expected - found)
        assert not unexpected, f"{what}: {len(unexpected)} unexpected: {unexpected[:SHOWN]}"
        assert not missing, f"{what}: {len(missing)} missing: {missing[:SHOWN]}"
    assert found == expected, f"{what}: {found!r}, not {expected!r}, after {within_s:g} s"


def window_differences(client: Client, windows: dict[Any, Tally]) -> list[Any]:
    """(key, expected, found) of the first windows of `v_windows` that differ from the recount."""
    rows = client.query(
        "SELECT swarm_id, agent_id, metric, toUInt32(window_ms), toUnixTimestamp64Milli(window_start), events, sum, "
        "min, max, mean, stddev FROM v_windows"
    ).result_rows
    found = {tuple(r[:5]): r[5:] for r in rows}
    wrong = []
    for key in set(found) | set(windows):
        expected = windows[key].row() if key in windows else None
        row = found.get(key)
        if (
            row is None
            or expected is None
            or row[:4] != expected[:4]  # the values are integers: exact
            or row[4] != pytest.approx(expected[4], rel=1e-9)
            or row[5] != pytest.approx(expected[5], rel=1e-6, abs=1e-6)
        ):
            wrong.append((key, expected, row))
    return wrong[:SHOWN]


def topic_differences(settings: Settings, windows: dict[Any, Tally]) -> int:
    """Compares `swarm.windows` as its readers see it: the highest ver of each key, generations added; returns rows."""
    read, newest = asyncio.run(_newest_rows(settings))
    parts: dict[Any, list[_TopicRow]] = defaultdict(list)
    for row in newest.values():
        parts[row.swarm_id, row.agent_id, row.metric, row.window_ms, row.window_start].append(row)
    found = {
        key: (sum(r.events for r in rows), sum(r.sum for r in rows), min(r.min for r in rows), max(r.max for r in rows))
        for key, rows in parts.items()
    }
    wrong = [
        (key, windows[key].row()[:4] if key in windows else None, found.get(key))
        for key in set(found) | set(windows)
        if key not in windows or found.get(key) != windows[key].row()[:4]
    ]
    assert not wrong, f"swarm.windows: {len(wrong)} differ: {wrong[:SHOWN]}"
    return read


async def _newest_rows(settings: Settings) -> tuple[int, dict[bytes, _TopicRow]]:
    """How many records `swarm.windows` holds; of each agent's key the row with the highest ver."""
    newest: dict[bytes, _TopicRow] = {}
    read = 0
    async for record in each_record(settings.kafka_bootstrap, f"{settings.topic_prefix}swarm.windows"):
        read += 1
        row = _TOPIC_ROW.decode(record.value)
        if row.agent_id is not None and (record.key not in newest or row.ver >= newest[record.key].ver):
            newest[record.key] = row
    return read, newest


def events_stored(settings: Settings) -> int:
    """Events that `v_metrics` shows."""
    client = connect(settings)
    try:
        return int(client.query("SELECT count() FROM v_metrics").first_row[0])
    finally:
        client.close()


def _places(client: Client, view: str) -> set[Any]:
    """(partition, offset, idx) of every row of the metrics topic."""
    sql = f"SELECT partition, offset, idx FROM {view} WHERE endsWith(topic, 'swarm.metrics')"
    columns = client.query(sql, column_oriented=True).result_set
    return set(zip(*columns, strict=True)) if columns else set()


def _letters(settings: Settings) -> set[Any]:
    """(partition, offset, idx) of every letter on the topic `swarm.dead-letters` that is about the metrics topic."""
    topic = f"{settings.topic_prefix}swarm.metrics".encode()
    told = [dict(record.headers) for record in read_log(settings.kafka_bootstrap, f"{settings.topic_prefix}{LETTERS}")]
    return {(int(h["partition"]), int(h["offset"]), int(h["idx"])) for h in told if h["topic"] == topic}
