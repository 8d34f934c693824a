"""The rows of a flush reach ClickHouse in the order of their table, so that it does not sort them again."""

from __future__ import annotations

import pytest

from models.settings import Settings
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.sink import ClickHouseSink
from tests.support.builders import NOW_MS, json_record, metric
from tests.support.folds import new_fold

pytestmark = pytest.mark.integration


async def test_clickhouse_finds_the_rows_of_a_flush_already_sorted(clickhouse: Settings) -> None:
    fold = new_fold()
    names = [("b", "é", "m"), ("b", "", "n"), ("a", "z", "n"), ("a|", "a", "m")]
    for chunk in range(3):
        events = [
            metric(swarm_id=s, agent_id=a, metric=m, timestamp=NOW_MS - 7_200_000 * (i % 3) - 37 * i * chunk, value=i)
            for i, (s, a, m) in enumerate(names * 50)
        ]
        fold.fold([json_record(events, offset=chunk)])
    rows = fold.take_outputs().batch()["metrics"]
    client = connect(clickhouse)
    client.command("DROP VIEW mark_metrics")  # its own few rows would count as blocks too
    before = _blocks(client)
    sink = ClickHouseSink(clickhouse)
    await sink.start()
    await sink.write({"metrics": rows})
    await sink.close()
    after = _blocks(client)
    assert after[1] > before[1]
    assert after[0] - after[1] == before[0] - before[1], "a block was sorted again"
    assert client.query("SELECT count() FROM v_metrics").first_row == (600,)
    client.close()


def _blocks(client: Client) -> list[int]:
    """Blocks written to tables so far, and those of them that came sorted."""
    names = ["MergeTreeDataWriterBlocks", "MergeTreeDataWriterBlocksAlreadySorted"]
    found = dict(client.query("SELECT event, value FROM system.events").result_rows)
    return [found.get(name, 0) for name in names]
