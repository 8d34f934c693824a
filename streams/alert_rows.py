"""Transitions and outcomes as rows.

In: transitions, outcomes of messages. Out: Arrow tables of models.rows.ALERT_TABLES. Never: I/O.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from models.alerts.machine import Transition
from models.alerts.outbox import Outcome
from models.rows import ALERT_MESSAGES, ALERTS


def alert_rows(transitions: Iterable[Transition]) -> pa.Table:
    """One row a transition."""
    return pa.Table.from_pylist([_alert(t) for t in transitions], schema=ALERTS)


def message_rows(outcomes: Iterable[Outcome]) -> pa.Table:
    """One row a message and channel."""
    rows = [
        {
            "message_key": o.key,
            "channel": o.channel,
            "status": o.status,
            "rule": o.rule,
            "event": o.event,
            "severity": o.severity,
            "at": o.at_ms,
            "attempts": o.attempts,
            "problem": o.problem,
            "alert_ids": list(o.alert_ids),
            "ver": o.at_ms,
        }
        for o in outcomes
    ]
    return pa.Table.from_pylist(rows, schema=ALERT_MESSAGES)


def _alert(t: Transition) -> dict[str, object]:
    labels = dict(t.labels)
    return {
        "alert_id": t.alert_id,
        "seq": t.seq,
        "at": t.at_ms,
        "rule": t.rule,
        "kind": t.kind,
        "event": t.event,
        "state": t.state,
        "severity": t.severity,
        "swarm_id": labels.get("swarm", ""),
        "agent_id": labels.get("agent", ""),
        "labels": sorted(labels.items()),
        "value": t.value,
        "bound": t.bound,
        "reason": t.reason,
        "action": t.action,
        "since": t.since_ms,
        "by": t.by,
        "silenced": int(t.silenced),
        "ver": t.seq,
    }
