"""The scorer on memory series of real agent hosts: one with a true incident, one that is always nearly full."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, pstdev

import pytest

from models.anomaly import Verdict, WindowPoint, new_scorer

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "claude_flow"
CLIMB_FROM = datetime(2025, 10, 22, 10, 4, tzinfo=UTC)  # from 44 % on; the incident is what lies above 80 %
INCIDENT_FROM = datetime(2025, 10, 22, 10, 14, tzinfo=UTC)
INCIDENT_TO = datetime(2025, 10, 22, 10, 27, tzinfo=UTC)


def verdicts(host: str, *, window_ms: int) -> list[tuple[datetime, Verdict]]:
    """The memory series of one host in tumbling windows: (window start, verdict)."""
    file = DATA / f"system-metrics.{host}.json"
    if not file.exists():
        pytest.skip(f"{file.name} is not in ../shared/data/claude_flow: the real memory series is not on this machine")
    windows: dict[int, list[float]] = defaultdict(list)
    for sample in json.loads(file.read_text()):
        windows[sample["timestamp"] // window_ms * window_ms].append(sample["memoryUsagePercent"] / 100.0)
    scorer = new_scorer("memory_usage")
    found = []
    for start_ms, held in sorted(windows.items()):
        point = WindowPoint(
            start_ms,
            window_ms,
            len(held),
            len(held),
            fmean(held),
            min(held),
            max(held),
            pstdev(held),
            held[-1],
        )
        found.append((datetime.fromtimestamp(start_ms / 1_000, UTC), scorer.step(point)))
    return found


@pytest.mark.parametrize("window_ms", [10_000, 60_000])
def test_the_memory_incident_of_a_real_host_scores_highest_and_alarms(window_ms: int) -> None:
    found = verdicts("canopy-compiler", window_ms=window_ms)
    spoken = [(verdict.score, start) for start, verdict in found if verdict.score is not None]
    assert INCIDENT_FROM <= max(spoken)[1] <= INCIDENT_TO
    alarms = [start for start, verdict in found if verdict.alarm]
    # One alarm, while the memory climbs and before it is full.
    assert len([start for start in alarms if CLIMB_FROM <= start <= INCIDENT_TO]) == 1
    assert any(CLIMB_FROM <= start < INCIDENT_FROM for start in alarms)
    assert len(alarms) <= 3


@pytest.mark.parametrize("window_ms", [10_000, 60_000])
def test_a_real_host_that_is_always_nearly_full_raises_no_alarm(window_ms: int) -> None:
    found = verdicts("renogy-ha", window_ms=window_ms)
    assert len(found) > 80
    assert not any(verdict.alarm for _, verdict in found)
