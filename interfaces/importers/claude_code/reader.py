"""Folds transcript lines into sessions, calls, tools and agents; each API response and tool call once.

In: transcript files, main ones before sub-agents' ones. Out: the records of `records`. Never: keeps text content,
counts a response twice because several lines, several files or a resumed session repeat it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from interfaces.importers.claude_code.lines import MAIN_AGENT, SYNTHETIC_MODEL, Line, normalise
from interfaces.importers.claude_code.marks import system_record
from interfaces.importers.claude_code.records import Agent, Call, Mark, Session, Tool, Turn
from interfaces.importers.claude_code.tools import note_result, tool_of
from interfaces.importers.fields import as_mapping, as_number, as_text
from interfaces.importers.issues import Issues
from interfaces.importers.jsonl import read_objects

AGENT_FILE_PREFIX = "agent-"  # `agent-<agentId>.jsonl`, beside its session or in `<session>/subagents/`


class Transcripts:
    """Everything read so far. Call `read` once a file, then hand it to `emission.activities`."""

    def __init__(self, issues: Issues | None = None) -> None:
        self.sessions: dict[str, Session] = {}
        self.calls: dict[str, Call] = {}
        self.tools: dict[str, Tool] = {}
        self.issues = Issues() if issues is None else issues
        self.counts: Counter[str] = Counter()
        self._calls_of_message: dict[str, list[Call]] = {}
        self._lines: dict[str, tuple[int, str]] = {}  # uuid -> its time, and the session that wrote it first
        self._chain: dict[str, str] = {}  # uuid of an unnamed side chain's line -> its agent

    def read(self, path: Path, *, on_bytes: Callable[[int], None] | None = None) -> None:
        """Takes one file in. Whatever cannot be used is in `issues`, with its line."""
        self.counts["files"] += 1
        file_agent = path.stem.removeprefix(AGENT_FILE_PREFIX) if path.name.startswith(AGENT_FILE_PREFIX) else ""
        file_session = path.stem
        if file_agent:
            file_session = path.parent.parent.name if path.parent.name == "subagents" else ""
        session_id = file_session  # lines without an id of their own belong to the last one named
        for number, raw in read_objects(path, self.issues, on_bytes=on_bytes):
            self.counts["lines"] += 1
            line = normalise(raw)
            session_id = line.session_id or session_id
            if session_id:
                self._take(line, session_id, file_agent, str(path), number)
        if file_agent and file_agent in self._agents_of(session_id):
            self._read_role(path, self.sessions[session_id].agents[file_agent])

    def _agents_of(self, session_id: str) -> dict[str, Agent]:
        session = self.sessions.get(session_id)
        return session.agents if session is not None else {}

    def _take(self, line: Line, session_id: str, file_agent: str, path: str, number: int) -> None:
        if not line.type:
            self.counts["other lines"] += 1  # of another file format: prompt histories lie near transcripts
            return
        if line.type in {"user", "assistant"} and not line.is_message:
            self.issues.add(path, number, f"{line.type} line without a message object", kind="no message")
            return
        if line.at_ms is None:
            if line.is_message:
                self.issues.add(path, number, f"{line.type} line without a usable timestamp", kind="no timestamp")
            return
        if line.uuid and self._lines.setdefault(line.uuid, (line.at_ms, session_id))[1] != session_id:
            self.counts["repeated lines"] += 1  # a resumed session copies what it continues
            return
        session = self.sessions.setdefault(session_id, Session(session_id))
        session.saw(line.at_ms)
        self._note_configuration(line, session)
        if not line.is_message:
            self._note_system(line, session)
            return
        agent = self._agent(line, session, file_agent)
        if line.message.get("role", line.type) == "assistant":
            self._assistant(line, session, agent, path, number)
        else:
            self._user(line)
        agent.first_ms = line.at_ms if agent.first_ms is None else min(agent.first_ms, line.at_ms)
        agent.last_ms = line.at_ms if agent.last_ms is None else max(agent.last_ms, line.at_ms)
        agent.previous_ms = line.at_ms

    def _note_configuration(self, line: Line, session: Session) -> None:
        for found, field in (
            (session.versions, "version"),
            (session.permission_modes, "permissionMode"),
            (session.entrypoints, "entrypoint"),
        ):
            if text := as_text(line.raw.get(field)):
                found.add(text)
        if cwd := as_text(line.raw.get("cwd")):
            session.projects.add(cwd.replace("\\", "/").rstrip("/").rpartition("/")[2] or "/")

    def _note_system(self, line: Line, session: Session) -> None:
        record = system_record(line)
        if isinstance(record, Turn):
            session.turns.append(record)
        elif isinstance(record, Mark):
            session.marks.append(record)

    def _agent(self, line: Line, session: Session, file_agent: str) -> Agent:
        agent_id = line.agent_id or file_agent
        if not agent_id and not line.is_sidechain:
            return session.agents.setdefault(MAIN_AGENT, Agent(MAIN_AGENT, role=MAIN_AGENT))
        if not agent_id:
            agent_id = self._chain.get(line.parent_uuid) or f"sidechain-{(line.uuid or 'unnamed')[:8]}"
            if line.uuid:
                self._chain[line.uuid] = agent_id
        agent = session.agents.setdefault(agent_id, Agent(agent_id))
        agent.spawn_tool_id = agent.spawn_tool_id or line.spawn_tool_id
        if not agent.spawn_tool_id and agent.first_ms is None and not line.agent_id:
            agent.spawn_tool_id = self._only_open_spawn(session.session_id)
        return agent

    def _only_open_spawn(self, session_id: str) -> str:
        """The spawning call of an unnamed side chain, if there is no doubt: exactly one is open and unbound."""
        bound = {agent.spawn_tool_id for agent in self._agents_of(session_id).values()}
        open_spawns = [
            tool.tool_id
            for tool in self.tools.values()
            if tool.session_id == session_id
            and tool.subagent_type
            and tool.result_ms is None
            and tool.tool_id not in bound
        ]
        return open_spawns[0] if len(open_spawns) == 1 else ""

    def _assistant(self, line: Line, session: Session, agent: Agent, path: str, number: int) -> None:
        self.counts["assistant lines"] += 1
        if line.model == SYNTHETIC_MODEL:
            self.counts["synthetic lines"] += 1
            if line.raw.get("isApiErrorMessage") is True and line.at_ms is not None:
                session.marks.append(Mark(line.uuid, "api_error", line.at_ms, failed=True))
            return
        call = self._call(line, session, agent)
        is_own = call.session_id == session.session_id and call.agent_id == agent.agent_id
        usage = line.message.get("usage")
        if usage is not None:
            wrong = call.usage.add(usage) if isinstance(usage, dict) else ["usage"]
            for key in wrong:
                self.issues.add(path, number, f"usage: {key} is not a whole number >= 0", kind="wrong usage")
        self._note_call(call, line, is_own=is_own)
        if is_own:
            session.models.update(filter(None, [call.model]))
            agent.last_call = call.key
        for block in line.blocks:
            if block.get("type") == "tool_use":
                self._tool(tool_of(block, line, session.session_id, agent.agent_id))

    def _call(self, line: Line, session: Session, agent: Agent) -> Call:
        """The call of this line: by message id and request id; by message id alone where a request id is absent."""
        assert line.at_ms is not None
        message_id = as_text(line.message.get("id")) or line.uuid or f"{session.session_id}@{line.at_ms}"
        known = self._calls_of_message.setdefault(message_id, [])
        for call in known:
            if call.request_id == line.request_id or not call.request_id or not line.request_id:
                call.request_id = call.request_id or line.request_id
                if call.is_sidechain and not line.is_sidechain and call.session_id == session.session_id:
                    call.agent_id, call.is_sidechain = agent.agent_id, False
                    call.first_ms = call.last_ms = line.at_ms
                    self._start(call, line, agent)
                return call
        call = Call(
            key=f"{message_id}:{line.request_id}" if line.request_id else message_id,
            session_id=session.session_id,
            agent_id=agent.agent_id,
            is_sidechain=line.is_sidechain,
            model=line.model,
            first_ms=line.at_ms,
            last_ms=line.at_ms,
            request_id=line.request_id,
        )
        self._start(call, line, agent)
        known.append(call)
        self.calls[call.key] = call
        return call

    def _start(self, call: Call, line: Line, agent: Agent) -> None:
        """The call starts with the line it answers: its parent, or the agent's previous line.

        An inline line's parent belongs to another agent; other lines name a parent, but it may not be in the file.
        """
        parent = None if line.is_inline else self._lines.get(line.parent_uuid)
        call.start_ms = agent.previous_ms if parent is None else parent[0]
        call.parent_is_missing = parent is None and not line.is_inline

    def _note_call(self, call: Call, line: Line, *, is_own: bool) -> None:
        if is_own and line.at_ms is not None:
            call.first_ms, call.last_ms = min(call.first_ms, line.at_ms), max(call.last_ms, line.at_ms)
        call.model = call.model or line.model
        call.stop_reason = as_text(line.message.get("stop_reason")) or call.stop_reason
        usage = as_mapping(line.message.get("usage"))
        call.service_tier = as_text(usage.get("service_tier")) or call.service_tier
        call.speed = as_text(usage.get("speed")) or call.speed
        cost = as_number(line.raw.get("costUSD"))
        if cost is not None and cost >= 0:
            call.declared_cost_usd = max(cost, call.declared_cost_usd or 0.0)

    def _tool(self, tool: Tool) -> None:
        known = self.tools.get(tool.tool_id)
        if known is None:
            self.tools[tool.tool_id] = tool
        elif known.is_sidechain and not tool.is_sidechain and known.session_id == tool.session_id:
            known.agent_id, known.is_sidechain, known.used_ms = tool.agent_id, False, tool.used_ms

    def _user(self, line: Line) -> None:
        for block in line.blocks:
            if block.get("type") == "tool_result":
                tool = self.tools.get(as_text(block.get("tool_use_id")))
                if tool is None:
                    self.counts["tool results without a call"] += 1
                elif tool.result_ms is None:
                    note_result(tool, block, line)

    def _read_role(self, path: Path, agent: Agent) -> None:
        """Newer versions write `agent-<id>.meta.json` beside the transcript; absent or broken, the role stays open."""
        try:
            meta = json.loads(path.with_suffix(".meta.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        agent.role = agent.role or as_text(as_mapping(meta).get("agentType"))
