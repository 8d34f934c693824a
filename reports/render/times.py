"""Times as people and machines read them, always UTC.

In: epoch milliseconds. Out: text. Never: a local time zone.
"""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at_ms: int | None) -> str | None:
    """2026-01-31T12:00:00.000Z; None stays None."""
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def short(at_ms: int | None) -> str:
    """2026-01-31 12:00:00 UTC."""
    if at_ms is None:
        return "no events"
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
