"""What an alert does, told as stories: acknowledge, silence, escalate, cool down, group, wait for a save."""

from __future__ import annotations

import msgspec
import pytest

from models.alerts import command
from models.alerts.command import Command
from models.alerts.machine import Machine, Transition
from models.alerts.message import LINES_MAX, messages_of
from models.alerts.outbox import CHANNEL_QUEUE_MAX, Outbox
from models.alerts.progress import SILENCE_MARGIN_MS, Progress
from models.alerts.rule import Rule
from tests.support.alerting import T0_MS, finding, rules

S = 1_000


def told(made: list[Transition]) -> list[tuple[str, str, bool]]:
    return [(t.event, t.severity, t.tell) for t in made]


def one(**fields: object) -> tuple[Machine, Rule, dict[str, Rule]]:
    rule = rules({"levels": {"warning": 0.5, "critical": 0.9}, **fields}).rules[0]
    return Machine(), rule, {rule.name: rule}


def test_an_acknowledged_alert_stays_quiet_until_it_grows_worse() -> None:
    machine, rule, by_name = one(escalate_after="20s")
    (fired,) = machine.step(rule, [finding("warning")], T0_MS)
    made = machine.obey(Command("c1", "ack", T0_MS + S, "ann", fired.alert_id, note="on it"), by_name)
    assert [(t.state, t.by, t.reason) for t in made] == [("acknowledged", "ann", "on it")]
    assert machine.step(rule, [finding("warning")], T0_MS + 60 * S) == []
    assert machine.keep_time(by_name, T0_MS + 60 * S) == []
    assert told(machine.step(rule, [finding("critical")], T0_MS + 70 * S)) == [("escalated", "critical", True)]


def test_an_unattended_alert_is_raised_once() -> None:
    machine, rule, by_name = one(escalate_after="20s")
    machine.step(rule, [finding("warning")], T0_MS)
    for at_s, wanted in ((10, []), (20, [("escalated", "high", True)]), (30, []), (90, [])):
        machine.step(rule, [finding("warning")], T0_MS + at_s * S)
        assert told(machine.keep_time(by_name, T0_MS + at_s * S)) == wanted


def test_a_cooldown_holds_a_flapping_alert_and_loses_one_that_stays() -> None:
    machine, rule, _ = one(cooldown="60s")
    steps = [("warning", 0), (None, 10), ("warning", 20), (None, 30), ("warning", 40), ("warning", 60), ("warning", 70)]
    made = [
        (t.event, (t.at_ms - T0_MS) // S) for s, at in steps for t in machine.step(rule, [finding(s)], T0_MS + at * S)
    ]
    assert made == [
        ("firing", 0),
        ("resolved", 10),
        ("pending", 20),
        ("resolved", 30),
        ("pending", 40),
        ("firing", 70),
    ]


def test_a_silence_keeps_people_from_being_told_and_what_still_fires_at_its_end_is_told_then() -> None:
    machine, rule, by_name = one()
    quiet = Command("q1", "silence", T0_MS, "ann", match={"swarm": "s*", "rule": "errors"}, until_ms=T0_MS + 30 * S)
    assert machine.obey(quiet, by_name) == []
    (fired,) = machine.step(rule, [finding("warning")], T0_MS + 10 * S)
    assert (fired.silenced, fired.tell) == (True, False)
    assert told(machine.step(rule, [finding("warning", swarm="other")], T0_MS + 10 * S)) == [
        ("firing", "warning", True)
    ]
    assert machine.keep_time(by_name, T0_MS + 20 * S) == []
    assert told(machine.keep_time(by_name, T0_MS + 30 * S)) == [("unsilenced", "warning", True)]
    assert told(machine.step(rule, [finding(None)], T0_MS + 40 * S)) == [("resolved", "warning", True)]


def test_an_alert_that_came_and_went_within_a_silence_is_recorded_and_not_told() -> None:
    machine, rule, by_name = one()
    machine.obey(Command("q1", "silence", T0_MS, "ann", match={"swarm": "*"}, until_ms=T0_MS + 30 * S), by_name)
    made = machine.step(rule, [finding("warning")], T0_MS) + machine.step(rule, [finding(None)], T0_MS + 10 * S)
    assert told(made) == [("firing", "warning", False), ("resolved", "warning", False)]


def test_a_silence_can_be_ended_early() -> None:
    machine, rule, by_name = one()
    machine.obey(Command("q1", "silence", T0_MS, "ann", match={"swarm": "*"}, until_ms=T0_MS + 3600 * S), by_name)
    machine.step(rule, [finding("warning")], T0_MS)
    machine.obey(Command("q2", "unsilence", T0_MS + S, "ann", "q1"), by_name)
    assert [t.event for t in machine.keep_time(by_name, T0_MS + 2 * S)] == ["unsilenced"]


def test_a_command_about_an_alert_that_is_not_open_is_counted() -> None:
    machine, _, by_name = one()
    assert machine.obey(Command("c", "ack", T0_MS, "ann", "nobody"), by_name) == []
    assert machine.ignored_commands == 1


@pytest.mark.parametrize(
    "value", [b"", b"{", b'{"kind": "ack"}', None, b'{"command_id":"a","kind":"silence","at_ms":1,"by":"x"}']
)
def test_a_record_that_is_no_command_is_refused(value: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"command|silence"):
        command.decode(value)


def test_an_alert_whose_rule_is_gone_ends_and_says_so() -> None:
    machine, rule, _ = one()
    machine.step(rule, [finding("warning")], T0_MS)
    (ended,) = machine.keep_time({}, T0_MS + S)
    assert (ended.event, ended.reason, ended.tell) == ("resolved", "the rule was removed", True)


def test_alerts_of_one_look_and_group_become_one_message_with_one_key() -> None:
    rule = rules({"by": ["swarm", "agent"], "group_by": ["swarm"]}).rules[0]
    found = [finding("warning", swarm=s, agent=f"a{i}") for s in ("x", "y") for i in range(LINES_MAX + 5)]
    made = Machine().step(rule, found, T0_MS)
    messages = messages_of(made, {rule.name: rule})
    assert [m.group for m in messages] == [{"swarm": "x"}, {"swarm": "y"}]
    assert messages[0].title == "[FIRING] warning: errors (swarm x): 25 alerts"
    assert len(messages[0].lines) == LINES_MAX + 1
    assert messages[0].lines[-1] == "and 5 more"
    assert [m.key for m in messages_of(made, {rule.name: rule})] == [m.key for m in messages]
    assert messages[0].key != messages[1].key


def test_nothing_leaves_the_outbox_before_it_is_saved() -> None:
    machine, rule, by_name = one()
    made = machine.step(rule, [finding("warning")], T0_MS)
    outbox = Outbox()
    outbox.add(made)
    (message,) = messages_of(made, by_name)
    outbox.queue(message, "slack", T0_MS)
    assert outbox.next_for("slack") is None
    assert outbox.ready(outbox.rows) == []
    outbox.saved = outbox.last
    assert outbox.next_for("slack") is not None
    assert len(outbox.ready(outbox.rows)) == 1
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(outbox), type=Outbox)
    assert again == outbox


