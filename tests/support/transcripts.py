"""Writes transcripts the way Claude Code does, line by line, with text in all the places where text stands.

In: what happened. Out: lines and files. Never: the importer's own code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SECRET = "the-users-own-words"  # stands in every text; must never be seen in an event
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

Lines = list[dict[str, Any]]


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at_ms(seconds: float) -> int:
    return round((START + timedelta(seconds=seconds)).timestamp() * 1000)


class Author:
    """One writer of lines: chains each line to the one before, like the tool."""

    def __init__(self, session: str, *, agent: str = "", sidechain: bool = False) -> None:
        self.session = session
        self.lines: Lines = []
        self._extra: dict[str, Any] = {"agentId": agent} if agent else {}
        self._sidechain = sidechain or bool(agent)
        self._prefix = f"{session}/{agent or ('side' if sidechain else 'main')}"

    def line(self, kind: str, seconds: float, **fields: Any) -> dict[str, Any]:
        line = {
            "parentUuid": self.lines[-1]["uuid"] if self.lines else None,
            "isSidechain": self._sidechain,
            "userType": "external",
            "cwd": f"/home/{SECRET}/my-project",
            "sessionId": self.session,
            "version": "2.1.40",
            "gitBranch": SECRET,
            "type": kind,
            "uuid": f"{self._prefix}-{len(self.lines)}",
            "timestamp": at(seconds),
            **self._extra,
            **fields,
        }
        self.lines.append(line)
        return line

    def user(self, seconds: float, content: Any = SECRET, **fields: Any) -> dict[str, Any]:
        return self.line("user", seconds, message={"role": "user", "content": content}, **fields)

    def assistant(
        self,
        seconds: float,
        message_id: str,
        *blocks: dict[str, Any],
        usage: Any = None,
        model: str = "claude-opus-4-6",
        request_id: str | None = "",
        stop_reason: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        message: dict[str, Any] = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": list(blocks) or [text()],
            "stop_reason": stop_reason,
        }
        if usage is not None:
            message["usage"] = usage
        if request_id is not None:
            fields["requestId"] = request_id or f"req_{message_id}"
        return self.line("assistant", seconds, message=message, **fields)

    def result(
        self, seconds: float, tool_id: str, *, content: Any = SECRET, is_error: bool | None = None, result: Any = None
    ) -> dict[str, Any]:
        block = {"tool_use_id": tool_id, "type": "tool_result", "content": content}
        if is_error is not None:
            block["is_error"] = is_error
        return self.user(seconds, [block], **({"toolUseResult": result} if result is not None else {}))


def text() -> dict[str, Any]:
    return {"type": "text", "text": SECRET}


def thinking() -> dict[str, Any]:
    return {"type": "thinking", "thinking": SECRET, "signature": SECRET}


def tool_use(tool_id: str, name: str = "Bash", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool_id, "name": name, "input": {"command": SECRET, **arguments}}


def usage(read: int = 0, write: int = 0, output: int = 0, uncached: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "output_tokens": output,
        "service_tier": "standard",
        **more,
    }


def write(path: Path, lines: Sequence[dict[str, Any]], *, tail: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + tail)
    return path
