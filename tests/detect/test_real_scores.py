"""Scores of real hosts' metrics through the fold, with default settings, as a user imports them; `-s` prints alarms.

In: ../shared/data/claude_flow. Its one incident is the memory of canopy-compiler: from 44 % at 10:04 UTC to 99 %
at 10:21, gone at 10:23. renogy-ha is always 99 % full, which is no news.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.claude_flow import chunks, metric_files
from interfaces.importers.pipeline import Summary
from interfaces.importers.records import pack
from models.settings import Settings
from streams.fold_config import FoldConfig
from tests.support.folds import new_fold, record

DATA = Path(__file__).parents[3] / "shared" / "data" / "claude_flow"
NOW_MS = 1_790_000_000_000  # the moment of the import: after all of it
CLIMB_FROM = datetime(2025, 10, 22, 10, 4, tzinfo=UTC)
OVER = datetime(2025, 10, 22, 10, 31, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/claude_flow is not here")


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """Every anomaly of the scorers; change points are none."""
    read = chunks(metric_files(DATA), Summary())
    metrics = [event for chunk in read for event in chunk.events if "metric" in event]
    fold = new_fold(using=FoldConfig.of(Settings()))
    fold.fold([record(n, p.value, at_ms=NOW_MS) for n, p in enumerate(pack(metrics, topic_prefix="", span_ms=5_000))])
    assert fold.counters.dead_letters == 0
    rows = [row for row in fold.take_outputs().batch()["anomalies"].to_pylist() if row["detector"] != "change_point"]
    for row in rows:
        print(row["window_start"], row["swarm_id"], row["metric"], row["detector"], row["score"], row["reason"])
    return rows


def test_the_memory_incident_is_told_once_for_each_of_its_series_while_the_memory_climbs(
    told: list[dict[str, Any]],
) -> None:
    for metric in ("memory_usage", "memory_usage_ratio"):
        own = [row for row in told if (row["swarm_id"], row["metric"]) == ("canopy-compiler", metric)]
        during = [row["window_start"] for row in own if CLIMB_FROM <= row["window_start"] <= OVER]
        assert len(during) == 1, metric
        assert during[0] < datetime(2025, 10, 22, 10, 14, tzinfo=UTC), "told before four fifths were full"
        assert len(own) <= 3, metric


def test_a_host_that_is_always_full_is_told_of_nothing(told: list[dict[str, Any]]) -> None:
    assert [row for row in told if row["swarm_id"] == "renogy-ha" and row["metric"].startswith("memory_usage")] == []
