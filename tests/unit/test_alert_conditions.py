"""When a rule is broken: each kind, on drawn windows of event time."""

from __future__ import annotations

from models.alerts.evaluator import Evaluator
from models.alerts.machine import Transition
from models.alerts.sample import ACTIVITY, ANOMALY, Sample
from tests.support.alerting import SIZES_MS, T0_MS, point, rules, window

S = 1_000
M = 60_000


def evaluator(*given: dict[str, object]) -> Evaluator:
    found = Evaluator(rules(*given), SIZES_MS)
    found.advance(T0_MS)
    return found


def events(made: list[Transition]) -> list[tuple[str, str, int]]:
    """(rule, event, seconds after T0)."""
    return [(t.rule, t.event, (t.at_ms - T0_MS) // 1000) for t in made]


def play(one: Evaluator, samples: list[Sample], until_ms: int) -> list[tuple[str, str, int]]:
    """Delivers each sample when event time reaches its end."""
    made = []
    for sample in sorted(samples, key=lambda s: s.end_ms):
        made += one.advance(sample.end_ms - 1)
        one.observe(sample)
    return events(made + one.advance(until_ms))


def test_a_threshold_fires_once_and_resolves_when_the_window_is_quiet_again() -> None:
    # 10 s windows   |0.0|0.5|0.5|0.0|
    one = evaluator({"above": 0.1})
    samples = [window(v, T0_MS + (i + 1) * 10 * S) for i, v in enumerate([0.0, 0.5, 0.5, 0.0])]
    assert play(one, samples, T0_MS + 40 * S) == [("errors", "firing", 20), ("errors", "resolved", 40)]


def test_a_quiet_day_pages_nobody() -> None:
    from models.alerts.rule_file import default_rules

    one = Evaluator(default_rules(), SIZES_MS)
    made = []
    for minute in range(24 * 60):
        end_ms = T0_MS + (minute + 1) * M
        for size in SIZES_MS:
            for end in range(end_ms - M + size, end_ms + 1, size):
                for metric, value in (("error_rate", 0.01), ("cost_usd", 0.02), ("model_call_duration", 900.0)):
                    one.observe(window(value, end, metric=metric, size_ms=size, events=30))
                one.observe(window(0.3, end, metric="cpu_usage", agent="a1", size_ms=size))
        one.observe(point(ACTIVITY, "task_success", end_ms, f"t{minute}"))
        made += one.advance(end_ms)
    made += one.advance(T0_MS + 25 * 60 * M)  # and everybody goes home
    assert made == []


def test_a_window_of_five_minutes_counts_what_lies_within_it_and_nothing_else() -> None:
    # sum over 5 min of 1 an event: 10 rows of 10 events in the first 100 s, out of the window 5 minutes later
    one = evaluator({"window": "5m", "aggregation": "count", "above": 99})
    samples = [window(1.0, T0_MS + (i + 1) * 10 * S) for i in range(10)]
    # After 310 s the first row has left and 90 events are within the limit.
    assert play(one, samples, T0_MS + 10 * M) == [("errors", "firing", 100), ("errors", "resolved", 310)]
    (state,) = one.state.watches["errors"].series.values()
    assert not state.parts


def test_for_means_that_the_limit_stays_broken_for_so_long() -> None:
    # |x|.|x|x|x|   for 20s: pending at 10, ended at 20, pending at 30, firing at 50
    one = evaluator({"for": "20s"})
    samples = [window(v, T0_MS + (i + 1) * 10 * S) for i, v in enumerate([1, 0, 1, 1, 1])]
    assert play(one, samples, T0_MS + 50 * S) == [
        ("errors", "pending", 10),
        ("errors", "resolved", 20),
        ("errors", "pending", 30),
        ("errors", "firing", 50),
    ]


def test_a_row_delivered_again_or_in_a_newer_version_counts_once() -> None:
    one = evaluator({"aggregation": "sum", "above": 15})
    for ver, value in ((1, 0.5), (3, 1.0), (2, 9.0), (3, 1.0)):
        one.observe(window(value, T0_MS + 10 * S, ver=ver))
    assert events(one.advance(T0_MS + 10 * S)) == []  # 10 events of 1.0


def test_parts_of_a_swarm_on_several_partitions_add_up() -> None:
    one = evaluator({"aggregation": "sum", "above": 15})
    for part in ("0", "1"):
        one.observe(window(1.0, T0_MS + 10 * S, part=part))
    assert events(one.advance(T0_MS + 10 * S)) == [("errors", "firing", 10)]


def test_a_sample_that_comes_after_its_window_was_left_is_counted_and_changes_nothing() -> None:
    one = evaluator({"above": 0.1})
    play(one, [window(0.0, T0_MS + 30 * S)], T0_MS + 30 * S)
    one.observe(window(1.0, T0_MS + 10 * S))
    assert one.state.late == 1
    assert events(one.advance(T0_MS + 40 * S)) == []


def test_a_percentile_is_that_of_the_stream_and_of_several_partitions_the_largest() -> None:
    one = evaluator({"window": "1m", "aggregation": "p95", "above": 100})
    one.observe(window(1.0, T0_MS + M, size_ms=M, p95=90.0))
    assert events(one.advance(T0_MS + M)) == []
    for part, p95 in (("0", 90.0), ("1", 110.0)):
        one.observe(window(1.0, T0_MS + 2 * M, size_ms=M, part=part, p95=p95))
    assert events(one.advance(T0_MS + 2 * M)) == [("errors", "firing", 120)]


def test_too_few_events_break_no_limit() -> None:
    one = evaluator({"min_events": 20})
    assert play(one, [window(1.0, T0_MS + 10 * S, events=19)], T0_MS + 10 * S) == []
    assert play(one, [window(1.0, T0_MS + 20 * S, events=20)], T0_MS + 20 * S) == [("errors", "firing", 20)]


def test_a_rate_compares_with_the_windows_before_and_waits_for_three_of_them() -> None:
    given = {"kind": "rate", "metric": "cost_usd", "window": "1m", "baseline": "10m", "above": 2}
    one = evaluator(given)
    rows = [window(9.0, T0_MS + 10 * S, metric="cost_usd")]  # the very first: nothing to compare with
    rows += [window(1.0, T0_MS + i * 10 * S, metric="cost_usd") for i in range(7, 43)]
    assert play(one, rows, T0_MS + 7 * M - 1) == []
    more = [window(3.0, T0_MS + i * 10 * S, metric="cost_usd") for i in range(43, 49)]
    made = play(one, more, T0_MS + 8 * M)
    assert [event for _, event, _ in made] == ["firing"]


def test_absence_fires_after_silence_and_ends_when_the_series_speaks_again_or_is_forgotten() -> None:
    one = evaluator({"kind": "absence", "metric": "agent_heartbeat", "window": "1m", "forget_after": "10m"})
    beat = window(1.0, T0_MS + 10 * S, metric="agent_heartbeat")
    assert play(one, [beat], T0_MS + 60 * S) == []
    assert events(one.advance(T0_MS + 60 * S, T0_MS + 2 * M)) == [("errors", "firing", 70)]
    again = window(1.0, T0_MS + 130 * S, metric="agent_heartbeat")
    assert play(one, [again], T0_MS + 140 * S) == [("errors", "resolved", 130)]
    made = events(one.advance(T0_MS + 30 * M))
    assert [event for _, event, _ in made] == ["firing", "resolved"]
    assert made[1][2] >= 130 + 600


def test_anomalies_are_told_by_metric_from_a_severity_on_and_resolve_after_the_window() -> None:
    one = evaluator({"kind": "anomaly", "metric": "*", "window": "1m", "min_severity": "high"})
    for name, metric, severity in (("x", "task_duration", "high"), ("y", "cost_usd", "medium")):
        one.observe(point(ANOMALY, metric, T0_MS + 5 * S, name, 0.9999, metric=metric, severity=severity))
    made = one.advance(T0_MS + 2 * M)
    assert events(made) == [("errors", "firing", 10), ("errors", "resolved", 70)]
    assert dict(made[0].labels) == {"metric": "task_duration", "swarm": "s1"}


def test_a_composite_needs_all_its_rules_at_once_for_the_same_swarm() -> None:
    one = evaluator(
        {"name": "errors", "notify": False},
        {"name": "slow", "metric": "task_duration", "above": 100, "notify": False},
        {"name": "both", "kind": "composite", "all": ["errors", "slow"], "severity": "critical"},
    )
    bad = [
        window(1.0, T0_MS + 10 * S, swarm="a"),
        window(200.0, T0_MS + 10 * S, swarm="b", metric="task_duration"),
        window(1.0, T0_MS + 20 * S, swarm="a"),
        window(200.0, T0_MS + 20 * S, swarm="a", metric="task_duration"),
        window(0.0, T0_MS + 30 * S, swarm="a"),
    ]
    made = [e for e in play(one, bad, T0_MS + 30 * S) if e[0] == "both"]
    assert made == [("both", "firing", 20), ("both", "resolved", 30)]


def test_an_sla_fires_while_the_budget_burns_and_ends_soon_after_it_stops() -> None:
    # objective 90 %: burn rate 2 = 20 % failures, over the hour and over its last five minutes
    given = {"kind": "sla", "metric": "error_rate", "good": 0, "objective": 0.9, "burn_rate": 2, "window": "1h"}
    one = evaluator(given)
    rows = [window(1.0 if 40 <= i < 60 else 0.0, T0_MS + (i + 1) * M, size_ms=M) for i in range(80)]
    made = play(one, rows, T0_MS + 80 * M)
    assert [event for _, event, _ in made] == ["firing", "resolved"]
    assert 60 <= made[1][2] // 60 <= 65


def test_filters_look_at_role_model_and_tags_of_activities() -> None:
    given = {
        "metric": "task_success",
        "below": 0.5,
        "filters": {"role": "coder*", "model": "m-1", "tags": {"team": "red"}},
        "by": ["swarm", "role"],
    }
    one = evaluator(given)
    for identity, role, model, tags in (
        ("1", "tester", "m-1", {"team": "red"}),
        ("2", "coder", "m-2", {"team": "red"}),
        ("3", "coder", "m-1", {}),
    ):
        sample = point(ACTIVITY, "task_success", T0_MS + S, identity, 0.0, role=role, model=model)
        one.observe(sample._replace(tags=tags))
    assert events(one.advance(T0_MS + 10 * S)) == []
    sample = point(ACTIVITY, "task_success", T0_MS + 11 * S, "4", 0.0, role="coder-2", model="m-1")
    one.observe(sample._replace(tags={"team": "red"}))
    (made,) = one.advance(T0_MS + 20 * S)
    assert (made.event, dict(made.labels)) == ("firing", {"role": "coder-2", "swarm": "s1"})


def test_rows_that_come_after_a_stop_of_the_workers_are_looked_at_in_their_own_order() -> None:
    one = evaluator({"for": "10s"}, {"name": "gone", "kind": "absence", "window": "1m"})
    assert play(one, [window(0.0, T0_MS + 10 * S)], T0_MS + 10 * S) == []
    # Ten minutes of silence: the workers stand still, and the wall clock goes on.
    assert events(one.advance(T0_MS + 10 * S, T0_MS + 10 * M)) == [("gone", "firing", 70)]
    # They come back and tell what was: a failure of half a minute, long over by now.
    for i, value in enumerate([0.5, 0.5, 0.5, 0.0]):
        one.observe(window(value, T0_MS + (i + 2) * 10 * S))
    made = events(one.advance(T0_MS + 50 * S, T0_MS + 10 * M))
    assert made == [("errors", "pending", 20), ("errors", "firing", 30), ("errors", "resolved", 50)]


def test_a_rule_looks_at_the_first_rows_there_ever_were() -> None:
    one = Evaluator(rules({}), SIZES_MS)
    for i, value in enumerate([0.5, 0.0]):
        one.observe(window(value, T0_MS + (i + 1) * 10 * S))
    assert events(one.advance(T0_MS + 20 * S)) == [("errors", "firing", 10), ("errors", "resolved", 20)]


def test_no_events_are_a_sum_of_zero_which_ends_an_alert_and_never_begins_one() -> None:
    one = evaluator(
        {"name": "many", "aggregation": "sum", "above": 5},
        {"name": "few", "aggregation": "count", "below": 5},
        {"name": "mean", "aggregation": "mean", "above": 0.5},
    )
    made = play(one, [window(1.0, T0_MS + 10 * S)], T0_MS + 30 * S)
    assert made == [("many", "firing", 10), ("mean", "firing", 10), ("many", "resolved", 20)]


def test_lookalike_labels_are_series_of_their_own() -> None:
    one = evaluator({"by": ["swarm", "agent"]})
    one.observe(window(1.0, T0_MS + 10 * S, swarm="a|b", agent="c"))
    one.observe(window(0.0, T0_MS + 10 * S, swarm="a", agent="b|c"))
    (made,) = one.advance(T0_MS + 10 * S)
    assert dict(made.labels) == {"swarm": "a|b", "agent": "c"}
