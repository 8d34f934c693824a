"""Plain sentences about scores, time, trends and capacity, each made from one computed row.

In: scores, key figures, splits of time, trends, capacities. Out: `Sentence`, with n and the query behind it. Never: a
winner where nothing was compared; a cause; a sentence about what was not measured but that it was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.analysis.capacity import Capacity
from reports.analysis.facts import Sentence
from reports.analysis.kpis import Kpi
from reports.analysis.scores import Score
from reports.analysis.series_trend import SeriesTrend
from reports.analysis.time_split import TimeSplit
from reports.numbers import difference, number, percent, quantity
from reports.queries.analysis import series_query

TOLD_MAX: Final = 10  # of one kind: the table holds the rest
_TONES: Final = {"improving": "better", "worsening": "worse"}
_HOURS_A_DAY: Final = 24


def told_of_scores(scores: Sequence[Score], kpis: Sequence[Kpi]) -> list[Sentence]:
    """The key figures that were measured, then how much of its formula each side's scores rest on."""
    lines = [_kpi(one) for one in kpis if one.value is not None]
    for side in dict.fromkeys(one.side for one in scores):
        lines.append(_scores(side, [one for one in scores if one.side == side]))
    return lines


def told_of_time(splits: Sequence[TimeSplit]) -> list[Sentence]:
    """Where the time of the longest went."""
    return [_time(one) for one in splits[:TOLD_MAX] if one.wall_ms]


def told_of_trends(trends: Sequence[SeriesTrend]) -> list[Sentence]:
    """Each trend in its verdict's words; then when it meets its limit."""
    lines: list[Sentence] = []
    for one in trends[:TOLD_MAX]:
        lines.append(_trend(one))
        if one.limit is not None and one.slope_per_hour is not None:
            lines.append(_limit(one))
        if one.forecast_why:
            who = " ".join(filter(None, (one.side, one.of)))
            text = f"{who}: no forecast of {one.series}: {one.forecast_why}."
            lines.append(Sentence(text, one.series, "unknown", "", series_query(one.series), one.intervals))
    return lines


def told_of_capacity(pools: Sequence[Capacity]) -> list[Sentence]:
    """What each pool carries, and what the estimate assumes."""
    return [_capacity(one) for one in pools[:TOLD_MAX]]


def _kpi(one: Kpi) -> Sentence:
    between = f" [{quantity(one.low, one.unit)}, {quantity(one.high, one.unit)}]" if one.low is not None else ""
    text = f"{one.side}: {one.name} {quantity(one.value, one.unit)}{between}, {one.n:,} {one.of}."
    return Sentence(text, one.name, "neutral", "", "kpis", one.n)


def _scores(side: str, own: Sequence[Score]) -> Sentence:
    """What the scores of one side rest on; where there is one score, that too."""
    least = min(one.efficiency_measured_ratio for one in own)
    never = [name for name in own[0].not_measured if all(name in one.not_measured for one in own)]
    if not any(one.efficiency_measured_ratio for one in own):
        text = f"{side}: no term of any efficiency was measured"
    elif len(own) == 1:
        text = f"{side}: efficiency {number(own[0].efficiency)} over {percent(least)} of the formula's weight"
    else:
        text = f"{side}: each efficiency rests on at least {percent(least)} of the formula's weight"
    text += f"; nobody measured {', '.join(never)}." if never else "."
    known = any(one.efficiency_measured_ratio for one in own)
    return Sentence(text, "efficiency", "neutral" if known else "unknown", "", "agent_work", len(own))


def _time(one: TimeSplit) -> Sentence:
    who = " ".join(
        filter(
            None,
            (one.side, f"run {one.run_id}" if one.run_id not in ("", one.side, one.swarm_id) else "", one.agent_id),
        )
    )
    text = (
        f"{who}: of {quantity(one.wall_ms, 'ms')}, {percent(one.model_ratio)} in the model API, "
        f"{percent(one.tool_ratio)} in local tools, {percent(one.waiting_ratio)} waiting for agents or people, "
        f"{percent(one.idle_ratio)} with nothing recorded"
    )
    if one.tool_approval_ms:
        text += f"; {quantity(one.tool_approval_ms, 'ms')} of the tools' time may hold a person's approval"
    return Sentence(f"{text}.", "latency", "neutral", "", "time_spans", one.activities)


def _trend(one: SeriesTrend) -> Sentence:
    who = " ".join(filter(None, (one.side, one.of)))
    lead, n = f"{who}: {one.stat} of {one.series}", one.intervals
    query = series_query(one.series)
    if one.slope_per_hour is None:
        return Sentence(f"{lead}: {one.verdict}, {one.why}.", one.series, "unknown", "", query, n)
    if one.slope_low is None or one.slope_high is None:
        return Sentence(f"{lead}: {one.verdict}, {one.why}.", one.series, "neutral", "", query, n)
    every, times = ("a day", _HOURS_A_DAY) if one.interval_ms >= 3_600_000 else ("an hour", 1)
    size, low, high = (difference(v * times, one.unit) for v in (one.slope_per_hour, one.slope_low, one.slope_high))
    text = f"{lead}: {one.verdict}, {size} {every} [{low}, {high}], {one.why}"
    if one.shape == "exponential" and one.growth_per_hour is not None and not one.shape_tied:
        text += f"; by unseen values it grows by {percent(one.growth_per_hour)} an hour rather than by a fixed amount"
    return Sentence(f"{text}.", one.series, _TONES.get(one.verdict, "neutral"), "", query, n)


def _limit(one: SeriesTrend) -> Sentence:
    who = " ".join(filter(None, (one.side, one.of)))
    goal = quantity(one.limit, one.unit)
    tone = "neutral"
    if one.verdict in ("no trend shown", "not enough data") or one.limit_in_ms is None:
        text = f"{who}: {one.series} is not shown to be on its way to {goal}."
    else:
        latest = quantity(one.limit_latest_ms, "ms") if one.limit_latest_ms is not None else "not in sight"
        text = (
            f"{who}: {one.series} meets {goal} in {quantity(one.limit_in_ms, 'ms')} "
            f"[{quantity(one.limit_earliest_ms, 'ms')}, {latest}] if it goes on like this."
        )
        tone = _TONES.get(one.verdict, "neutral")
    return Sentence(text, one.series, tone, "", series_query(one.series), one.intervals)


def _capacity(one: Capacity) -> Sentence:
    who = " ".join(filter(None, (one.side, one.of)))
    if one.agents_needed is None:
        return Sentence(f"{who}: {one.verdict}, {one.why}.", "capacity", "unknown", "", "work_times", one.tasks)
    wait = quantity(one.wait_ms, "ms") if one.wait_ms is not None else "without end"
    text = (
        f"{who}: agents for {number(one.load_per_hour)} tasks an hour: {one.verdict}, {one.why}; work would wait "
        f"{wait} on average, if like agents share one queue and the load stays as it is."
    )
    tone = {"too few": "worse", "enough": "better"}.get(one.verdict, "unknown")
    return Sentence(text, "capacity", tone, "", "work_times", one.tasks)
