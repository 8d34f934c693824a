"""Rows of `anomalies` for change points: severity `info`, told in `v_change_points` and nowhere as an alarm.

In: the row of the window that made a change certain, the change. Out: the row of the change. Never: a score: a new
level is not odd, it is new.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from models.anomaly.change_point import Change
from models.anomaly.change_tuning import CHANGE_NAME, CHANGE_SEVERITY, CHANGE_VERSION
from streams.result_rows import Origin


def change_row(row: dict[str, Any], change: Change, origin: Origin) -> dict[str, Any]:
    """The window is the one the change began in; the level before is what was expected, the level after the value."""
    names = (CHANGE_NAME, row["swarm_id"], row["agent_id"], row["metric"], str(row["window_ms"]))
    onset = datetime.fromtimestamp(change.onset_ms / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    moved = "rose" if change.direction == "above" else "fell"
    return row | {
        "anomaly_id": origin.row_id(*names, str(row["window_start"])),
        "window_start": change.onset_ms,
        "value": change.after,
        "expected_low": change.before,
        "expected_high": change.before,
        "score": 0.0,
        "severity": CHANGE_SEVERITY,
        "direction": change.direction,
        "detector": CHANGE_NAME,
        "detector_version": CHANGE_VERSION,
        "reason": (
            f"the level {moved} from {change.before:.6g} to {change.after:.6g} with the window of {onset}, and has "
            f"stayed there for {change.windows} windows"
        ),
        "evidence_from_offset": change.onset_offset,
        "evidence": [("onset", onset), ("windows", str(change.windows))],
    }
