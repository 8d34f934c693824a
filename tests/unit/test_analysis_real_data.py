"""The split of time, trends and forecasts on real records, against figures computed another way."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.analysis.forecast import fit_series, forecast
from reports.analysis.series_trend import DAY_MS, WEEK_MS, interval_of, series_trends
from reports.analysis.slope import parts_of
from reports.analysis.time_split import time_splits
from reports.queries.measured import BucketRow, TimeSpanRow
from tests.support.imported import imported
from tests.unit.test_import_claude_code_truths import STRIPPED_PARENT_ERROR_MS_MAX, STRIPPED_PARENTS

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
FLOW_INTERVAL_MS = 300_000


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def test_the_main_agents_model_time_is_the_union_of_the_calls_derived_elsewhere() -> None:
    events, _ = imported(DATA / "claude_code" / "sessions")
    kinds = {"model_call": "model_call", "tool_call": "tool_call", "task": "task"}
    rows = [
        TimeSpanRow(
            *(e["swarm_id"], e["swarm_id"], e["run_id"], e["agent_id"], e.get("parent_agent_id", "")),
            *(kinds[e["kind"]], e.get("tool", ""), e["started_at"], e["ended_at"]),
            provenance=e.get("provenance", "measured"),
            approval=1,
        )
        for e in events
        if e["kind"] in kinds and e.get("ended_at") is not None
    ]
    split = {one.swarm_id: one for one in time_splits(rows, "agent") if one.agent_id == "main"}
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in (DATA / "claude_code" / "derived_calls.jsonl").read_text().splitlines():
        call: dict[str, Any] = json.loads(line)
        if call["role"] == "main" and call["start"] is not None:
            spans[call["session_id"]].append((_ms(call["start"]), _ms(call["timestamp"])))
    exact = 0
    for session, calls in spans.items():
        covered = np.zeros(max(stop for _, stop in calls) - min(start for start, _ in calls) + 1, dtype=bool)
        first = min(start for start, _ in calls)
        for start, stop in calls:
            covered[start - first : max(start, stop) - first] = True
        missed = abs(split[session].model_ms - int(covered.sum()))
        assert missed <= STRIPPED_PARENT_ERROR_MS_MAX, session  # one call whose start the transcript does not hold
        exact += missed == 0
    assert exact >= len(spans) - STRIPPED_PARENTS
    assert len(spans) > 50


def _samples(name: str, field: str) -> list[BucketRow]:
    samples = json.loads((DATA / "claude_flow" / f"system-metrics.{name}.json").read_text())
    groups: dict[int, list[float]] = defaultdict(list)
    for one in samples:
        groups[int(one["timestamp"]) // FLOW_INTERVAL_MS * FLOW_INTERVAL_MS].append(float(one[field]))
    return [
        BucketRow("s", "", at, len(v), float(np.mean(v)), max(v), max(v), sum(v), "bytes")
        for at, v in sorted(groups.items())
    ]


def test_a_full_but_steady_memory_is_no_leak() -> None:
    (one,) = series_trends(
        "memory_usage", _samples("renogy-ha", "memoryUsed"), FLOW_INTERVAL_MS, stat="mean", limit=16e9, ahead_ms=0
    )
    assert (one.verdict, one.events) == ("no trend shown", 174)


def test_the_slope_of_a_real_series_is_scipys() -> None:
    from scipy.stats import theilslopes

    rows = _samples("canopy-compiler", "cpuLoad")
    (one,) = series_trends("load", rows, FLOW_INTERVAL_MS, stat="mean", limit=None, ahead_ms=0)
    theirs = theilslopes([row.mean for row in rows], [row.at_ms / 3_600_000 for row in rows])
    assert one.slope_per_hour == pytest.approx(theirs.slope)
    assert one.independent is not None
    assert one.independent < len(rows) / 3, "load of five minutes ago says much of load now"


def test_the_fall_after_the_memory_incident_is_where_a_new_life_begins() -> None:
    rows = _samples("canopy-compiler", "memoryUsed")
    (one,) = series_trends("memory_usage", rows, FLOW_INTERVAL_MS, stat="mean", limit=None, ahead_ms=0)
    places = np.flatnonzero(np.diff(parts_of(np.array([row.mean for row in rows])))) + 1
    assert one.restarts == len(places) == 1
    assert rows[places[0]].at_ms == _ms("2025-10-22T10:25:00Z"), "after the fall at 10:22:56"


def test_forecasts_hold_on_real_series_with_their_incidents() -> None:
    held: list[bool] = []
    for path in sorted((DATA / "nab").rglob("*.csv")):
        with path.open() as file:
            pairs = [(_ms(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
        at, values = (np.array(column) for column in zip(*pairs, strict=True))
        length = interval_of(int(at[0]), int(at[-1]), len(at))
        places, inverse = np.unique(at // length, return_inverse=True)
        mean = np.bincount(inverse, values) / np.bincount(inverse)
        x = (places - places[0]).astype(np.float64)
        seasons = [one // length for one in (DAY_MS, WEEK_MS) if one % length == 0]
        for share in (0.4, 0.55, 0.7, 0.85):
            seen = int(len(x) * share)
            fit = fit_series(x[:seen], mean[:seen], seasons)
            points = {one.position: one for one in forecast(x[:seen], mean[:seen], fit, len(x) // 10)}
            later = zip(x[seen:], mean[seen:], strict=True)
            held += [points[p].low <= value <= points[p].high for p, value in later if p in points]
    assert len(held) > 1_500
    assert np.mean(held) >= 0.90, "95 % is aimed at, and the series break: that is what they are for"
