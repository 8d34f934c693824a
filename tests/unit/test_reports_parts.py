"""The small parts of a report: numbers as text, time ranges, written-in parameters, configuration, sentences."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reports import numbers
from reports.analysis.insights import sentences
from reports.analysis.quality import quality_notes
from reports.analysis.summary import summarise
from reports.compare.engine import ComparisonInput, compare_swarms
from reports.compare.finding import Finding
from reports.compare.measures import MEASURES
from reports.compare.samples import call_samples
from reports.config import ReportConfig
from reports.queries import sqltext
from reports.queries.port import ActivityRow, AgentMetricRow, CallRow, Query, SwarmRow, TaskRow, TimeRange
from reports.timerange import parse_time_range

NOW_MS = 1_772_366_400_000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ms", "not measured"),
        (None, "USD", "not priced"),
        (0.0, "ms", "0 ms"),
        (90_123.0, "ms", "1.50 min"),
        (999.9, "ms", "1000 ms"),
        (0.0123, "USD", "$0.0123"),
        (1234.5, "USD", "$1,234"),
        (0.981, "ratio", "98.1 %"),
        (1_300_000.0, "bytes", "1.24 MiB"),
        (12.0, "tokens", "12.0 tokens"),
        (0.00004, "", "4.0e-5"),
    ],
)
def test_a_quantity_reads_with_its_unit_and_three_digits(value: float | None, unit: str, text: str) -> None:
    assert numbers.quantity(value, unit) == text


def test_a_score_is_rounded_down_so_that_only_certainty_reads_as_one() -> None:
    assert [numbers.score(x) for x in (0.99995, 1.0, 0.5)] == ["0.9999", "1.0000", "0.5000"]


@pytest.mark.parametrize(
    ("last", "length_ms"), [("last-24h", 86_400_000), ("last-7-days", 604_800_000), ("last-30m", 1_800_000)]
)
def test_time_ranges_end_now(last: str, length_ms: int) -> None:
    assert parse_time_range(last, None, None, now_ms=NOW_MS) == TimeRange(NOW_MS - length_ms, NOW_MS)


def test_from_and_to_are_utc_unless_they_say_otherwise() -> None:
    time = parse_time_range(None, "2026-03-01", "2026-03-01T14:00:00+02:00", now_ms=NOW_MS)
    assert time == TimeRange(NOW_MS - 43_200_000, NOW_MS)
    assert parse_time_range(None, None, None, now_ms=NOW_MS) == TimeRange()
    assert parse_time_range(None, str(NOW_MS), None, now_ms=0).from_ms == NOW_MS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yesterday", None, None), "write last-24h"),
        (("last-0h", None, None), "write last-24h"),
        (("last-1h", "2026-01-01", None), "exclude each other"),
        ((None, "2026-02-01", "2026-01-01"), "would be empty"),
        ((None, "first of May", None), "ISO 8601"),
    ],
)
def test_a_wrong_time_range_says_what_to_write(arguments: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_time_range(*arguments, now_ms=NOW_MS)


def test_parameters_are_written_in_as_literals_that_cannot_break_out() -> None:
    sql = "SELECT {n:UInt32}, {names:Array(String)}, {name:String}"
    text = sqltext.written_in(sql, {"n": 3, "names": ["a'b", "c\\"], "name": "x\ny"})
    assert text == "SELECT 3, ['a\\'b', 'c\\\\'], 'x\\ny'"
    with pytest.raises(KeyError, match="was not given"):
        sqltext.written_in(sql, {"n": 3})


@pytest.mark.parametrize(
    "values",
    [
        {"swarms": ()},
        {"swarms": ("a", "a")},
        {"swarms": tuple(f"s{i}" for i in range(11))},
        {"swarms": ("a",), "from_ms": 5, "to_ms": 5},
        {"swarms": ("a",), "colour": "red"},
    ],
)
def test_a_wrong_configuration_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ReportConfig(**values)  # type: ignore[arg-type]  # that is the point


def _activity(kind: str, **changes: object) -> ActivityRow:
    values: dict[str, object] = {
        "swarm_id": "s", "kind": kind, "total": 4, "completed": 3, "failed": 1, "cancelled": 0, "blocked": 0,
        "running": 0, "measured": 3, "duration_p50_ms": 10.0, "duration_p95_ms": 20.0, "duration_mean_ms": 12.0,
        "priced": 0, "cost_usd": None, "cost_provenances": (), "with_tokens": 0, "input_tokens": None,
        "cache_read_tokens": None, "cache_write_tokens": None, "output_tokens": None, "provenances": ("measured",),
    }  # fmt: skip
    return ActivityRow(**{**values, **changes})  # type: ignore[arg-type]


def test_what_was_not_measured_is_none_and_named_never_zero() -> None:
    summary = summarise(
        "s",
        swarms=[SwarmRow("s", 0, 1_000, 1, 4, 0)],
        activities=[_activity("task")],
        tasks=[],
        anomalies=[],
        configurations=[],
    )
    assert summary.fact("cost_usd").value is None  # type: ignore[union-attr]
    assert summary.fact("output_tokens").value is None  # type: ignore[union-attr]
    assert "cost" in summary.not_measured
    assert summary.fact("task_duration_p50").note == "3 of 4 measured"  # type: ignore[union-attr]
    notes = quality_notes([summary], [], [])
    assert any("not measured: " in note.text and "cost" in note.text for note in notes)


def test_a_cost_of_zero_everywhere_is_no_cost_in_the_summary() -> None:
    free = _activity("task", priced=4, cost_usd=0.0, cost_provenances=("measured",))
    summary = summarise("s", swarms=[], activities=[free], tasks=[], anomalies=[], configurations=[])
    cost = summary.fact("cost_usd")
    assert cost is not None
    assert cost.value is None
    assert "not free" in cost.note


def test_cost_per_success_is_given_only_when_everything_is_priced() -> None:
    task = TaskRow("s", "t", True, 1, 1, 1, 1, 1.0, 0.5, None, None, None, None, ("measured",), ("measured",))
    for priced, expected in ((4, 2.0), (3, None)):
        row = _activity("task", priced=priced, cost_usd=2.0, cost_provenances=("measured",))
        summary = summarise("s", swarms=[], activities=[row], tasks=[task], anomalies=[], configurations=[])
        assert summary.fact("cost_usd_per_success").value == expected  # type: ignore[union-attr]


def _calls(swarm: str, *, named: int, anonymous: int) -> list[CallRow]:
    def row(unit: str, calls: int, *, by_task: bool) -> CallRow:
        return CallRow(swarm, "tool_call", by_task, unit, calls, 10.0 * calls, ("measured",))

    tasks = [row(f"t{i}", 1, by_task=True) for i in range(named)]
    rest = [row("", anonymous, by_task=True)] if anonymous else []
    return [*tasks, *rest, row("agent-1", named + anonymous, by_task=False)]


def test_calls_are_averaged_by_task_where_they_name_tasks_else_by_agent() -> None:
    by_task = call_samples(
        "tool_call", ["x", "y"], [*_calls("x", named=9, anonymous=1), *_calls("y", named=5, anonymous=0)]
    )
    assert by_task["x"].unit_of_analysis == "task"
    assert len(by_task["x"].values) == 9
    by_agent = call_samples(
        "tool_call", ["x", "y"], [*_calls("x", named=9, anonymous=1), *_calls("y", named=1, anonymous=5)]
    )
    assert by_agent["y"].unit_of_analysis == by_agent["x"].unit_of_analysis == "agent"
    assert not by_agent["x"].pairable


def test_a_metric_named_like_a_measure_is_compared_from_events_when_no_activity_has_it() -> None:
    events = [
        AgentMetricRow(s, "task_duration", f"agent-{i}", 5, 100.0 + i + 50 * k, "ms", ("measured",))
        for k, s in enumerate(("x", "y"))
        for i in range(12)
    ]
    data = ComparisonInput([], [], events, {"agent_metrics": Query("agent_metrics", "SELECT 1", 24)})
    findings, _ = compare_swarms(("x", "y"), data)
    (f,) = findings
    assert (f.metric, f.unit, f.unit_of_analysis, f.sql) == ("task_duration", "ms", "agent", "SELECT 1")
    assert f.verdict == "better"


def test_an_asked_for_measure_that_nobody_measured_is_answered_not_dropped() -> None:
    data = ComparisonInput([], [], [], {})
    findings, _ = compare_swarms(("x", "y"), data, metrics=["cost_usd", "my.metric"])
    assert [f.metric for f in findings] == ["cost_usd", "my.metric"]
    assert {f.verdict for f in findings} == {"not enough data"}
    assert "not priced" in findings[0].why


def test_sentences_name_no_winner_without_a_verdict() -> None:
    base = Finding("task_duration", "task duration", "ms", "lower", "task", "x", "y", 50, 50, True, 0, 0, 0, 0)
    texts = [s.text for s in sentences([base], [])]
    assert texts == [
        "None of 1 measures shows a difference between x and y.",
        "Not enough data to compare: task duration.",
    ]


def test_every_measure_has_a_unit_and_its_label_is_unique() -> None:
    assert all(m.unit for m in MEASURES.values())
    assert len({m.label for m in MEASURES.values()}) == len(MEASURES)