def test_a_channel_that_takes_nothing_keeps_a_bounded_queue_and_counts_what_it_lost() -> None:
    machine, rule, by_name = one()
    (message,) = messages_of(machine.step(rule, [finding("warning")], T0_MS), by_name)
    outbox = Outbox()
    for _ in range(CHANNEL_QUEUE_MAX + 3):
        outbox.queue(message, "slack", T0_MS)
    assert (outbox.waiting, outbox.undelivered) == (CHANNEL_QUEUE_MAX, {"slack": 3})
    assert {o.status for o in outbox.outcomes} == {"undelivered"}


def test_event_time_waits_for_the_slowest_partition_that_still_delivers() -> None:
    progress = Progress()
    progress.saw("a", T0_MS + 100 * S, 0.0, closed=True)
    progress.saw("b", T0_MS + 10 * S, 0.0, closed=True)
    progress.advance(0.0, wall_ms=None)
    progress.advance(2.0, wall_ms=None)
    assert progress.now_ms == T0_MS + 10 * S
    progress.saw("a", T0_MS + 120 * S, 10.0, closed=True)
    progress.advance(20.0, wall_ms=None)  # b has been silent for too long
    progress.advance(22.0, wall_ms=None)
    assert progress.now_ms == T0_MS + 120 * S
    progress.saw("b", T0_MS + 20 * S, 23.0, closed=True)
    progress.advance(23.0, wall_ms=None)
    progress.advance(25.0, wall_ms=None)
    assert progress.now_ms == T0_MS + 120 * S, "it never falls"


def test_in_silence_time_goes_to_the_newest_row_and_only_silence_follows_the_wall_clock() -> None:
    progress = Progress()
    progress.saw("a", T0_MS, 0.0, closed=True)
    progress.saw("a", T0_MS + 10 * S, 0.0, closed=False)
    progress.advance(0.0, wall_ms=None)
    progress.advance(100.0, wall_ms=None)
    assert (progress.now_ms, progress.quiet_ms) == (T0_MS, T0_MS), "something waits, or the broker is away"
    progress.advance(101.0, wall_ms=T0_MS + 120 * S)
    progress.advance(103.0, wall_ms=T0_MS + 122 * S)
    assert progress.now_ms == T0_MS + 10 * S, "the open window will not be closed any more"
    assert progress.quiet_ms == T0_MS + 122 * S - SILENCE_MARGIN_MS


def test_a_process_that_has_just_started_has_not_heard_a_silence_yet() -> None:
    progress = Progress()
    progress.saw("a", T0_MS, 0.0, closed=True)
    progress.restarted(100.0)
    progress.advance(101.0, wall_ms=T0_MS + 600 * S)
    assert progress.quiet_ms == 0
    progress.advance(116.0, wall_ms=T0_MS + 616 * S)
    assert progress.quiet_ms == T0_MS + 616 * S - SILENCE_MARGIN_MS


def test_event_time_stays_behind_what_a_partition_has_not_been_read_of() -> None:
    progress = Progress()
    progress.saw("a", T0_MS + 100 * S, 0.0, closed=True)
    progress.advance(0.0, wall_ms=None, held_ms=T0_MS + 30 * S)
    progress.advance(2.0, wall_ms=None, held_ms=T0_MS + 30 * S)
    assert progress.now_ms == T0_MS + 30 * S
