"""The swarm's rows on `swarm.windows`: the on-time events of all its agents, whatever the chunks."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codecs.records import RawRecord
from models.windows.sketch import SKETCH_UNITS, quantile
from tests.support.folds import T0, new_fold, record

events = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "c"]),
        st.sampled_from(["x", "y"]),
        st.integers(-100, 100),
        st.integers(0, 3_000),  # ms until the next record: windows open and close, nothing is late
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40)
@given(events, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_they_are_the_recount_of_the_swarm_in_any_chunking(log: list[Any], cuts: list[int]) -> None:
    records, expected = _log(log)
    whole = _final_rows(records, [len(records)])
    assert _final_rows(records, cuts) == whole
    found = {key[:3]: row for key, row in whole.items()}
    assert set(found) == set(expected)
    for key, values in expected.items():
        row, data = found[key], np.array([v for v, _ in values], dtype=float)
        assert (row["events"], row["sum"], row["min"], row["max"]) == (len(data), data.sum(), data.min(), data.max())
        assert row["agents"] == len({agent for _, agent in values})
        assert row["mean"] == pytest.approx(data.mean(), rel=1e-12, abs=1e-12)
        assert row["m2"] == pytest.approx(data.var() * len(data), rel=1e-9, abs=1e-9)
        assert row["last"] == values[-1][0]
        assert sum(row["sketch_counts"]) == len(data) * SKETCH_UNITS
        p50 = quantile(
            np.array(row["sketch_keys"]), np.array(row["sketch_counts"]), 0.5, low=row["min"], high=row["max"]
        )
        assert p50 == pytest.approx(float(np.quantile(data, 0.5, method="inverted_cdf")), rel=0.01)


def test_a_late_event_stays_out_of_them_and_comes_as_a_generation_of_its_agent() -> None:
    fold = new_fold()
    for offset, at in enumerate((T0, T0 + 60_000, T0 + 1)):
        fold.fold([record(offset, _event("a", "x", 1, at), at_ms=T0 + 60_000)])
    batch = fold.take_outputs().batch()
    swarm = [r for r in batch["swarm_windows"].to_pylist() if r["window_ms"] == 1_000]
    assert sorted(r["events"] for r in swarm) == [1, 1]
    assert [r["gen"] for r in batch["windows"].to_pylist() if r["gen"]] == [3, 3]  # in both window sizes


@pytest.mark.parametrize("agents", [("a", "b"), ("b", "a")])
def test_of_values_at_the_same_time_the_last_in_the_log_is_the_last(agents: tuple[str, str]) -> None:
    fold = new_fold()
    for offset, (agent, value) in enumerate(zip(agents, (1, 2), strict=True)):
        fold.fold([record(offset, _event(agent, "x", value, T0), at_ms=T0)])
    rows = fold.take_outputs().batch()["swarm_windows"].to_pylist()
    assert {row["last"] for row in rows} == {2.0}


def _log(log: list[Any]) -> tuple[list[RawRecord], dict[Any, list[tuple[float, str]]]]:
    at = T0
    records, expected = [], defaultdict(list)
    for offset, (agent, metric, value, wait_ms) in enumerate(log):
        records.append(record(offset, _event(agent, metric, value, at), at_ms=at))
        for size in (1_000, 10_000):
            expected[metric, size, at // size * size].append((float(value), agent))
        at += wait_ms
    return records, expected


def _event(agent: str, metric: str, value: float, at: int) -> bytes:
    return json.dumps({"swarm_id": "s", "agent_id": agent, "metric": metric, "value": value, "timestamp": at}).encode()


def _final_rows(records: list[RawRecord], cuts: list[int]) -> dict[Any, dict[str, Any]]:
    """The newest version of every key, as a consumer of the topic keeps it."""
    fold = new_fold()
    final: dict[Any, dict[str, Any]] = {}
    at = turn = 0
    while at < len(records):
        end = at + cuts[turn % len(cuts)]
        fold.fold(records[at:end])
        for row in fold.take_outputs().batch()["swarm_windows"].to_pylist():
            start_ms = int(row["window_start"].timestamp() * 1000)
            key = (row["metric"], row["window_ms"], start_ms, row["fold_version"])
            if key not in final or row["ver"] >= final[key]["ver"]:
                if key in final and row["ver"] == final[key]["ver"]:
                    assert row == final[key]
                final[key] = row
        at, turn = end, turn + 1
    return final
