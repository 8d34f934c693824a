"""Tool calls: what a `tool_use` block starts and a `tool_result` block ends.

In: content blocks and their lines. Out: `Tool` records. Never: keeps arguments or output
(only a digest and a class of error).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interfaces.importers.claude_code.lines import Line
from interfaces.importers.claude_code.records import Tool
from interfaces.importers.fields import as_mapping, as_number, as_text
from interfaces.importers.identity import value_digest

TOOL_ERROR = "tool_error"  # an error whose text tells no more
ERROR_TEXT_MAX = 4_096  # characters looked at for the class of an error; the phrases stand in the first line or two

# Phrases Claude Code itself writes into a failed result -> class of error; the first that occurs decides.
_ERROR_PHRASES = (
    ("doesn't want to proceed", "user_rejected"),
    ("doesn't want to take this action", "user_rejected"),
    ("user rejected", "user_rejected"),
    ("interrupted by user", "interrupted"),
    ("inputvalidationerror", "invalid_input"),
    ("no such tool available", "unknown_tool"),
    ("sibling tool call errored", "sibling_failed"),
    ("parallel tool call", "sibling_failed"),
    ("timed out", "timeout"),
    ("has been denied", "permission_denied"),
    ("requested permissions", "permission_denied"),
    ("<tool_use_error>", "invalid_use"),
    ("exit code", "exit_code"),
)


def tool_of(block: Mapping[str, Any], line: Line, session_id: str, agent_id: str) -> Tool:
    """The call a `tool_use` block starts."""
    assert line.at_ms is not None
    arguments = block.get("input")
    kept = as_mapping(arguments)
    return Tool(
        tool_id=as_text(block.get("id")) or f"{line.uuid}:{as_text(block.get('name'))}",
        session_id=session_id,
        agent_id=agent_id,
        is_sidechain=line.is_sidechain,
        name=as_text(block.get("name")) or "unnamed",
        used_ms=line.at_ms,
        input_hash=value_digest(arguments) if arguments is not None else "",
        subagent_type=as_text(kept.get("subagent_type")) or as_text(block.get("subagent_type")),
    )


def note_result(tool: Tool, block: Mapping[str, Any], line: Line) -> None:
    """Ends `tool` with its result."""
    tool.result_ms = line.at_ms
    tool.is_error = block.get("is_error") is True
    result = line.raw.get("toolUseResult")
    details = as_mapping(result)
    tool.interrupted = details.get("interrupted") is True
    tool.subagent_id = as_text(details.get("agentId"))
    tool.subagent_status = as_text(details.get("status"))
    tool.subagent_duration_ms = as_number(details.get("totalDurationMs"))
    if tool.is_error:
        tool.error_type = "interrupted" if tool.interrupted else _error_type(result, block.get("content"))


def _error_type(result: Any, content: Any) -> str:
    texts = [result] if isinstance(result, str) else []
    if isinstance(content, str):
        texts.append(content)
    elif isinstance(content, list):
        texts.extend(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    text = "\n".join(part[:ERROR_TEXT_MAX] for part in texts).lower()
    return next((error for phrase, error in _ERROR_PHRASES if phrase in text), TOOL_ERROR)
