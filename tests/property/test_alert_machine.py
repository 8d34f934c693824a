"""Laws of an alert's life, whatever the rules find and whatever people say."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.alerts.command import Command
from models.alerts.machine import Machine, Transition
from models.alerts.rule import Rule
from models.alerts.severity import rank
from tests.support.alerting import T0_MS, finding, rules

STEP_MS = 10_000
FOLLOWS = {  # event -> states an alert may have been in before it; None: it is new
    "pending": {None},
    "firing": {None, "pending"},
    "escalated": {"firing", "acknowledged"},
    "unsilenced": {"firing"},
    "acknowledged": {"firing"},
    "resolved": {"pending", "firing", "acknowledged"},
}

severities = st.sampled_from([None, None, "warning", "warning", "critical", "gone"])  # gone: no data
steps = st.lists(
    st.tuples(severities, severities, st.sampled_from(["", "", "", "ack", "resolve", "silence", "unsilence"])),
    max_size=60,
)
durations = st.sampled_from(["0s", "10s", "30s", "2m"])


def one_rule(for_: str, cooldown: str, escalate_after: str) -> Rule:
    given = {"for": for_, "cooldown": cooldown, "escalate_after": escalate_after}
    return rules({**given, "levels": {"warning": 0.5, "critical": 0.9}}).rules[0]


def play(rule: Rule, story: list[tuple[Any, Any, str]], *, restart_at: int | None = None) -> list[Transition]:
    """One look a step for two swarms; a restart goes through the bytes of a snapshot."""
    machine, made = Machine(), []
    by_name = {rule.name: rule}
    for number, (first, second, said) in enumerate(story):
        if number == restart_at:
            machine = msgspec.msgpack.decode(msgspec.msgpack.encode(machine), type=Machine)
        now_ms = T0_MS + number * STEP_MS
        found = [finding(s, swarm=name) for s, name in ((first, "a"), (second, "b")) if s != "gone"]
        made += machine.step(rule, found, now_ms)
        made += machine.keep_time(by_name, now_ms)
        if said:
            target = "silence-0" if said == "unsilence" else next((a.alert_id for a in machine.open.values()), "none")
            until_ms = now_ms + 5 * STEP_MS
            command = Command(f"{said}-0", said, now_ms, "ann", target, {"swarm": "a"}, until_ms)  # type: ignore[arg-type]
            made += machine.obey(command, by_name)
        assert len({alert.alert_id for alert in machine.open.values()}) == len(machine.open)
    return made


@given(steps, durations, durations, durations)
def test_every_alert_lives_a_legal_life(story: list[Any], for_: str, cooldown: str, escalate: str) -> None:
    rule = one_rule(for_, cooldown, escalate)
    lives: dict[str, list[Transition]] = defaultdict(list)
    open_of: dict[Any, str] = {}
    rested: dict[Any, int] = {}
    for transition in play(rule, story):
        life = lives[transition.alert_id]
        before = life[-1].state if life else None
        assert before in FOLLOWS[transition.event]
        assert transition.seq == len(life) + 1
        assert open_of.setdefault(transition.labels, transition.alert_id) == transition.alert_id, "one open a label set"
        if transition.event == "firing":
            assert transition.at_ms - transition.since_ms >= rule.for_
            assert transition.at_ms >= rested.get(transition.labels, 0)
        if life:
            assert rank(transition.severity) >= rank(life[-1].severity)
        if transition.event == "resolved":
            del open_of[transition.labels]
            if any(t.event == "firing" for t in life):
                rested[transition.labels] = transition.at_ms + rule.cooldown
            assert transition.tell == any(t.tell and t.event != "acknowledged" for t in life)
        elif transition.silenced or transition.event == "pending":
            assert not transition.tell
        life.append(transition)


@given(steps, durations, durations, st.integers(0, 60))
def test_a_restart_from_a_snapshot_changes_nothing(story: list[Any], for_: str, cooldown: str, at: int) -> None:
    rule = one_rule(for_, cooldown, "30s")
    assert play(rule, story, restart_at=at) == play(rule, story)


@given(steps)
def test_everything_ends_when_there_is_no_data_any_more(story: list[Any]) -> None:
    made = play(one_rule("0s", "0s", "0s"), story + [("gone", "gone", "")] * 40)
    last = {t.alert_id: t.state for t in made}
    assert set(last.values()) <= {"resolved"}
