"""The life of alerts: pending > firing > acknowledged > resolved, as a pure step over event time.

In: findings of rules, commands of people, a moment of event time. Out: transitions, in a fixed order.
Never: reads a clock, forgets an open alert, opens a second one for the same rule and label set.

- A broken limit opens an alert: pending while the rule's `for` lasts, or while its cooldown does; then firing.
- Within the limits again: a pending alert ends silently (a row says so), a firing one is resolved.
- No data: the alert stays as it is for NO_DATA_MS, then it ends, with that as its reason.
- A worse level, or `escalate_after` without an acknowledgement, raises the severity; an acknowledged alert that grows
  worse fires again. The severity of an open alert never falls.
- A silence keeps transitions from being told, not from happening; what still fires when it ends is told then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from models.alerts.command import Command, Silence
from models.alerts.condition import Finding, LabelSet
from models.alerts.rule import Rule
from models.alerts.severity import rank, worse

NO_DATA_MS: Final = (
    300_000  # as long as the default rules' windows: a series that ended must not hold an alert for ever
)
OPEN_ALERTS_MAX: Final = 10_000  # 2.4 MB of state; more open alerts are one fault, and nobody reads them
COOLDOWN_KEPT_MS: Final = 7 * 86_400_000  # the longest cooldown that is remembered

State = Literal["pending", "firing", "acknowledged", "resolved"]
Event = Literal["pending", "firing", "escalated", "acknowledged", "unsilenced", "resolved"]
Key = tuple[str, LabelSet]


class Alert(msgspec.Struct):
    """One open alert."""

    alert_id: str
    rule: str
    labels: LabelSet
    state: State
    severity: str
    value: float
    reason: str
    since_ms: int  # the first evaluation that found it
    known_ms: int  # the last evaluation that had data
    seq: int = 0  # of its last transition
    firing_ms: int = 0  # 0: not yet
    raised: bool = False  # by escalate_after, which happens once
    told: bool = False  # somebody was notified that it fires


class Transition(msgspec.Struct, frozen=True):
    """One step of one alert; (alert_id, seq) is its identity. `tell`: channels are to be notified."""

    alert_id: str
    seq: int
    at_ms: int
    rule: str
    kind: str
    event: Event
    state: State
    severity: str
    labels: LabelSet
    value: float
    bound: float
    reason: str
    since_ms: int
    action: str
    by: str = ""
    silenced: bool = False
    tell: bool = False


class Machine(msgspec.Struct):
    """All open alerts, what is resting, and the silences: plain values that go into a snapshot."""

    open: dict[Key, Alert] = {}
    resting: dict[Key, int] = {}  # event time from which the key may fire again
    silences: list[Silence] = []
    refused: int = 0  # alerts beyond OPEN_ALERTS_MAX
    ignored_commands: int = 0  # of an alert that is not open (any more)

    def step(self, rule: Rule, findings: Iterable[Finding], now_ms: int) -> list[Transition]:
        """One evaluation of one rule."""
        made: list[Transition] = []
        for finding in findings:
            key = (rule.name, finding.labels)
            alert = self.open.get(key)
            if alert is not None:
                alert.known_ms = now_ms
            if finding.severity is not None:
                made += self._broken(rule, key, alert, finding, now_ms)
            elif alert is not None:
                made.append(self._end(rule, alert, now_ms, f"within the limits again: {finding.reason}"))
        return made

    def keep_time(self, rules: Mapping[str, Rule], now_ms: int) -> list[Transition]:
        """What time alone does: ends of silences, escalation, alerts without data or without a rule."""
        made: list[Transition] = []
        self.silences = [silence for silence in self.silences if silence.until_ms > now_ms]
        self.resting = {key: until for key, until in self.resting.items() if until > now_ms}
        for key, alert in sorted(self.open.items()):
            rule = rules.get(key[0])
            if rule is None:
                made.append(self._end(None, alert, now_ms, "the rule was removed"))
            elif now_ms - alert.known_ms > max(NO_DATA_MS, rule.for_):
                made.append(self._end(rule, alert, now_ms, f"no data for {(now_ms - alert.known_ms) // 1000} s"))
            elif alert.state == "firing":
                made += self._unattended(rule, alert, now_ms)
        return made

    def obey(self, command: Command, rules: Mapping[str, Rule]) -> list[Transition]:
        """Carries out what a person asked for. A command about an alert that is not open is counted, not guessed at."""
        if command.kind == "silence":
            self.silences = [s for s in self.silences if s.silence_id != command.command_id]
            self.silences.append(command.silence())
            return []
        if command.kind == "unsilence":
            self.silences = [s for s in self.silences if s.silence_id != command.alert_id]
            return []
        alert = next((a for a in self.open.values() if a.alert_id == command.alert_id), None)
        if alert is None or (command.kind == "ack" and alert.state != "firing"):
            self.ignored_commands += 1
            return []
        rule = rules.get(alert.rule)
        if command.kind == "ack":
            alert.state = "acknowledged"
            return [
                self._transition(rule, alert, "acknowledged", command.at_ms, command.note or alert.reason, command.by)
            ]
        return [self._end(rule, alert, command.at_ms, command.note or "resolved by hand", command.by)]

    def _broken(self, rule: Rule, key: Key, alert: Alert | None, finding: Finding, now_ms: int) -> list[Transition]:
        assert finding.severity is not None
        made: list[Transition] = []
        if alert is None:
            if len(self.open) >= OPEN_ALERTS_MAX:
                self.refused += 1
                return []
            alert = Alert(
                alert_id=alert_id(rule.name, finding.labels, now_ms),
                rule=rule.name,
                labels=finding.labels,
                state="pending",
                severity=finding.severity,
                value=finding.value,
                reason=finding.reason,
                since_ms=now_ms,
                known_ms=now_ms,
            )
            self.open[key] = alert
            if now_ms - alert.since_ms < rule.for_ or self.resting.get(key, 0) > now_ms:
                made.append(self._transition(rule, alert, "pending", now_ms, finding.reason))
        alert.value, alert.reason = finding.value, finding.reason
        rose = rank(finding.severity) > rank(alert.severity)
        if rose:
            alert.severity = finding.severity
        if alert.state == "pending":
            if now_ms - alert.since_ms >= rule.for_ and self.resting.get(key, 0) <= now_ms:
                alert.state, alert.firing_ms = "firing", now_ms
                made.append(self._transition(rule, alert, "firing", now_ms, finding.reason))
        elif rose:
            alert.state = "firing"
            made.append(self._transition(rule, alert, "escalated", now_ms, finding.reason))
        return made

    def _unattended(self, rule: Rule, alert: Alert, now_ms: int) -> list[Transition]:
        """A firing alert that nobody acknowledged, or that nobody could be told of."""
        waited_ms = now_ms - alert.firing_ms
        if rule.escalate_after and not alert.raised and waited_ms >= rule.escalate_after:
            alert.raised = True
            if worse(alert.severity) != alert.severity:
                alert.severity = worse(alert.severity)
                reason = f"not acknowledged for {waited_ms // 1000} s: {alert.reason}"
                return [self._transition(rule, alert, "escalated", now_ms, reason)]
        if rule.notify and not alert.told and not self._silenced(alert):
            return [self._transition(rule, alert, "unsilenced", now_ms, alert.reason)]
        return []

    def _end(self, rule: Rule | None, alert: Alert, now_ms: int, reason: str, by: str = "") -> Transition:
        del self.open[alert.rule, alert.labels]
        if rule is not None and rule.cooldown and alert.firing_ms:
            self.resting[alert.rule, alert.labels] = now_ms + min(rule.cooldown, COOLDOWN_KEPT_MS)
        alert.state = "resolved"
        return self._transition(rule, alert, "resolved", now_ms, reason, by)

    def _transition(
        self, rule: Rule | None, alert: Alert, event: Event, at_ms: int, reason: str, by: str = ""
    ) -> Transition:
        alert.seq += 1
        silenced = self._silenced(alert)
        wanted = rule is None or rule.notify
        if event == "resolved":  # told to those who heard that it fires
            tell = wanted and alert.told
        else:
            tell = wanted and not silenced and event != "pending"
            alert.told = alert.told or (tell and event != "acknowledged")
        return Transition(
            alert_id=alert.alert_id,
            seq=alert.seq,
            at_ms=at_ms,
            rule=alert.rule,
            kind="" if rule is None else rule.kind,
            event=event,
            state=alert.state,
            severity=alert.severity,
            labels=alert.labels if rule is None else tuple(sorted({**rule.labels, **dict(alert.labels)}.items())),
            value=alert.value,
            bound=0.0 if rule is None else rule.bound_of(alert.severity),
            reason=reason,
            since_ms=alert.since_ms,
            action="" if rule is None else rule.action,
            by=by,
            silenced=silenced,
            tell=tell,
        )

    def _silenced(self, alert: Alert) -> bool:
        return any(silence.covers(alert.rule, dict(alert.labels)) for silence in self.silences)


def alert_id(rule: str, labels: LabelSet, since_ms: int) -> str:
    """16 hexadecimal digits: the same whenever the same alert is found again."""
    return hashlib.sha256(repr((rule, labels, since_ms)).encode()).hexdigest()[:16]
