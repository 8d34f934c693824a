"""The named detectors over real runs, imported as a user would: what they say, counted; `-s` prints every finding.

In: ../shared/data. Nothing in these runs is labelled as a fault: a finding counts as a false alarm unless the record
itself shows the fault (an unknown model is unknown, five errors in a row are five errors).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.importers.claude_code.discovery import transcripts
from interfaces.importers.claude_code.emission import activities
from interfaces.importers.claude_code.reader import Transcripts
from models.codecs.records import RawRecord
from streams.fold import PartitionFold
from tests.support.detecting import named
from tests.support.folds import new_fold, record

DATA = Path(__file__).parents[3] / "shared" / "data"
Rows = list[dict[str, Any]]


def _transcripts() -> list[dict[str, Any]]:
    read = Transcripts()
    for path in transcripts([DATA / "claude_code"], defaults=[]):
        read.read(path)
    return list(activities(read, now_ms=None))


def _records(events: list[dict[str, Any]], now_ms: int) -> Iterator[RawRecord]:
    """As an import appends them: in chunks, all at the time of the import."""
    for offset, start in enumerate(range(0, len(events), 100)):
        yield record(offset, json.dumps(events[start : start + 100]).encode(), at_ms=now_ms)


def _found(events: list[dict[str, Any]]) -> Rows:
    fold: PartitionFold = new_fold("swarm.activities")
    fold.fold(list(_records(events, 1_790_000_000_000)))
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
    events.sort(key=lambda event: event.get("ended_at") or event["started_at"])
    together = _found([event | {"swarm_id": "team"} for event in events])
    joined = Counter((row["detector"], row["metric"]) for row in together)
    for row in together:
        print("team", row["detector"], row["severity"], row["agent_id"], row["reason"])
    record_property("figures", f"the same as one swarm in the order of time: {dict(joined)}")
