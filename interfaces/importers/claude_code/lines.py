"""One line of a transcript, with the differences between versions and places of writing removed.

In: a decoded transcript line. Out: `Line`, the same shape for main, side-chain and inline progress lines.
Never: keeps text content; trusts a type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interfaces.importers.fields import as_mapping, as_text, as_time_ms

MAIN_AGENT = "main"
SYNTHETIC_MODEL = "<synthetic>"  # lines the tool writes itself in a model's place: not an API call, not billable


@dataclass(frozen=True, slots=True)
class Line:
    """What the importer needs of a line. '' and None mean: not in the line."""

    type: str  # user | assistant | system | progress | summary | ...
    at_ms: int | None
    uuid: str
    parent_uuid: str
    session_id: str
    agent_id: str  # '' for a line of the main agent, or of a side chain that does not name its agent
    is_sidechain: bool
    is_inline: bool  # a sub-agent's message that stands as progress in its parent's file
    spawn_tool_id: str  # inline lines: the tool call that started the sub-agent
    request_id: str
    message: Mapping[str, Any]  # {} when the line carries no message
    raw: Mapping[str, Any]

    @property
    def is_message(self) -> bool:
        """Whether this is something a user or a model said."""
        return bool(self.message) and self.type in {"user", "assistant"}

    @property
    def model(self) -> str:
        """The model that answered; '' on lines of users."""
        return as_text(self.message.get("model"))

    @property
    def blocks(self) -> list[Mapping[str, Any]]:
        """The content blocks that are objects; a content that is plain text has none."""
        content = self.message.get("content")
        return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def normalise(raw: Mapping[str, Any]) -> Line:
    """Brings a decoded line into the common shape."""
    data = as_mapping(raw.get("data"))
    inner = as_mapping(data.get("message"))
    if raw.get("type") == "progress" and as_mapping(inner.get("message")):
        return _line(raw, inner, agent_id=as_text(data.get("agentId")), is_inline=True)
    return _line(raw, raw, agent_id=as_text(raw.get("agentId")), is_inline=False)


def _line(raw: Mapping[str, Any], inner: Mapping[str, Any], *, agent_id: str, is_inline: bool) -> Line:
    at_ms = as_time_ms(inner.get("timestamp"))
    message = as_mapping(inner.get("message"))
    return Line(
        type=as_text(inner.get("type")),
        at_ms=as_time_ms(raw.get("timestamp")) if at_ms is None else at_ms,
        uuid=as_text(raw.get("uuid")),
        parent_uuid=as_text(raw.get("parentUuid")),
        session_id=as_text(raw.get("sessionId")),
        agent_id=agent_id,
        is_sidechain=raw.get("isSidechain") is True or bool(agent_id),
        is_inline=is_inline,
        spawn_tool_id=as_text(raw.get("parentToolUseID")) if is_inline else "",
        request_id=as_text(inner.get("requestId")) or as_text(raw.get("requestId")),
        message=message,
        raw=raw,
    )
