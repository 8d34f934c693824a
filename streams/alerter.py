"""The alerter's state and its one step: records in, transitions and messages into the outbox.

In: records by topic and partition, both clocks. Out: a state that says everything, as bytes.
Never: I/O. `streams.alert_worker` reads, saves, and lets the outbox go only after the save.

Order of every effect: observe -> decide -> save {offsets, rules' state, outbox} -> tell. A crash before the save leaves
nothing that anybody saw; a crash after it tells again, under the same ids and keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from models.alerts import command
from models.alerts.evaluator import Evaluator, EvaluatorState
from models.alerts.machine import Transition
from models.alerts.message import messages_of
from models.alerts.outbox import Outbox
from models.alerts.progress import Progress
from models.alerts.rule_file import RuleSet
from models.clock import Clock
from models.codecs.records import RawRecord
from models.settings import Settings
from sinks.channels.registry import Route
from streams.alert_inputs import InputCounters, activity_samples, anomaly_samples, window_samples
from streams.topics import ACTIVITIES, ALERT_COMMANDS, ANOMALIES, WINDOWS

INPUTS: Final = (WINDOWS, ANOMALIES, ACTIVITIES, ALERT_COMMANDS)
STATE_FORMAT: Final = 1


class AlerterState(msgspec.Struct):
    """Everything a restart needs, as plain values. Offsets: `topic[partition]` -> the next record to read."""

    format: int = STATE_FORMAT
    logs: dict[str, str] = {}
    offsets: dict[str, int] = {}
    evaluator: EvaluatorState = msgspec.field(default_factory=EvaluatorState)
    progress: Progress = msgspec.field(default_factory=Progress)
    outbox: Outbox = msgspec.field(default_factory=Outbox)


@dataclass(frozen=True, slots=True)
class Place:
    """One partition of an input."""

    topic: str  # a name of streams.topics
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the inputs were read. `behind`: window partitions that have more to read than was delivered."""

    behind: frozenset[Place]
    caught_up: bool  # nothing waits, and the broker answers


class Alerter:
    """Rules, their state, and what is to be told."""

    def __init__(
        self,
        settings: Settings,
        rules: RuleSet,
        clock: Clock,
        *,
        routes: Sequence[Route] = (),
        state: AlerterState | None = None,
    ) -> None:
        self.state = state or AlerterState()
        self.state.progress.restarted(clock.monotonic_s())
        sizes = tuple(size for size, step in settings.window_specs if size == step)
        self.evaluator = Evaluator(rules, sizes, self.state.evaluator)
        self.counters = InputCounters()
        self._settings = settings
        self._clock = clock
        self._routes = routes
        self._by_name = {rule.name: rule for rule in rules.rules}
        self._read_until: dict[Place, int] = {}  # newest closed end seen in a partition of the windows topic

    @property
    def outbox(self) -> Outbox:
        """What is not everywhere yet."""
        return self.state.outbox

    def feed(self, place: Place, records: Sequence[RawRecord], keys: Sequence[bytes | None]) -> list[Transition]:
        """Takes records of one partition, in order; those read before are skipped. Commands act at once."""
        at = self.state.offsets.get(str(place), 0)
        fresh = [i for i, record in enumerate(records) if record.offset >= at]
        records, keys = [records[i] for i in fresh], [keys[i] for i in fresh]
        if not records:
            return []
        self.state.offsets[str(place)] = records[-1].offset + 1
        if place.topic == ALERT_COMMANDS:
            return self._decided(self._commands(records))
        self._observe(place, records, keys)
        return []

    def advance(self, reading: Reading) -> list[Transition]:
        """Moves event time on as far as the inputs allow, and looks at every rule."""
        now_s = self._clock.monotonic_s()
        progress = self.state.progress
        held = [self._read_until.get(place, progress.now_ms) for place in reading.behind]
        wall_ms = self._clock.now_ms() if reading.caught_up else None
        progress.advance(now_s, wall_ms=wall_ms, held_ms=min(held, default=None))
        return self._decided(self.evaluator.advance(progress.now_ms, progress.quiet_ms))

    def encode(self) -> bytes:
        """The state as bytes; everything decided so far may leave once they are durable (`released`)."""
        return msgspec.msgpack.encode(self.state)

    def _observe(self, place: Place, records: Sequence[RawRecord], keys: Sequence[bytes | None]) -> None:
        version = self._settings.fold_version
        if place.topic == ANOMALIES:
            for sample in anomaly_samples(records, fold_version=version, counters=self.counters):
                self.evaluator.observe(sample)
        elif place.topic == WINDOWS:
            now_s = self._clock.monotonic_s()
            for sample in window_samples(records, keys, fold_version=version, counters=self.counters):
                if self.evaluator.wants(sample.metric):
                    self.evaluator.observe(sample)
                self.state.progress.saw(sample.cut, sample.end_ms, now_s, closed=sample.final)
                if sample.final:
                    self._read_until[place] = max(self._read_until.get(place, 0), sample.end_ms)
        else:
            skew_ms = self._settings.future_skew_ms
            wants, counters = self.evaluator.wants, self.counters
            for sample in activity_samples(records, wants, future_skew_ms=skew_ms, counters=counters):
                self.evaluator.observe(sample)

    def _commands(self, records: Sequence[RawRecord]) -> list[Transition]:
        made: list[Transition] = []
        for record in records:
            try:
                made += self.evaluator.obey(command.decode(record.value))
            except ValueError:
                self.counters.unreadable += 1
        return made

    def _decided(self, transitions: list[Transition]) -> list[Transition]:
        """Rows for the stores, messages for the channels."""
        self.outbox.add(transitions)
        now_ms = self._clock.now_ms()
        for message in messages_of(transitions, self._by_name):
            for route in self._routes:
                if route.takes(message.severity):
                    self.outbox.queue(message, route.channel.name, now_ms)
        return transitions


def decode(data: bytes) -> AlerterState:
    """The state in a snapshot. Raises ValueError when another build wrote it."""
    try:
        state = msgspec.msgpack.decode(data, type=AlerterState)
    except msgspec.DecodeError as error:
        raise ValueError(f"the alerter's snapshot cannot be read: {error}") from None
    if state.format != STATE_FORMAT:
        raise ValueError(f"the alerter's snapshot has format {state.format}, this build reads {STATE_FORMAT}")
    return state


def renew_logs(state: AlerterState, found: Mapping[str, str]) -> list[str]:
    """Notes which logs are read; of one that was replaced the offsets are forgotten. Returns the replaced topics.

    Open alerts stay: a broker that lost its log says nothing about what was wrong.
    """
    replaced = [topic for topic, log_id in found.items() if state.logs.get(topic, log_id) != log_id]
    for topic in replaced:
        state.offsets = {k: 0 if k.startswith(f"{topic}[") else offset for k, offset in state.offsets.items()}
    if replaced:
        state.progress.high.clear()
    state.logs = dict(found)
    return replaced
