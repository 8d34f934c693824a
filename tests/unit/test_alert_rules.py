"""Rule files: every mistake at once, with its line and what to write instead."""

from __future__ import annotations

import pytest

from models.alerts.condition import row_window_ms
from models.alerts.evaluator import Evaluator, RulesUnfitError
from models.alerts.measures import ACTIVITY_MEASURES
from models.alerts.rule import CompositeRule, ThresholdRule
from models.alerts.rule_file import RuleFileError, RuleSet, default_rules, parse
from models.metrics import BUILT_IN
from tests.support.alerting import SIZES_MS, rule, rules

TYPOS = """\
rules:
  - name: a
    kind: treshold
  - name: cpu
    kind: threshold
    description: x
    metric: cpu_usage
    aggregation: maen
    window: 5
    abov: 3
    severity: hgh
    filters: {swram: x}
  - name: both
    kind: composite
    description: x
    action: y
    all: [cpuu, cpu]
  - name: cpu
    kind: threshold
  - 3
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(RuleFileError) as caught:
        parse(text, where="rules.yaml")
    return str(caught.value).splitlines()


def test_every_mistake_is_told_at_once_with_line_rule_field_and_what_to_write() -> None:
    said = mistakes(TYPOS)
    for line in (
        "rules.yaml:3: rule a: kind: 'treshold' is not one of threshold, rate, absence, anomaly, composite, sla; "
        "did you mean threshold?",
        "rules.yaml:8: rule cpu: aggregation: 'maen' is not one of count, sum, mean, min, max, last, rate, p50, p90, "
        "p95, p99; did you mean mean?",
        "rules.yaml:9: rule cpu: window: 5 is not a duration: write a whole number and ms, s, m, h or d, "
        "for example 5m",
        "rules.yaml:10: rule cpu: there is no field 'abov' here; did you mean above?",
        "rules.yaml:11: rule cpu: severity: 'hgh' is not one of info, low, medium, warning, high, critical; "
        "did you mean high?",
        "rules.yaml:12: rule cpu: there is no field 'swram' here; did you mean swarm?",
        "rules.yaml:4: rule cpu: action: missing; one sentence: what the person who gets it should do",
        "rules.yaml:13: rule both: there is no rule 'cpuu'; did you mean cpu?",
        "rules.yaml:18: rule cpu: name: used before in line 4; names are unique",
        # A slip in the kind or a name used twice hides no other mistake of the rule.
        "rules.yaml:2: rule a: window: missing; for example 5m",
        "rules.yaml:18: rule cpu: metric: missing; for example error_rate",
    ):
        assert line in said
    assert len(said) == 20
    assert said[-2 if "rule both" in said[-1] else -1].startswith("rules.yaml:20: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [", "rules.yaml:1: not valid YAML"),
        ("- a", "rules.yaml:1: the file must hold `rules:`"),
        ("rules: []\nrule: []", "rules.yaml:1: the file must hold `rules:`"),
        ("", "rules.yaml:1: the file must hold `rules:`"),
    ],
)
def test_a_file_that_is_no_list_of_rules_says_what_it_must_hold(text: str, said: str) -> None:
    assert mistakes(text)[0].startswith(said)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"above": 1, "below": 0}, "write exactly one of above, below and levels"),
        ({"levels": {"warning": 2, "critical": 1}}, "levels must grow worse with the severity"),
        ({"levels": {"warning": 0.5, "high": 0.7}, "direction": "below"}, "levels must grow worse"),
        ({"window": "15s"}, "a multiple of 10s between 10s and 1d"),
        ({"metric": "no such metric"}, "is not a metric name"),
        ({"metric": "task_success", "aggregation": "p95"}, "percentiles come from the stream's windows"),
        ({"kind": "rate", "above": 2, "baseline": "20s"}, "between 3 and 48 times the window"),
        ({"kind": "sla", "objective": 0.5, "burn_rate": 3}, "this would never fire"),
        ({"kind": "absence", "forget_after": "10s"}, "must be longer than the window"),
        ({"kind": "anomaly", "by": ["role"], "group_by": []}, "leave out role, model and tags"),
        ({"group_by": ["agent"]}, "agent is not in `by`"),
        ({"kind": "composite", "all": ["a"], "any": ["b"]}, "exactly one of all and any"),
    ],
)
def test_a_rule_that_could_not_mean_anything_is_refused_with_the_reason(fields: dict[str, object], said: str) -> None:
    with pytest.raises(RuleFileError, match=said):
        rules(fields)


def test_the_default_rules_hold_the_promised_limits() -> None:
    found = default_rules()

    def limits(name: str) -> object:
        one = found.named(name)
        assert isinstance(one, ThresholdRule), name
        return one.levels or {one.severity: one.above if one.above is not None else one.below}

    assert limits("cpu-high") == {"warning": 0.70, "critical": 0.90}
    assert limits("memory-high") == {"warning": 0.80, "critical": 0.95}
    assert limits("response-slow") == {"warning": 1_000, "critical": 5_000}
    assert limits("error-rate") == {"warning": 0.05, "critical": 0.10}
    assert limits("communication-slow") == {"warning": 200, "critical": 500}
    assert limits("model-latency") == {"critical": 15_000}
    assert limits("success-low") == {"warning": 0.95, "high": 0.70}
    assert limits("task-long") == {"medium": 120 * 60 * 1000}
    assert limits("quality-low") == {"medium": 0.60}
    assert limits("security-finding") == {"critical": 0}
    assert limits("message-unanswered") == {"low": 300_000}
    assert limits("conflict") == {"medium": 0}
    assert limits("cache-miss") == {"info": 0.80}
    cost = found.named("cost-spike")
    assert cost is not None
    assert (cost.severity_of(2.01), cost.severity_of(2.0)) == ("warning", None)


def test_the_default_rules_use_metrics_that_exist_or_say_who_publishes_them() -> None:
    known = {metric.name for metric in BUILT_IN} | ACTIVITY_MEASURES | {"*"}
    custom = {r.metric for r in default_rules().rules if not isinstance(r, CompositeRule)} - known
    assert custom == {"memory_usage_ratio", "response_time"}


def test_the_default_rules_fit_the_default_windows_and_others_are_refused_by_name() -> None:
    Evaluator(default_rules(), SIZES_MS)
    with pytest.raises(RulesUnfitError, match="rule model-latency: its window cannot be made of"):
        Evaluator(default_rules(), (10_000,))


def test_a_rule_adds_up_the_smallest_windows_that_stay_few() -> None:
    def row(**fields: object) -> int | None:
        return row_window_ms(rules(fields).rules[0], SIZES_MS)

    assert row(window="5m") == 10_000
    assert row(window="1h") == 60_000
    assert row(window="1m", aggregation="p95") == 60_000
    assert row(window="2m", aggregation="p95") is None
    assert row(metric="task_success", aggregation="mean") == 0


def test_composites_come_after_their_members_wherever_they_stand() -> None:
    found: RuleSet = rules({"name": "both", "kind": "composite", "all": ["errors"]}, rule())
    assert [r.name for r in found.rules] == ["errors", "both"]
