"""Rules and samples for tests of alerts: give what matters, the rest is plain and valid.

In: fields. Out: rule sets, samples, findings. Never: a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from models.alerts.condition import Finding
from models.alerts.machine import Transition
from models.alerts.outbox import Outcome
from models.alerts.rule_file import RuleSet, parse
from models.alerts.sample import AGENT, SWARM, Sample, single

T0_MS: Final = 1_772_366_400_000  # 2026-03-01T12:00:00Z, on every window edge
SIZES_MS: Final = (10_000, 60_000)


def rules(*given: Mapping[str, Any]) -> RuleSet:
    """Rules of which only some fields are given; a threshold on error_rate otherwise."""
    return parse(yaml.safe_dump({"rules": [rule(**fields) for fields in given]}, sort_keys=False), where="test.yaml")


def rule(**fields: Any) -> dict[str, Any]:
    """The mapping of one rule."""
    plain: dict[str, Any] = {"name": "errors", "kind": "threshold", "description": "d", "action": "a"}
    kind = fields.get("kind", "threshold")
    if kind != "composite":
        plain |= {"metric": "error_rate", "window": "10s"}
    if kind == "threshold":
        plain |= {"aggregation": "mean"}
        if not {"above", "below", "levels"} & set(fields):
            plain |= {"above": 0.1}
    return {**plain, **fields}


def window(
    value: float,
    end_ms: int,
    *,
    metric: str = "error_rate",
    swarm: str = "s1",
    agent: str | None = None,
    size_ms: int = 10_000,
    events: float = 10.0,
    ver: int = 1,
    part: str = "0",
    closed: bool = True,
    **percentiles: float,
) -> Sample:
    """A window of the stream whose events all have this value."""
    labels = {"swarm": swarm} if agent is None else {"swarm": swarm, "agent": agent}
    start_ms = end_ms - size_ms
    found = tuple(percentiles.get(name, value) for name in ("p50", "p90", "p95", "p99"))
    return Sample(
        source=SWARM if agent is None else AGENT,
        metric=metric,
        labels=labels,
        start_ms=start_ms,
        end_ms=end_ms,
        identity=f"{labels}|{metric}|{size_ms}|{start_ms}|{part}",
        ver=ver,
        events=events,
        sum=value * events,
        min=value,
        max=value,
        last=value,
        last_ms=end_ms - 1,
        percentiles=found,
        final=closed,
        cut=f"log/swarm.metrics[{part}]",
    )


def point(source: str, metric: str, at_ms: int, identity: str, value: float = 1.0, /, **labels: str) -> Sample:
    """One activity or anomaly."""
    return single(source, metric, {"swarm": "s1", "agent": "a1", **labels}, at_ms, identity, value=value)


def finding(severity: str | None, value: float = 1.0, **labels: str) -> Finding:
    """What a rule found for some labels (swarm s1 unless given)."""
    return Finding(tuple(sorted((labels or {"swarm": "s1"}).items())), value, severity, "because")


def transition(**changes: Any) -> Transition:
    """One transition of a plain alert."""
    plain: dict[str, Any] = {
        "alert_id": "aa",
        "seq": 1,
        "at_ms": T0_MS,
        "rule": "errors",
        "kind": "threshold",
        "event": "firing",
        "state": "firing",
        "severity": "warning",
        "labels": (("agent", "a1"), ("swarm", "s1")),
        "value": 0.5,
        "bound": 0.1,
        "reason": "because",
        "since_ms": T0_MS,
        "action": "look",
    }
    return Transition(**{**plain, **changes})


def outcome(**changes: Any) -> Outcome:
    """One message that was delivered."""
    plain: dict[str, Any] = {
        "key": "k",
        "channel": "slack",
        "status": "delivered",
        "rule": "errors",
        "event": "firing",
        "severity": "warning",
        "at_ms": T0_MS,
        "attempts": 1,
        "problem": "",
        "alert_ids": ("aa",),
    }
    return Outcome(**{**plain, **changes})
