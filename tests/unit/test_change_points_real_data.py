"""Change points on real hosts: the memory incident begins and ends with one each; quiet hosts keep their level."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import pytest

from models.anomaly import WindowPoint
from models.anomaly.change_point import Change, fresh, step
from models.settings import Settings

IDLE_MS: int = Settings.model_fields["series_idle_ms"].default
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "claude_flow"


def changes(host: str, *, window_ms: int) -> list[Change]:
    """Of the memory series of one host."""
    file = DATA / f"system-metrics.{host}.json"
    if not file.exists():
        pytest.skip(f"{file.name} is not in ../shared/data/claude_flow: the real memory series is not on this machine")
    windows: dict[int, list[float]] = defaultdict(list)
    for sample in json.loads(file.read_text()):
        windows[sample["timestamp"] // window_ms * window_ms].append(sample["memoryUsagePercent"])
    state, found, found_ms = fresh(), [], 0
    for start_ms, held in sorted(windows.items()):
        if found_ms and start_ms - found_ms > IDLE_MS:
            state = fresh()  # as the fold forgets a series that paused
        found_ms, mean = start_ms, fmean(held)
        change = step(state, WindowPoint(start_ms, window_ms, len(held), len(held), mean, mean, mean, 0.0, mean), 0)
        if change:
            found.append(change)
    return found


def at(change: Change) -> str:
    return datetime.fromtimestamp(change.onset_ms / 1_000, UTC).strftime("%H:%M")


def test_a_real_memory_incident_is_a_change_up_and_a_change_down() -> None:
    up, down = changes("canopy-compiler", window_ms=10_000)
    assert (up.direction, down.direction) == ("above", "below")
    assert "10:00" <= at(up) <= "10:14"  # memory begins to rise at 10:05 and passes 80 % at 10:14
    assert at(down) == "10:22"  # and falls to 44 % at 10:22:56
    assert up.before < 45 < up.after < down.before
    assert down.after < 45


def test_a_real_host_that_is_always_nearly_full_keeps_its_level() -> None:
    assert changes("renogy-ha", window_ms=10_000) == []
