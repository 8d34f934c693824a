"""The named detectors over real runs, imported as a user would: what they say, counted; `-s` prints every finding.

In: ../shared/data. Nothing in these runs is labelled as a fault: a finding counts as a false alarm unless the record
itself shows the fault (an unknown model is unknown, five errors in a row are five errors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.claude_code.discovery import transcripts
from interfaces.importers.claude_code.emission import activities
from interfaces.importers.claude_code.reader import Transcripts
from interfaces.importers.claude_flow import chunks, metric_files
from interfaces.importers.pipeline import Summary
from interfaces.importers.records import pack
from models.codecs.records import RawRecord
from streams.fold import PartitionFold
from tests.support.detecting import named
from tests.support.folds import config, new_fold, record

NOW_MS = 1_790_000_000_000  # the moment of the import: after all of it
DATA = Path(__file__).parents[3] / "shared" / "data"
Rows = list[dict[str, Any]]


def _transcripts() -> list[dict[str, Any]]:
    read = Transcripts()
    for path in transcripts([DATA / "claude_code"], defaults=[]):
        read.read(path)
    return list(activities(read, now_ms=None))


def _records(events: list[dict[str, Any]], now_ms: int) -> Iterator[RawRecord]:
    """As the importer packs and an import appends them, all in one partition."""
    for offset, packed in enumerate(pack(events, topic_prefix="", span_ms=5_000)):
        yield record(offset, packed.value, at_ms=now_ms)


def _found(events: list[dict[str, Any]]) -> Rows:
    fold: PartitionFold = new_fold("swarm.activities")
    fold.fold(list(_records(events, NOW_MS)))
    assert fold.counters.dead_letters == 0
    return named(fold)


@pytest.mark.skipif(not (DATA / "claude_code").is_dir(), reason="../shared/data/claude_code is not here")
def test_sixty_real_sessions_and_what_the_detectors_say_of_them(
    record_property: Callable[[str, object], None],
) -> None:
    events = _transcripts()
    rows = _found(events)
    counts = Counter((row["detector"], row["metric"]) for row in rows)
    for row in rows:
        print(row["detector"], row["severity"], row["swarm_id"][:8], row["agent_id"], row["reason"])
    swarms = len({event["swarm_id"] for event in events})
    record_property("figures", f"detectors on {len(events)} activities of {swarms} sessions: {dict(counts)}")
    # One swarm for all sessions: what a team's dashboard would see of its agents together.
    together = _found([event | {"swarm_id": "team"} for event in events])
    joined = Counter((row["detector"], row["metric"]) for row in together)
    for row in together:
        print("team", row["detector"], row["severity"], row["agent_id"], row["reason"])
    record_property("figures", f"the same as one swarm: {dict(joined)}")
    # Held, so that a change that makes them noisy is seen; docs/detectors.md judges each of them.
    assert sum(counts.values()) <= 5
    assert sum(joined.values()) <= 9


@pytest.mark.skipif(not (DATA / "claude_flow").is_dir(), reason="../shared/data/claude_flow is not here")
def test_the_tasks_of_real_machines_are_silent(record_property: Callable[[str, object], None]) -> None:
    read = chunks(metric_files(DATA / "claude_flow"), Summary())
    events = [event for chunk in read for event in chunk.events]
    activities_only = [event for event in events if "metric" not in event]
    fold = new_fold(using=config(windows="10s,60s"))
    metrics = [event for event in events if "metric" in event]
    fold.fold(list(_records(metrics, NOW_MS)))
    rows = _found(activities_only) + named(fold)
    for row in rows:
        print(row["detector"], row["severity"], row["swarm_id"], row["reason"])
    record_property(
        "figures",
        f"detectors on claude-flow: {len(activities_only)} activities, {len(metrics)} metrics, {len(rows)} findings",
    )
    assert len(activities_only) > 900
    assert rows == []
