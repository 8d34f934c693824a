"""A new fold version beside the live one: nothing shown changes before all of it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.produce import await_committed, make_topics, produce
from tests.support.traffic import Traffic
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings, worker

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(clickhouse, any_broker, tmp_path, windows="1s")


def ask(settings: Settings, sql: str) -> Any:
    client = connect(settings)
    try:
        return client.query(sql).first_row[0]
    finally:
        client.close()


def shown(settings: Settings) -> int:
    return int(ask(settings, "SELECT fold_version FROM v_active_fold"))


def test_the_views_change_when_the_last_worker_of_a_version_has_caught_up_and_the_old_one_goes_on(
    settings: Settings,
) -> None:
    make_topics(settings)
    traffic = Traffic(7)
    now_ms = int(time.time() * 1000) - 60_000
    produce(settings, traffic, 200, now_ms=now_ms)
    with worker(settings, "live") as live:
        await_committed(settings, live)
        assert shown(settings) == 1
        new = settings.model_copy(update={"fold_version": 2, "windows": "2s", "home": settings.home / "new"})
        stuck = new.model_copy(update={"home": settings.home / "stuck"})
        stuck.home.mkdir()
        stuck.state_dir.write_text("no folder: this worker folds, and can make nothing durable")
        with worker(stuck, "stuck") as waiting:
            # First: the quick one must never have all partitions. It is never ready: it is stalled, and says so.
            eventually(lambda: waiting.status().get("assigned"), "the stuck worker has partitions")
            _judge(settings, new, waiting, lambda: produce(settings, traffic, 50, now_ms=now_ms + 10_000))


def _judge(settings: Settings, new: Settings, waiting: WorkerProcess, produce_more: Callable[[], None]) -> None:
    """Version 2 while one of its two workers makes nothing durable, and after it has gone."""
    with worker(new, "quick") as quick:

        def quick_is_done() -> bool:
            """It has some partitions, not all, and everything of them."""
            parts = [p for p in quick.status().get("partitions", []) if p["topic"] == "swarm.metrics"]
            alone = len(quick.status().get("assigned", [])) == 8
            return not alone and bool(parts) and all(p["snapshot_offset"] == p["next_offset"] > 0 for p in parts)

        eventually(quick_is_done, "the quick worker has caught up with its share")
        looks = quick.output().count("fold_behind")
        eventually(lambda: quick.output().count("fold_behind") >= looks + 2, "it has judged again")
        assert shown(settings) == 1
        assert "fold_activated" not in quick.output() + waiting.output()
        # The version that is shown goes on meanwhile: it has a group of its own.
        before = ask(settings, "SELECT sum(events) FROM v_windows")
        produce_more()
        eventually(lambda: ask(settings, "SELECT sum(events) FROM v_windows") > before, "version 1 goes on")
        assert shown(settings) == 1

        assert waiting.terminate() == 0  # now the quick one gets the rest
        eventually(lambda: shown(settings) == 2, "the views show version 2")
        assert ask(settings, "SELECT groupUniqArray(window_ms) FROM v_windows") == [2_000]
        assert ask(settings, "SELECT sum(events) FROM v_windows") == ask(settings, "SELECT count() FROM v_metrics")
