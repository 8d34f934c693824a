"""Findings of the named detectors as rows of `anomalies`.

In: findings, the origin of their partition. Out: an Arrow table. Never: an id that a second reading of the log would
not give again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from models.detect.catalogue import SPECS
from models.detect.finding import SCORE_OF, Finding
from models.rows import ANOMALIES
from streams.result_rows import Origin

SPAN_MS_MAX: Final = (1 << 32) - 1  # of the column window_ms: 49 days; longer evidence keeps its end
_VERSIONS: Final = {spec.name: spec.version for spec in SPECS}


def finding_rows(findings: Sequence[Finding], origin: Origin) -> pa.Table | None:
    """Rows of `anomalies`: the window is the span of the evidence, `ver` rests on the record that completed it."""
    if not findings:
        return None
    return pa.Table.from_pylist([_row(finding, origin) for finding in findings], schema=ANOMALIES)


def _row(finding: Finding, origin: Origin) -> dict[str, Any]:
    place = finding.place
    span_ms = min(max(place.at_ms - finding.began[0], 0), SPAN_MS_MAX)
    names = (finding.detector, finding.swarm_id, finding.agent_id, finding.metric, finding.subject)
    return {
        "anomaly_id": origin.row_id(*names, str(place.offset), str(place.idx)),
        "swarm_id": finding.swarm_id,
        "agent_id": finding.agent_id,
        "metric": finding.metric,
        "window_ms": span_ms,
        "window_start": place.at_ms - span_ms,
        "detected_at": place.appended_ms,
        "value": finding.value,
        "expected_low": finding.low,
        "expected_high": finding.high,
        "score": SCORE_OF[finding.severity],
        "severity": finding.severity,
        "direction": "below" if finding.value < finding.low else "above",
        "detector": finding.detector,
        "detector_version": _VERSIONS[finding.detector],
        "reason": finding.reason,
        "unit": finding.unit,
        **origin.fields(place.offset),
        "evidence_from_offset": min(finding.began[1], place.offset),
        "evidence_to_offset": place.offset,
        "evidence": sorted(finding.evidence.items()),
    }
