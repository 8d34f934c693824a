"""From an anomaly row and a policy to a verdict: advised, observed, or withheld, and why.

In: rows of `anomalies` as dicts, a policy. Out: rows of `advisories`. Never: a clock: an advisory expires a while after
the record that caused it was appended, so history that is read again proposes nothing that is still valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from models.control.policy import Policy
from models.detect.catalogue import NAMES


def verdicts(anomalies: Iterable[Mapping[str, Any]], policy: Policy) -> Iterator[dict[str, Any]]:
    """One row of `advisories` an anomaly of a named detector, in order; the scores of series have no action."""
    for row in anomalies:
        if row["detector"] in NAMES:
            yield _verdict(row, policy)


def _verdict(row: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    rule = policy.rule_for(row["detector"], row["swarm_id"])
    verdict, why, action, expires_at = "withheld", "no rule of the policy is about it", "", row["detected_at"]
    if rule is not None:
        action = rule.proposes
        expires_at = row["detected_at"] + timedelta(milliseconds=rule.expires_after)
        if rule.mode == "off":
            why = "its rule is off"
        elif not rule.allows(row["severity"]):
            why = f"severity {row['severity']} is below {rule.min_severity}"
        else:
            verdict, why = (
                ("advised", "its rule advises") if rule.mode == "advise" else ("observed", "its rule observes")
            )
    return {
        "advisory_id": row["anomaly_id"],
        "verdict": verdict,
        "why": why,
        "action": action,
        "swarm_id": row["swarm_id"],
        "agent_id": row["agent_id"],
        "at": row["detected_at"],
        "expires_at": expires_at,
        **{
            name: row[name]
            for name in (
                *("detector", "detector_version", "severity", "reason", "metric", "value", "expected_high", "unit"),
                *("evidence", "log_id", "topic", "partition", "evidence_from_offset", "evidence_to_offset"),
                *("fold_version", "ver"),
            )
        },
    }
