"""System lines: turns, compactions, API errors.

In: one system line. Out: its record, or None for lines that carry no measurement. Never: keeps an error's text.
"""

from __future__ import annotations

from interfaces.importers.claude_code.lines import Line
from interfaces.importers.claude_code.records import Mark, Turn
from interfaces.importers.fields import as_count, as_mapping, as_number, as_text

_COMPACTIONS = {"compact_boundary": "compactMetadata", "microcompact_boundary": "microcompactMetadata"}


def system_record(line: Line) -> Turn | Mark | None:
    """The turn or mark a system line stands for."""
    if line.type != "system" or line.at_ms is None:
        return None
    subtype = as_text(line.raw.get("subtype"))
    uuid = line.uuid or f"{subtype}@{line.at_ms}"
    if subtype == "turn_duration":
        duration_ms = as_number(line.raw.get("durationMs"))
        return Turn(uuid, line.at_ms, duration_ms) if duration_ms is not None and duration_ms >= 0 else None
    if subtype in _COMPACTIONS:
        meta = as_mapping(line.raw.get(_COMPACTIONS[subtype]))
        tags = {"trigger": as_text(meta.get("trigger"))}
        for key, name in (("preTokens", "before_tokens"), ("tokensSaved", "saved_tokens")):
            count = as_count(meta.get(key))
            tags[name] = "" if count is None else str(count)
        event = "compaction" if subtype == "compact_boundary" else "microcompaction"
        return Mark(uuid, event, line.at_ms, tags={key: text for key, text in tags.items() if text})
    if subtype == "api_error":
        status = as_count(as_mapping(line.raw.get("error")).get("status"))
        tags = {"status_code": str(status)} if status is not None else {}
        return Mark(
            uuid,
            "api_error",
            line.at_ms,
            failed=True,
            retries=as_count(line.raw.get("retryAttempt")),
            tags=tags,
        )
    return None
