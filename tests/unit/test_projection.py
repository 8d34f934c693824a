"""What an activity becomes among the metrics, and the catalogue that gives those metrics their meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.codecs import ActivityRecord, decode_activities
from models.metrics import BUILT_IN, Catalogue, MetricSpec, lookup
from models.projection import PROJECTED_METRICS_MAX, RULES, event_time_ms, is_terminal, project
from tests.support.builders import NOW_MS, activity, json_record

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

# The published order. A name may be added at the end, never before another one: positions identify stored rows.
PUBLISHED_ORDER = [
    "model_call_duration",
    "tool_duration",
    "task_duration",
    "communication_latency",
    "session_duration",
    "phase_duration",
    "agent_spawn_time",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cost_usd",
    "error_rate",
]


def decoded(**fields: Any) -> ActivityRecord:
    ((_, _, found),) = decode_activities([json_record(activity(**fields))]).activities
    return found


def test_a_model_call_gives_its_duration_tokens_cost_and_outcome() -> None:
    call = decoded(
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_5m_tokens=4,
        cache_write_1h_tokens=0,
        cost_usd=0.25,
        cost_provenance="estimated",
    )
    assert [tuple(metric) for metric in project(call)] == [
        ("model_call_duration", 1_500.0, "ms", "measured"),
        ("input_tokens", 1.0, "tokens", "measured"),
        ("output_tokens", 2.0, "tokens", "measured"),
        ("cache_read_tokens", 3.0, "tokens", "measured"),
        ("cache_write_5m_tokens", 4.0, "tokens", "measured"),
        ("cache_write_1h_tokens", 0.0, "tokens", "measured"),
        ("cost_usd", 0.25, "USD", "estimated"),
        ("error_rate", 0.0, "ratio", "derived"),
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tool_call", ["tool_duration", "error_rate"]),
        ("task", ["task_duration", "error_rate"]),
        ("message", ["communication_latency", "error_rate"]),
        ("session", ["session_duration"]),
        ("phase", ["phase_duration"]),
        ("lifecycle", ["agent_spawn_time"]),
        ("edit", []),
    ],
)
def test_other_kinds_give_their_duration_and_never_a_model_calls_numbers(kind: str, expected: list[str]) -> None:
    assert [metric.metric for metric in project(decoded(kind=kind, input_tokens=5, cost_usd=1.0))] == expected


def test_what_was_not_measured_projects_nothing() -> None:
    assert [m.metric for m in project(decoded(duration_ms=None))] == ["error_rate"]
    assert project(decoded(kind="session", duration_ms=None)) == []


@pytest.mark.parametrize(("status", "errors"), [("completed", [0.0]), ("failed", [1.0]), ("cancelled", [])])
def test_the_error_observation_is_the_outcome_and_a_cancelled_activity_has_none(
    status: str, errors: list[float]
) -> None:
    assert [m.value for m in project(decoded(status=status)) if m.metric == "error_rate"] == errors


@pytest.mark.parametrize("status", ["running", "blocked"])
def test_an_activity_that_has_not_ended_projects_nothing(status: str) -> None:
    assert project(decoded(status=status)) == []
    assert not is_terminal(decoded(status=status))


def test_provenance_is_the_activitys_own_and_a_costs_own_where_it_has_one() -> None:
    found = {m.metric: m.provenance for m in project(decoded(provenance="declared", cost_usd=1.0))}
    assert found == {"model_call_duration": "declared", "cost_usd": "declared", "error_rate": "derived"}


def test_event_time_is_the_end_where_it_is_known() -> None:
    assert event_time_ms(decoded()) == NOW_MS + 1_500
    assert event_time_ms(decoded(ended_at=None)) == NOW_MS


def test_the_order_of_projection_only_grows_at_its_end() -> None:
    assert [rule.metric for rule in RULES][: len(PUBLISHED_ORDER)] == PUBLISHED_ORDER
    assert len(RULES) <= PROJECTED_METRICS_MAX


def test_every_projected_metric_is_in_the_catalogue_with_the_same_unit() -> None:
    for rule in RULES:
        spec = lookup(rule.metric)
        assert spec is not None
        assert spec.unit == rule.unit


def test_every_metric_is_documented_with_its_unit_and_direction() -> None:
    rows = {
        line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")][1:]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    }
    for spec in BUILT_IN:
        unit, kind, aggregation, better, _, description = rows[spec.name]
        assert (unit, kind, aggregation, better, description) == (
            spec.unit,
            spec.kind,
            spec.aggregation,
            spec.better,
            spec.description,
        )
    for kind in ("session", "phase", "task", "model_call", "tool_call", "message", "lifecycle", "edit"):
        listed = [part for part in rows[kind][0].split("`") if part.strip(", ") and part != "none"]
        assert listed == [rule.metric for rule in RULES if kind in rule.kinds]


def test_lookup_ignores_case_and_knows_no_custom_metric() -> None:
    spec = lookup("TASK_DURATION")
    assert spec is not None
    assert (spec.name, spec.unit, spec.better) == ("task_duration", "ms", "lower")
    assert lookup("my_own_metric") is None
    assert BUILT_IN.unit_of("task_duration") == "ms"
    assert BUILT_IN.unit_of("task_duration", "s") == "s"
    assert BUILT_IN.unit_of("my_own_metric") == ""


def test_registering_gives_a_new_catalogue_and_refuses_a_second_meaning() -> None:
    spec = MetricSpec("build_score", "ratio", "ratio", "mean", "higher", "Share of green builds.", low=0, high=1)
    extended = BUILT_IN.register(spec)
    assert extended.lookup("build_score") is spec
    assert BUILT_IN.lookup("build_score") is None
    assert len(extended) == len(BUILT_IN) + 1
    with pytest.raises(ValueError, match="build_score: it is registered already"):
        Catalogue([spec, spec])
    for broken in ({"name": "Build"}, {"unit": "x" * 33}, {"low": 2.0}, {"description": ""}):
        fields: dict[str, Any] = {
            "name": "a",
            "unit": "",
            "kind": "gauge",
            "aggregation": "mean",
            "better": "none",
            "description": "d",
            "high": 1.0,
        }
        with pytest.raises(ValueError, match="metric "):
            MetricSpec(**(fields | broken))
