"""Laws of the windows: assignment, watermark, sketch, and state that does not depend on chunk boundaries."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.windows.assign import WindowSpec
from models.windows.operator import LATE_HOLD_OFFSETS, EventColumns, WindowOperator, WindowRows
from models.windows.sketch import RELATIVE_ERROR_MAX, SMALLEST, keys_of, quantile, quantiles, units_of, value_of
from models.windows.watermark import NOT_YET, watermarks

T0 = 1_700_000_000_000
LATENESS_MS = 2_000
OPEN_MAX = 1_000  # more windows than any of these logs opens
specs = st.builds(
    lambda step, hops: WindowSpec(step * hops, step), st.sampled_from([1_000, 2_000, 10_000]), st.integers(1, 6)
)
timestamps = st.integers(T0, T0 + 10**7)
values = st.floats(-1e100, 1e100, allow_subnormal=False)


@given(specs, timestamps)
def test_each_event_is_inside_every_window_it_is_assigned_to_and_in_size_over_step_of_them(
    spec: WindowSpec, timestamp_ms: int
) -> None:
    starts = spec.starts_of(timestamp_ms)
    assert len(set(starts)) == spec.size_ms // spec.step_ms
    assert all(start <= timestamp_ms < start + spec.size_ms and start % spec.step_ms == 0 for start in starts)
    assert starts == sorted(starts)
    assert spec.newest_starts(np.array([timestamp_ms]))[0] == starts[-1]


def test_windows_are_half_open() -> None:
    # |---- 10 s ----|---- 10 s ----|
    # ^ start is in   ^ end belongs to the next
    spec = WindowSpec(10_000, 10_000)
    assert spec.starts_of(T0) == [T0]
    assert spec.starts_of(T0 + 9_999) == [T0]
    assert spec.starts_of(T0 + 10_000) == [T0 + 10_000]


def test_a_step_that_does_not_divide_the_size_is_refused_with_the_consequence() -> None:
    with pytest.raises(ValueError, match="varying number of windows"):
        WindowSpec(60_000, 25_000)


@given(st.lists(st.lists(timestamps, max_size=5), min_size=1, max_size=10), st.sampled_from([NOT_YET, T0 + 5_000]))
def test_the_watermark_never_falls_and_reaches_the_newest_event(records: list[list[int]], before: int) -> None:
    record = np.array([r for r, events in enumerate(records) for _ in events], dtype=np.int32)
    times = np.array([t for events in records for t in events], dtype=np.int64)
    marks = watermarks(before, record, times, len(records))
    assert marks[0] == before
    assert all(a <= b for a, b in pairwise(marks.tolist()))
    assert marks[-1] == max([before, *times.tolist()])


@given(st.lists(values, min_size=1, max_size=60), st.floats(0, 1))
def test_a_percentile_is_within_one_percent_of_the_nearest_rank(sample: list[float], q: float) -> None:
    data = np.array(sample)
    keys, counts = _sketch(data)
    exact = float(np.quantile(data, q, method="inverted_cdf"))
    estimate = quantile(keys, counts, q, low=float(data.min()), high=float(data.max()))
    # q * n may round to the other side of a rank boundary: the neighbour's value is as right as the rank itself.
    near = [float(np.quantile(data, min(max(q + d, 0), 1), method="inverted_cdf")) for d in (-1e-9, 1e-9)]
    assert any(abs(estimate - x) <= RELATIVE_ERROR_MAX * abs(x) + SMALLEST for x in (exact, *near))


@given(st.lists(st.lists(values, min_size=1, max_size=30), min_size=1, max_size=8), st.floats(0, 1))
def test_percentiles_of_many_sketches_are_those_of_each(samples: list[list[float]], q: float) -> None:
    sketches = [_sketch(np.array(sample)) for sample in samples]
    low, high = (np.array([pick(sample) for sample in samples]) for pick in (min, max))
    offsets = np.concatenate([[0], np.cumsum([len(keys) for keys, _ in sketches])])
    together = quantiles(
        offsets,
        np.concatenate([keys for keys, _ in sketches]),
        np.concatenate([counts for _, counts in sketches]),
        q,
        low=low,
        high=high,
    )
    alone = [quantile(*s, q, low=lo, high=hi) for s, lo, hi in zip(sketches, low, high, strict=True)]
    assert together == pytest.approx(alone, rel=1e-14)


@pytest.mark.parametrize("weights", [None, [2.5]])
def test_a_restored_state_without_windows_goes_on(weights: list[float] | None) -> None:
    spec = WindowSpec(10_000, 10_000)
    operator = WindowOperator(spec, allowed_lateness_ms=0, open_max=OPEN_MAX)
    operator.restore(WindowOperator(spec, allowed_lateness_ms=0, open_max=OPEN_MAX).state())
    one = _ones(np.array([T0]), offsets=np.array([0]), watermark_ms=NOT_YET)
    operator.add(one if weights is None else replace(one, weight=np.array(weights)))
    rows = operator.close(T0 + 20_000, 1)
    assert rows is not None
    assert rows.sketch_counts.tolist() == [1_024 * (weights or [1])[0]]


@given(values)
def test_a_bucket_represents_its_values_within_the_error_and_keeps_their_order(x: float) -> None:
    (key,) = keys_of(np.array([x])).tolist()
    assert abs(value_of(key) - x) <= RELATIVE_ERROR_MAX * abs(x) + SMALLEST
    (bigger,) = keys_of(np.array([x + abs(x) * 0.05])).tolist()
    assert bigger >= key


def test_every_magnitude_of_a_double_has_its_bucket() -> None:
    x = np.exp(np.linspace(math.log(SMALLEST), math.log(1e308), 20_001))
    represented = np.array([value_of(k) for k in keys_of(x).tolist()])
    assert float(np.max(np.abs(represented / x - 1))) < RELATIVE_ERROR_MAX
    assert keys_of(np.array([0.0, -0.0, 5e-324])).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("q", "rank"), [(0.0, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_a_percentile_on_the_boundary_of_a_rank_is_the_smaller_value(q: float, rank: int) -> None:
    keys, counts = _sketch(np.array([1.0, 2.0, 3.0, 4.0]))
    assert quantile(keys, counts, q, low=1.0, high=4.0) == pytest.approx(rank, rel=RELATIVE_ERROR_MAX)


def test_an_empty_sketch_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="empty sketch"):
        quantile(np.empty(0, np.int32), np.empty(0, np.int64), 0.5, low=0, high=0)


rooms = st.sampled_from([1, 2, 3, 5, OPEN_MAX])
events = st.lists(
    st.tuples(
        st.integers(0, 3),  # series
        st.one_of(st.integers(0, 30_000), st.integers(0, 400_000)),  # event time after T0
        st.integers(-1_000, 1_000),  # value: integers, so that an oracle's sums are exact
        st.sampled_from([1.0, 1.0, 1.25, 4.0]),
        st.integers(0, 3),  # records to skip before this event's
    ),
    min_size=1,
    max_size=80,
)


@given(events, st.lists(st.integers(1, 7), min_size=1, max_size=20), specs, st.integers(0, 40), rooms)
def test_state_and_rows_do_not_depend_on_chunks_or_on_a_restart(
    log: list[tuple[int, int, int, float, int]], cuts: list[int], spec: WindowSpec, restart_at: int, open_max: int
) -> None:
    whole, whole_rows = _run(log, spec, cuts=[len(log)], restart_at=None, open_max=open_max)
    pieces, piece_rows = _run(log, spec, cuts=cuts, restart_at=restart_at, open_max=open_max)
    assert whole == pieces
    assert whole_rows == piece_rows


@given(events, specs, rooms)
def test_a_window_that_is_open_on_time_holds_all_events_of_its_series_that_were(
    log: list[tuple[int, int, int, float, int]], spec: WindowSpec, open_max: int
) -> None:
    _, rows = _run(log, spec, cuts=[2], restart_at=None, open_max=open_max)
    on_time: dict[tuple[int, int], int] = defaultdict(int)
    mark = NOT_YET
    for series, at, *_ in log:
        for start in spec.starts_of(T0 + at):
            on_time[series, start] += start + spec.size_ms + LATENESS_MS > mark
        mark = max(mark, T0 + at)
    found = {(series, start): row["events"] for (series, start, gen), row in rows.items() if gen == 0}
    assert found == {key: on_time[key] for key in found}
    if open_max == OPEN_MAX:
        assert set(found) == {key for key, events_on_time in on_time.items() if events_on_time}


def test_windows_beyond_the_room_become_generations_until_the_watermark_has_passed_their_start() -> None:
    # Room for two: series 2 finds none and is turned away for all of this window. Series 3 comes when there is room
    # again in its own window, and does not take any in the full one.
    events_of = [(0, 0), (1, 1), (2, 2), (2, 3), (0, 12_500), (3, 13_000), (3, 9_000)]
    log = [(series, at, 1, 1.0, 0) for series, at in events_of]
    for cuts in ([1], [len(log)]):
        _, rows = _run(log, WindowSpec(10_000, 10_000), cuts=cuts, restart_at=None, open_max=2)
        assert {key: row["events"] for key, row in rows.items()} == {
            (0, T0, 0): 1,
            (1, T0, 0): 1,
            (2, T0, 3): 2,  # opened by the record at offset 2
            (0, T0 + 10_000, 5): 1,  # before its record the watermark had closed nothing
            (3, T0 + 10_000, 6): 1,  # that start had turned series 0 away
            (3, T0, 7): 1,  # late
        }


def test_room_is_free_again_when_windows_close() -> None:
    # The third event closes the first window, which had taken the only room before it; the fourth finds it free.
    log = [(0, 0, 1, 1.0, 0), (1, 1, 1, 1.0, 0), (0, 25_000, 1, 1.0, 0), (1, 35_000, 1, 1.0, 0)]
    _, rows = _run(log, WindowSpec(10_000, 10_000), cuts=[1], restart_at=None, open_max=1)
    assert sorted(rows) == [(0, T0, 0), (0, T0 + 20_000, 3), (1, T0, 2), (1, T0 + 30_000, 0)]


@given(events, specs, rooms)
def test_generations_of_a_window_together_hold_every_event_exactly_once(
    log: list[tuple[int, int, int, float, int]], spec: WindowSpec, open_max: int
) -> None:
    _, rows = _run(log, spec, cuts=[3], restart_at=None, open_max=open_max)
    found: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0, 0.0, math.inf, -math.inf, 0])
    for (series, start, _), row in rows.items():
        total = found[series, start]
        total[0] += row["events"]
        total[1] += row["sum"]
        total[2] = min(total[2], row["min"])
        total[3] = max(total[3], row["max"])
        total[4] += row["units"]
    expected: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0, 0.0, math.inf, -math.inf, 0])
    for series, at, value, weight, _ in log:
        for start in spec.starts_of(T0 + at):
            total = expected[series, start]
            total[0] += 1
            total[1] += value * weight
            total[2] = min(total[2], value)
            total[3] = max(total[3], value)
            total[4] += int(units_of(np.array([weight]))[0])
    assert dict(found) == dict(expected)


def test_a_late_event_opens_a_generation_and_keeps_it_for_later_ones() -> None:
    # on time |--A--|            watermark far ahead, then B and C for A's window
    spec = WindowSpec(10_000, 10_000)
    _, rows = _run(
        [(0, 0, 1, 1.0, 0), (0, 100_000, 2, 1.0, 0), (0, 5, 3, 1.0, 0), (0, 6, 4, 1.0, 0)],
        spec,
        cuts=[1],
        restart_at=None,
    )
    first = {gen: (row["events"], row["sum"]) for (_, start, gen), row in rows.items() if start == T0}
    assert first == {0: (1, 1.0), 3: (2, 7.0)}  # generation 3: opened by the record at offset 2


@pytest.mark.parametrize(("ahead_ms", "generations"), [(11_999, [0]), (12_000, [0, 3])])
def test_a_window_is_late_from_the_very_watermark_that_closes_it(ahead_ms: int, generations: list[int]) -> None:
    # |---- A: 10 s ----|- lateness 2 s -|
    #                                    ^ a watermark here closes A, and what comes for A afterwards is late
    log = [(0, 0, 1, 1.0, 0), (0, ahead_ms, 2, 1.0, 0), (0, 5, 3, 1.0, 0)]
    for cuts in ([1], [3]):
        _, rows = _run(log, WindowSpec(10_000, 10_000), cuts=cuts, restart_at=None)
        found = {gen: row["events"] for (_, start, gen), row in rows.items() if start == T0}
        assert sorted(found) == generations
        assert sum(found.values()) == 2


@pytest.mark.parametrize(("skipped", "opened"), [(LATE_HOLD_OFFSETS - 2, 0), (LATE_HOLD_OFFSETS - 1, 1)])
def test_a_late_generation_gives_way_after_its_hold(skipped: int, opened: int) -> None:
    # The generation opens at offset 2 and takes late events up to offset 2 + LATE_HOLD_OFFSETS - 1.
    log = [(0, 0, 1, 1.0, 0), (0, 100_000, 2, 1.0, 0), (0, 5, 3, 1.0, 0), (0, 6, 4, 1.0, skipped)]
    for cuts in ([1], [4]):
        _, rows = _run(log, WindowSpec(10_000, 10_000), cuts=cuts, restart_at=None)
        found = sorted(gen for (_, start, gen) in rows if start == T0)
        assert found == [0, 3, 3 + LATE_HOLD_OFFSETS][: 2 + opened]


def test_a_late_generation_leaves_the_state_after_its_hold_even_when_no_late_event_follows() -> None:
    operator = _one_late_generation()
    assert len(operator) == 1
    operator.close(T0 + 100_000, LATE_HOLD_OFFSETS)
    assert len(operator) == 1
    operator.close(T0 + 100_000, 1 + LATE_HOLD_OFFSETS)
    assert len(operator) == 0


def test_open_late_generations_are_bounded_and_the_oldest_gives_way_with_its_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.windows.operator.LATE_OPEN_MAX", 3)
    operator = WindowOperator(WindowSpec(1_000, 1_000), allowed_lateness_ms=0, open_max=OPEN_MAX)
    starts = T0 + 1_000 * np.arange(5)
    operator.add(_ones(starts, offsets=np.arange(5), watermark_ms=T0 + 10**6))
    assert len(operator) <= 3
    closed = operator.close(T0 + 10**6, 5)
    assert closed is not None
    assert closed.columns["start_ms"].tolist() == starts[:2].tolist()
    assert closed.columns["events"].tolist() == [1, 1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(-1e9, 1e9))
def test_the_variance_is_that_of_numpy_even_far_from_zero(sample: list[float], far: float) -> None:
    data = np.array(sample) + far
    operator = WindowOperator(WindowSpec(10_000, 10_000), allowed_lateness_ms=0, open_max=OPEN_MAX)
    n = len(data)
    zeros = np.zeros(n, np.int64)
    operator.add(EventColumns(zeros, np.full(n, T0), data, None, zeros, np.arange(n), np.full(n, NOT_YET)))
    rows = operator.close(T0 + 20_000, n)
    assert rows is not None
    assert rows.columns["mean"][0] == pytest.approx(np.mean(data), rel=1e-9, abs=1e-9)
    spread = np.var(data) * n
    assert rows.columns["m2"][0] == pytest.approx(spread, rel=1e-6, abs=1e-9 * max(1.0, float(np.ptp(data)) ** 2))


def _one_late_generation() -> WindowOperator:
    """An operator that holds nothing but a late generation, opened by the record at offset 1."""
    operator = WindowOperator(WindowSpec(10_000, 10_000), allowed_lateness_ms=0, open_max=OPEN_MAX)
    operator.add(_ones(np.array([T0]), offsets=np.array([1]), watermark_ms=T0 + 100_000))
    return operator


def _ones(at_ms: np.ndarray, *, offsets: np.ndarray, watermark_ms: int) -> EventColumns:
    """Events of one series with the value 1, one a record."""
    zeros = np.zeros(len(at_ms), np.int64)
    return EventColumns(zeros, at_ms, np.ones(len(at_ms)), None, zeros, offsets, zeros + watermark_ms)


def _sketch(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keys, counts = np.unique(keys_of(data), return_counts=True)
    return keys.astype(np.int32), counts.astype(np.int64) * 1_024


def _run(
    log: list[tuple[int, int, int, float, int]],
    spec: WindowSpec,
    *,
    cuts: list[int],
    restart_at: int | None,
    open_max: int = OPEN_MAX,
) -> tuple[dict[str, object], dict[tuple[int, int, int], dict[str, float]]]:
    """Folds one event a record; returns the state before the end and the last row of each window."""
    operator = WindowOperator(spec, allowed_lateness_ms=LATENESS_MS, open_max=open_max)
    rows: dict[tuple[int, int, int], dict[str, float]] = {}
    offsets = np.cumsum([skip + (i > 0) for i, (*_, skip) in enumerate(log)]).astype(np.int64)
    mark, at, turn = NOT_YET, 0, 0
    while at < len(log):
        end = min(len(log), at + cuts[turn % len(cuts)])
        part = log[at:end]
        times = np.array([T0 + p[1] for p in part], dtype=np.int64)
        marks = watermarks(mark, np.arange(len(part), dtype=np.int32), times, len(part))
        weights = np.array([p[3] for p in part])
        operator.add(
            EventColumns(
                series=np.array([p[0] for p in part], dtype=np.int64),
                timestamp_ms=times,
                value=np.array([p[2] for p in part], dtype=np.float64),
                weight=None if (weights == 1).all() else weights,
                unit=np.zeros(len(part), dtype=np.int64),
                offset=offsets[at:end],
                watermark_before_ms=marks[:-1],
            )
        )
        mark = int(marks[-1])
        _collect(rows, operator.close(mark, int(offsets[end - 1]) + 1))
        _collect(rows, operator.dirty_rows())
        at, turn = end, turn + 1
        if restart_at is not None and at >= restart_at:
            saved = operator.state()
            operator = WindowOperator(spec, allowed_lateness_ms=LATENESS_MS, open_max=open_max)
            operator.restore(saved)
            assert operator.state() == saved
            restart_at = None
    state = operator.state()
    _collect(rows, operator.close(mark + 10**9, int(offsets[-1]) + LATE_HOLD_OFFSETS + 1))
    return state, rows


def _collect(rows: dict[tuple[int, int, int], dict[str, float]], found: WindowRows | None) -> None:
    if found is None:
        return
    c = found.columns
    for i in range(len(found)):
        key = (int(c["series"][i]), int(c["start_ms"][i]), int(c["gen"][i]))
        run = slice(int(found.sketch_offsets[i]), int(found.sketch_offsets[i + 1]))
        assert (np.diff(found.sketch_keys[run]) > 0).all()
        rows[key] = {n: c[n][i].item() for n in ("events", "weight", "sum", "min", "max", "mean", "m2", "last")} | {
            "units": int(found.sketch_counts[run].sum())
        }
