"""What was decided and is not everywhere yet: rows for the stores, messages for the channels.

In: transitions with their messages, outcomes of sending. Out: the next thing each destination is to get.
Never: hands out what is not in a snapshot: a crash must not let somebody hear of an alert that then never was.

Everything gets a number. `saved` is the number up to which a snapshot holds it; only that may leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from models.alerts.machine import Transition
from models.alerts.message import Message

CHANNEL_QUEUE_MAX: Final = 1_000  # messages that wait for one channel; the oldest is given up then
ROWS_WAITING_MAX: Final = 100_000  # rows that wait for a store: 70 MB; then nothing more is evaluated
OUTCOMES_MAX: Final = 10_000  # outcomes that wait for the store


class Numbered(msgspec.Struct, frozen=True):
    """A transition and its place in the order of everything."""

    number: int
    transition: Transition


class Queued(msgspec.Struct):
    """A message that waits for one channel. `queued_ms`: wall clock, its budget runs from there."""

    number: int
    message: Message
    queued_ms: int
    attempts: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What became of a message in one channel."""

    key: str
    channel: str
    status: Literal["delivered", "undelivered"]
    rule: str
    event: str
    severity: str
    at_ms: int
    attempts: int
    problem: str
    alert_ids: tuple[str, ...]


class Outbox(msgspec.Struct):
    """Plain values; part of the alerter's snapshot."""

    last: int = 0
    saved: int = 0
    rows: list[Numbered] = []  # for ClickHouse
    records: list[Numbered] = []  # for the topic
    queues: dict[str, list[Queued]] = {}
    outcomes: list[Outcome] = []  # for ClickHouse
    delivered: dict[str, int] = {}
    undelivered: dict[str, int] = {}
    outcomes_dropped: int = 0

    def add(self, transitions: Iterable[Transition]) -> None:
        """Rows and records of these transitions."""
        for transition in transitions:
            self.last += 1
            self.rows.append(Numbered(self.last, transition))
            self.records.append(Numbered(self.last, transition))

    def queue(self, message: Message, channel: str, now_ms: int) -> None:
        """A message for a channel. When too many wait, the oldest is given up and counted."""
        waiting = self.queues.setdefault(channel, [])
        self.last += 1
        waiting.append(Queued(self.last, message, now_ms))
        if len(waiting) > CHANNEL_QUEUE_MAX:
            problem = f"more than {CHANNEL_QUEUE_MAX} messages waited for this channel"
            self.settle(channel, waiting[0], now_ms, problem=problem)

    def next_for(self, channel: str) -> Queued | None:
        """The oldest message that may leave."""
        waiting = self.queues.get(channel, [])
        return waiting[0] if waiting and waiting[0].number <= self.saved else None

    def settle(self, channel: str, queued: Queued, now_ms: int, *, problem: str = "") -> None:
        """A message was delivered, or (`problem`) will not be."""
        waiting = self.queues.get(channel, [])
        if queued not in waiting:
            return  # given up meanwhile, because too many waited
        waiting.remove(queued)
        counts = self.undelivered if problem else self.delivered
        counts[channel] = counts.get(channel, 0) + 1
        message = queued.message
        self.outcomes.append(
            Outcome(
                key=message.key,
                channel=channel,
                status="undelivered" if problem else "delivered",
                rule=message.rule,
                event=message.event,
                severity=message.severity,
                at_ms=now_ms,
                attempts=queued.attempts,
                problem=problem,
                alert_ids=message.alert_ids,
            )
        )
        if len(self.outcomes) > OUTCOMES_MAX:
            del self.outcomes[0]
            self.outcomes_dropped += 1

    def ready(self, waiting: list[Numbered]) -> list[Numbered]:
        """Those of `rows` or `records` that may leave."""
        return [item for item in waiting if item.number <= self.saved]

    @property
    def full(self) -> bool:
        """Whether a store has been away for so long that nothing more may be decided."""
        return max(len(self.rows), len(self.records)) >= ROWS_WAITING_MAX

    @property
    def waiting(self) -> int:
        """Messages that wait for channels."""
        return sum(len(queue) for queue in self.queues.values())
