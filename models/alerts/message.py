"""What channels are told: transitions of one evaluation, grouped, in words.

In: transitions. Out: messages with an idempotency key. Never: knows how a channel formats or sends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from models.alerts.machine import Event, Transition
from models.alerts.rule import Rule
from models.alerts.severity import rank

LINES_MAX: Final = 20  # alerts named in one message; the others are counted in it
_WORDS: Final = {
    "firing": "FIRING",
    "escalated": "WORSE",
    "unsilenced": "STILL FIRING",
    "acknowledged": "ACKNOWLEDGED",
    "resolved": "RESOLVED",
}


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes with a message: a mail attaches it, a webhook gets it as base64, a chat does not."""

    name: str
    media_type: str  # such as text/html
    content: bytes


class Message(msgspec.Struct, frozen=True):
    """One message. `key`: the same whenever the same transitions are told again; receivers drop a second one by it."""

    key: str
    rule: str
    event: Event | Literal["report"]  # report: no alert, a report that was asked for
    severity: str  # the worst of its alerts
    title: str
    lines: tuple[str, ...]  # one an alert
    action: str
    at_ms: int
    alert_ids: tuple[str, ...]
    group: dict[str, str] = {}
    attachments: tuple[Attachment, ...] = ()


def messages_of(transitions: Sequence[Transition], rules: Mapping[str, Rule]) -> list[Message]:
    """One message a rule, event and group; transitions that nobody is to be told of give none."""
    groups: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[Transition]] = {}
    for transition in transitions:
        if transition.tell:
            rule = rules.get(transition.rule)
            by = rule.group_by if rule is not None else ()
            labels = tuple(pair for pair in transition.labels if pair[0] in by)
            groups.setdefault((transition.rule, transition.event, labels), []).append(transition)
    return [_message(group, dict(key[2])) for key, group in groups.items()]


def _message(group: Sequence[Transition], labels: dict[str, str]) -> Message:
    first = group[0]
    severity = max((t.severity for t in group), key=rank)
    where = ", ".join(f"{name} {value}" for name, value in labels.items())
    count = f"{len(group)} alerts" if len(group) > 1 else "1 alert"
    lines = [_line(t) for t in group[:LINES_MAX]]
    if len(group) > LINES_MAX:
        lines.append(f"and {len(group) - LINES_MAX} more")
    return Message(
        key=hashlib.sha256(repr([(t.alert_id, t.seq) for t in group]).encode()).hexdigest()[:32],
        rule=first.rule,
        event=first.event,
        severity=severity,
        title=f"[{_WORDS[first.event]}] {severity}: {first.rule}{f' ({where})' if where else ''}: {count}",
        lines=tuple(lines),
        action=first.action if first.event != "resolved" else "",
        at_ms=max(t.at_ms for t in group),
        alert_ids=tuple(t.alert_id for t in group),
        group=labels,
    )


def _line(transition: Transition) -> str:
    labels = " ".join(f"{name}={value}" for name, value in transition.labels if value)
    who = f" by {transition.by}" if transition.by else ""
    since = utc(transition.since_ms)
    return f"{labels or transition.rule}: {transition.reason}{who} (since {since}, id {transition.alert_id})"


def utc(epoch_ms: int) -> str:
    """`2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def trial(channel: str, at_ms: int) -> Message:
    """What `murmur alerts test` sends."""
    return Message(
        key=hashlib.sha256(f"test {channel} {at_ms}".encode()).hexdigest()[:32],
        rule="test",
        event="firing",
        severity="info",
        title=f"[TEST] info: Murmuration can reach {channel}",
        lines=(f"sent at {utc(at_ms)} by murmur alerts test",),
        action="Nothing: this is a test.",
        at_ms=at_ms,
        alert_ids=(),
    )
