"""The alerter's step, and its restart at every point: none lost, and what is told twice is the same row."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from models.alerts.command import Command
from models.alerts.machine import Transition
from models.clock import ManualClock
from models.codecs.records import RawRecord
from models.settings import Settings
from sinks.channels.console import ConsoleChannel
from sinks.channels.registry import Route
from streams.alert_inputs import HISTORY_MS_MAX
from streams.alerter import Alerter, AlerterState, Place, Reading, decode, renew_logs
from streams.topics import ACTIVITIES, ALERT_COMMANDS, ANOMALIES, WINDOWS
from tests.support.alerters import window_value
from tests.support.alerting import T0_MS, rules

S = 1_000
UP_TO_DATE = Reading(frozenset(), caught_up=True)
RULES = rules(
    {"for": "10s", "cooldown": "1m"},
    {"name": "security", "metric": "security_findings", "aggregation": "sum", "above": 0, "window": "1m"},
    {"name": "odd", "kind": "anomaly", "metric": "*", "window": "1m"},
)
WINDOW_PLACE = Place(WINDOWS, 0)


def window_record(offset: int, end_ms: int, mean: float, *, late_ms: int = 6_000, **changes: Any) -> RawRecord:
    """A swarm's closed window as the topic has it."""
    return RawRecord(offset, end_ms + late_ms, (), window_value(end_ms, mean, ver=offset, **changes))


class World:
    """A log of windows, a clock, and an alerter that can be killed between any two effects."""

    def __init__(self) -> None:
        self.clock = ManualClock(T0_MS)
        self.routes = [Route(ConsoleChannel(), "info")]
        self.durable = Alerter(Settings(), RULES, self.clock, routes=self.routes).encode()
        self.told: list[Transition] = []
        self.start()

    def start(self) -> None:
        self.alerter = Alerter(Settings(), RULES, self.clock, routes=self.routes, state=decode(self.durable))

    def feed(self, *records: RawRecord, place: Place = WINDOW_PLACE) -> list[Transition]:
        made = self.alerter.feed(place, records, [f"k{r.offset}".encode() for r in records])
        made += self.alerter.advance(UP_TO_DATE)
        self.clock.advance(2_000)
        return made + self.alerter.advance(UP_TO_DATE)

    def save(self) -> None:
        """Durable first, then told: what `alert_worker` does."""
        self.durable = self.alerter.encode()
        outbox = self.alerter.outbox
        outbox.saved = outbox.last
        self.told += [item.transition for item in outbox.ready(outbox.rows)]
        outbox.rows.clear()


VALUES = [0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0] + [0.0] * 6 + [0.9, 0.9, 0.0]
LOG = [window_record(i, T0_MS + (i + 1) * 10 * S, value) for i, value in enumerate(VALUES)]


def straight() -> list[Transition]:
    world = World()
    for record in LOG:
        world.feed(record)
        world.save()
    return world.told


def test_the_straight_run_has_alerts_in_it() -> None:
    assert [t.event for t in straight()].count("firing") == 2


@pytest.mark.parametrize("killed_after", range(len(LOG)))
@pytest.mark.parametrize("saved", [True, False])
def test_a_kill_at_any_point_loses_no_alert_and_tells_again_only_the_same_rows(killed_after: int, saved: bool) -> None:
    world = World()
    for number, record in enumerate(LOG):
        world.feed(record)
        if number == killed_after:
            if saved:  # durable, and killed before anything was told
                world.durable = world.alerter.encode()
            world.start()
            world.feed(*LOG[: number + 1])  # the log delivers from before the kill
        world.save()
    # What was told and not noted as told is told again: the same row under the same key, which the stores keep once.
    assert list(dict.fromkeys(world.told)) == straight()


def test_rows_of_another_fold_version_history_and_garbage_wake_nobody() -> None:
    world = World()
    bad = [
        window_record(0, T0_MS + 10 * S, 1.0, fold_version=2),
        window_record(1, T0_MS + 10 * S, 1.0, late_ms=HISTORY_MS_MAX + 1),
        RawRecord(2, T0_MS, (), b"garbage"),
        RawRecord(3, T0_MS, (), None),
    ]
    assert world.feed(*bad) == []
    assert (world.alerter.counters.history, world.alerter.counters.unreadable) == (1, 1)


def test_an_activity_with_a_security_finding_fires_and_running_ones_do_not() -> None:
    world = World()
    world.feed(window_record(0, T0_MS + 10 * S, 0.0))

    def activity(offset: int, status: str) -> RawRecord:
        event = {"id": "t1", "swarm_id": "s1", "kind": "task", "status": status, "started_at": T0_MS + 11 * S}
        event |= {"ended_at": T0_MS + 12 * S, "security_findings": 1}
        return RawRecord(offset, T0_MS + 13 * S, (), json.dumps(event).encode())

    assert world.feed(activity(0, "running"), place=Place(ACTIVITIES, 0)) == []
    world.feed(activity(1, "completed"), activity(2, "completed"), place=Place(ACTIVITIES, 0))
    made = world.feed(window_record(1, T0_MS + 20 * S, 0.0))
    assert [(t.rule, t.event, t.value) for t in made] == [("security", "firing", 1.0)]


def test_an_anomaly_of_the_topic_fires() -> None:
    world = World()
    world.feed(window_record(0, T0_MS + 10 * S, 0.0))
    row = {"anomaly_id": "x", "swarm_id": "s1", "agent_id": "a1", "metric": "m", "window_ms": 10_000}
    row |= {"window_start": T0_MS, "score": 0.99999, "severity": "critical", "fold_version": 1}
    world.feed(RawRecord(0, T0_MS + 16 * S, (), json.dumps(row).encode()), place=Place(ANOMALIES, 2))
    assert [t.rule for t in world.feed(window_record(1, T0_MS + 20 * S, 0.0))] == ["odd"]


def test_a_command_acts_in_the_order_of_the_log_and_once() -> None:
    world = World()
    for record in LOG[:3]:
        world.feed(record)
    (alert,) = world.alerter.state.evaluator.machine.open.values()
    value = msgspec.json.encode(Command("c1", "ack", T0_MS, "ann", alert.alert_id))
    place = Place(ALERT_COMMANDS, 0)
    assert [t.event for t in world.feed(RawRecord(0, T0_MS, (), value), place=place)] == ["acknowledged"]
    assert world.feed(RawRecord(0, T0_MS, (), value), place=place) == []


def test_a_replaced_log_is_read_from_its_beginning_and_open_alerts_stay() -> None:
    world = World()
    for record in LOG[:3]:
        world.feed(record)
    state = world.alerter.state
    renew_logs(state, {WINDOWS: "old", ANOMALIES: "same"})
    assert state.offsets[str(WINDOW_PLACE)] == 3
    assert renew_logs(state, {WINDOWS: "new", ANOMALIES: "same"}) == [WINDOWS]
    assert state.offsets[str(WINDOW_PLACE)] == 0
    assert len(state.evaluator.machine.open) == 1


def test_a_snapshot_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 2, this build reads 1"):
        decode(msgspec.msgpack.encode(AlerterState(format=2)))
