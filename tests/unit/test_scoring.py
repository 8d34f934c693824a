"""The scorers of a partition: bounded in number, forgotten when their series falls silent, the same after a restart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.settings import AnomalyMode
from models.windows.assign import WindowSpec
from models.windows.operator import WindowRows
from streams.interning import Interner, Series
from streams.result_rows import Origin
from streams.scoring import Closing, ScorerBank, _points

T0 = 1_700_000_000_000
SIZE_MS = 1_000
ORIGIN = Origin("log", "swarm.metrics", 0, 1)
CLOSED_BY, CLOSED_AT_MS = 77, T0 + 90_000  # offset and append time of the record that closes every window here


def bank(*, series_max: int = 100, series_idle_ms: int = 60_000) -> ScorerBank:
    return ScorerBank(series_max=series_max, series_idle_ms=series_idle_ms, score_min=0.999)


def closing(*windows: tuple[int, int], mean: float = 5.0, gen: int = 0) -> Closing:
    """(series id, window number) of windows of four events each, with these statistics."""
    n = len(windows)
    columns: dict[str, Any] = {
        "series": np.array([w[0] for w in windows]),
        "start_ms": np.array([T0 + SIZE_MS * w[1] for w in windows]),
        "unit": np.zeros(n, dtype=int),
        "gen": np.full(n, gen),
        "events": np.full(n, 4),
        "weight": np.full(n, 8.0),
        "mean": np.full(n, mean),
        "min": np.full(n, mean - 2),
        "max": np.full(n, mean + 2),
        "m2": np.full(n, 32.0),
        "last": np.full(n, mean),
        "first_offset": np.arange(n),
        "last_offset": np.arange(n),
    }
    none = np.empty(0, dtype=np.int32)
    rows = WindowRows(WindowSpec(SIZE_MS, SIZE_MS), columns, np.zeros(n + 1, dtype=np.int64), none, none)
    return Closing(rows, np.full(n, CLOSED_BY), np.full(n, CLOSED_AT_MS))


def feed(scorers: ScorerBank, *windows: tuple[int, int], **more: Any) -> list[dict[str, Any]]:
    series: Interner[Series] = Interner(("s", f"agent-{i}", "task_duration") for i in range(10))
    return scorers.score(closing(*windows, **more), ORIGIN, series, Interner(["ms"]))


def agents(scorers: ScorerBank) -> list[str]:
    return [row[1] for row in scorers.state()]


def test_above_the_bound_the_series_that_is_silent_for_longest_gives_way() -> None:
    scorers = bank(series_max=2)
    feed(scorers, (0, 0), (1, 0))
    feed(scorers, (0, 1))  # agent-0 spoke last
    feed(scorers, (2, 2))
    assert agents(scorers) == ["agent-0", "agent-2"]


@pytest.mark.parametrize(("windows_later", "kept"), [(5, ["agent-0", "agent-1"]), (6, ["agent-1"])])
def test_a_series_is_forgotten_once_it_was_silent_for_longer_than_the_idle_time(
    windows_later: int, kept: list[str]
) -> None:
    scorers = bank(series_idle_ms=5 * SIZE_MS)
    feed(scorers, (0, 0))
    feed(scorers, (1, windows_later))
    assert agents(scorers) == kept


@pytest.mark.parametrize(("before", "silent", "kept"), [(199, 6, False), (200, 6, True), (200, 5 * 168, True)])
def test_a_series_that_has_lived_is_remembered_for_longer(before: int, silent: int, kept: bool) -> None:
    scorers = bank(series_idle_ms=5 * SIZE_MS)
    for number in range(before):
        feed(scorers, (0, number))
    feed(scorers, (1, before - 1 + silent))
    assert ("agent-0" in agents(scorers)) == kept
    other = bank(series_idle_ms=5 * SIZE_MS)
    other.restore(scorers.state())
    feed(other, (2, before - 1 + 5 * 168 + 1))
    assert "agent-0" not in agents(other)  # in the end it goes as well


def test_a_late_generation_is_not_scored() -> None:
    scorers = bank()
    assert feed(scorers, (0, 0), gen=7) == []
    assert len(scorers) == 0


def test_a_scorer_sees_the_statistics_of_its_window() -> None:
    (point,) = _points(closing((0, 3)).rows, np.array([0]))
    assert point._asdict() == {
        "window_start_ms": T0 + 3 * SIZE_MS,
        "window_ms": SIZE_MS,
        "events": 4,
        "weight_sum": 8.0,
        "mean": 5.0,
        "min": 3.0,
        "max": 7.0,
        "stddev": 2.0,  # sqrt(m2 / weight)
        "last": 5.0,
    }


def test_a_restored_bank_goes_on_with_the_same_verdicts() -> None:
    one, other = bank(), bank()
    for number in range(40):
        assert feed(one, (0, number), (1, number)) == []
    other.restore(one.state())
    assert other.state() == one.state()
    jumped = feed(one, (0, 40), mean=500.0)
    assert [row["agent_id"] for row in jumped] == ["agent-0"]
    assert jumped[0]["detected_at"] == CLOSED_AT_MS
    assert jumped[0]["ver"] == 1 << 48 | CLOSED_BY
    assert feed(other, (0, 40), mean=500.0) == jumped
    assert other.state() == one.state()


def test_a_partition_full_of_scorers_starts_lean_ones_and_a_mode_asked_for_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.scoring.FULL_SERIES_MAX", 2)  # 2,000 series would take seconds

    def names(mode: AnomalyMode) -> list[str]:
        made = ScorerBank(series_max=10, series_idle_ms=3_600_000, score_min=0.999, mode=mode)
        return [made._hold(("swarm", "agent", metric), 10_000).scorer.name for metric in ("a", "b", "c", "a")]

    assert names("auto") == ["river_full", "river_full", "river_tail", "river_full"]
    assert set(names("full")) == {"river_full"}
    assert set(names("lean")) == {"river_tail"}
