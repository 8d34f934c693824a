"""Advisories: nothing unasked, every verdict a row, and every mistake of a policy at once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from interfaces.cli.detect import EXAMPLE
from models.control.advisory import verdicts
from models.control.policy import PolicyError, parse
from models.detect.catalogue import SPECS
from models.settings import Settings
from tests.support.commands import answer_of, run_murmur
from tests.support.detecting import activity, found_by


def _policy(*rules: str) -> str:
    return "advisories:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)


LOOP = found_by([activity(i, tool="Bash", input_hash="z") for i in range(9)])


@pytest.mark.parametrize(
    ("rules", "verdict", "why", "action"),
    [
        ((), "withheld", "no rule of the policy is about it", ""),
        (("detector: token_burn, mode: advise",), "withheld", "no rule of the policy is about it", ""),
        (("detector: loop",), "withheld", "its rule is off", "pause"),
        (("detector: loop, mode: observe",), "observed", "its rule observes", "pause"),
        (("detector: loop, mode: advise",), "advised", "its rule advises", "pause"),
        (("detector: loop, mode: advise, action: notify",), "advised", "its rule advises", "notify"),
        (
            ("detector: loop, mode: advise, min_severity: high",),
            *("withheld", "severity medium is below high", "pause"),
        ),
        (("detector: loop, mode: advise, swarms: [x]",), "withheld", "no rule of the policy is about it", ""),
        (("detector: loop, swarms: ['s*']", "detector: loop, mode: advise"), "withheld", "its rule is off", "pause"),
    ],
)
def test_each_finding_has_one_verdict_by_the_first_rule_that_fits(
    rules: tuple[str, ...], verdict: str, why: str, action: str
) -> None:
    text = _policy(*rules) if rules else "advisories: []"
    (row,) = verdicts(LOOP, parse(text, where="p.yaml"))
    assert (row["verdict"], row["why"], row["action"]) == (verdict, why, action)
    assert row["advisory_id"] == LOOP[0]["anomaly_id"]
    assert row["evidence"] == LOOP[0]["evidence"]


def test_an_advisory_expires_counted_from_the_record_that_caused_it() -> None:
    rules = parse(_policy("detector: loop, mode: advise, expires_after: 2m"), where="p.yaml")
    (row,) = verdicts(LOOP, rules)
    assert row["expires_at"] - row["at"] == timedelta(minutes=2)
    assert row["at"] == LOOP[0]["detected_at"]


def test_scores_of_series_get_no_verdict() -> None:
    rules = parse(_policy("detector: loop, mode: advise"), where="p.yaml")
    assert list(verdicts([LOOP[0] | {"detector": "river_tail"}], rules)) == []


def test_every_mistake_of_a_policy_is_said_at_once() -> None:
    text = _policy("detector: lop, mode: yes", "detector: loop, expires_after: 5 minutes", "detector: loop, moda: x")
    with pytest.raises(PolicyError) as error:
        parse(text, where="p.yaml")
    said = str(error.value).splitlines()
    assert said[0] == "p.yaml: advisories.1.detector: 'lop' is not a detector; did you mean loop?"
    assert "advisories.1.mode" in said[1]
    assert "advisories.2.expires_after: '5 minutes' is not a duration" in said[2]
    assert said[3] == "p.yaml: advisories.3.moda: unknown field; did you mean mode?"
    assert len(said) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [("[", "p.yaml:1: not valid YAML"), ("a", "must hold `advisories:`"), ("{}", "advisories: Field required")],
)
def test_what_is_no_policy_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse(text, where="p.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_printed_example_is_a_policy(tmp_path: Path) -> None:
    file = tmp_path / "control.yaml"
    printed = run_murmur(Settings(home=tmp_path), "detect", "policy")
    assert printed.stdout == EXAMPLE
    file.write_text(printed.stdout)
    checked = run_murmur(Settings(home=tmp_path), "detect", "policy", str(file), "--format", "json")
    assert [row["mode"] for row in answer_of(checked)] == ["advise", "observe"]


def test_the_detectors_are_listed_and_explained_with_their_limits(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    listed = answer_of(run_murmur(settings, "detect", "list", "--format", "json"))
    assert [row["detector"] for row in listed] == [spec.name for spec in SPECS]
    explained = run_murmur(settings, "detect", "explain", "loop")
    assert "four can be a patient retry" in " ".join(explained.stdout.split())
    limits = json.loads(run_murmur(settings, "detect", "explain", "loop", "--format", "json").stdout)
    assert {row["limit"] for row in limits} == {limit.name for limit in SPECS[0].limits}


def test_a_wrong_name_or_policy_ends_with_what_to_do(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    wrong = run_murmur(settings, "detect", "explain", "lop")
    assert (wrong.returncode, wrong.stderr.strip()) == (2, "murmur: lop: no such detector; did you mean loop?")
    missing = run_murmur(settings, "detect", "policy", str(tmp_path / "none.yaml"))
    assert missing.returncode == 2
    assert "cannot be read: No such file" in missing.stderr
