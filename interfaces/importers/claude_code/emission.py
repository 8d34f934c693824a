"""Turns what was read from transcripts into activity events.

In: `Transcripts`, the moment of the import. Out: activity dicts, valid ActivityEvents. Never: a cost (the stream prices
tokens), a duration that was not measured, a final state for something that may still be going on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from interfaces.importers.claude_code.lines import MAIN_AGENT
from interfaces.importers.claude_code.reader import Transcripts
from interfaces.importers.claude_code.records import Agent, Call, Mark, Session, Tool, Turn
from interfaces.importers.identity import event_id, text_digest

QUIET_MS = 3_600_000  # a session silent for an hour is over; a younger one may still grow by the line being written
SOURCE = "claude-code"
_PREFIX = "cc"  # of every id made here

Event = dict[str, Any]


def activities(read: Transcripts, *, now_ms: int | None, swarm: str = "") -> Iterator[Event]:
    """All activities, session by session. `now_ms` None: everything read is over.

    `swarm`: one swarm for all sessions; each session stays apart as its run.
    """
    emitter = _Emitter(read, now_ms=now_ms, swarm=swarm)
    for session_id in sorted(read.sessions):
        if read.sessions[session_id].agents:  # else there is no message in it: nobody did anything
            yield from emitter.session(read.sessions[session_id])


class _Emitter:
    def __init__(self, read: Transcripts, *, now_ms: int | None, swarm: str) -> None:
        self._read = read
        self._now_ms = now_ms
        self._swarm = swarm
        self._id_parts = (_PREFIX, text_digest(swarm)) if swarm else (_PREFIX,)
        self._calls: dict[str, list[Call]] = {}
        self._tools: dict[str, list[Tool]] = {}
        self._spawned_by: dict[tuple[str, str], Tool] = {}  # (session, sub-agent) -> the call that started it
        for call in read.calls.values():
            self._calls.setdefault(call.session_id, []).append(call)
        for tool in read.tools.values():
            self._tools.setdefault(tool.session_id, []).append(tool)
            if tool.subagent_id:
                self._spawned_by.setdefault((tool.session_id, tool.subagent_id), tool)

    def session(self, session: Session) -> Iterator[Event]:
        calls = self._calls.get(session.session_id, [])
        tools = self._tools.get(session.session_id, [])
        settled = self._now_ms is None or (session.last_ms or 0) < self._now_ms - QUIET_MS
        yield self._session(session, settled=settled)
        for turn in session.turns:
            yield self._turn(session, turn)
        for mark in session.marks:
            yield self._mark(session, mark)
        calls_of = Counter(call.agent_id for call in calls)
        for agent in session.agents.values():
            if agent.agent_id != MAIN_AGENT and calls_of[agent.agent_id]:
                yield self._sub_agent(session, agent, settled=settled)
        for call in calls:
            if settled or call.stop_reason or session.agents[call.agent_id].last_call != call.key:
                yield self._call(session, call)
            else:
                self._read.counts["calls still being written"] += 1
        for tool in tools:
            if tool.result_ms is not None:
                yield self._tool(session, tool)
            elif settled:
                yield self._unanswered(session, tool)
            else:
                self._read.counts["tool calls still running"] += 1

    def _base(self, session: Session, agent_id: str, kind: str, *ids: str) -> Event:
        agent = session.agents.get(agent_id)
        role, parent = self._role_and_parent(session, agent) if agent is not None else ("", "")
        event: Event = {
            "id": event_id(*self._id_parts, *ids),
            "swarm_id": self._swarm or session.session_id,
            "run_id": session.session_id,
            "agent_id": agent_id,
            "kind": kind,
            "provenance": "measured",
        }
        if role:
            event["role"] = role
        if parent:
            event["parent_agent_id"] = parent
        return event

    def _role_and_parent(self, session: Session, agent: Agent) -> tuple[str, str]:
        if agent.agent_id == MAIN_AGENT:
            return MAIN_AGENT, ""
        spawn = self._read.tools.get(agent.spawn_tool_id) or self._spawned_by.get((session.session_id, agent.agent_id))
        if spawn is None or spawn.agent_id == agent.agent_id:
            return agent.role, MAIN_AGENT
        return agent.role or spawn.subagent_type, spawn.agent_id

    def _session(self, session: Session, *, settled: bool) -> Event:
        assert session.first_ms is not None
        assert session.last_ms is not None
        sub_agents = len(session.agents) - (MAIN_AGENT in session.agents)
        tags = {
            "source": SOURCE,
            "version": _listed(session.versions),
            "models": _listed(session.models),
            "permission_modes": _listed(session.permission_modes),
            "entrypoint": _listed(session.entrypoints),
            "project": _listed(session.projects),
            "sub_agents": str(sub_agents),
        }
        event = self._base(session, MAIN_AGENT, "session", "session", session.session_id)
        event |= {
            "role": MAIN_AGENT,
            "status": "completed" if settled else "running",
            "started_at": session.first_ms,
            "tags": {key: text for key, text in tags.items() if text},
        }
        if settled:
            event |= {"ended_at": session.last_ms, "duration_ms": session.last_ms - session.first_ms}
        return event

    def _turn(self, session: Session, turn: Turn) -> Event:
        event = self._base(session, MAIN_AGENT, "phase", "turn", turn.uuid)
        return event | {
            "phase": "turn",
            "status": "completed",
            "started_at": turn.ended_ms - round(turn.duration_ms),
            "ended_at": turn.ended_ms,
            "duration_ms": turn.duration_ms,
        }

    def _mark(self, session: Session, mark: Mark) -> Event:
        event = self._base(session, MAIN_AGENT, "lifecycle", mark.event, mark.uuid)
        event |= {
            "status": "failed" if mark.failed else "completed",
            "started_at": mark.at_ms,
            "ended_at": mark.at_ms,
            "tags": {"event": mark.event, **mark.tags},
        }
        if mark.failed:
            event["error_type"] = mark.event
        if mark.retries is not None:
            event["retries"] = mark.retries
        return event

    def _sub_agent(self, session: Session, agent: Agent, *, settled: bool) -> Event:
        assert agent.first_ms is not None
        assert agent.last_ms is not None
        spawn = self._read.tools.get(agent.spawn_tool_id) or self._spawned_by.get((session.session_id, agent.agent_id))
        ended = spawn is not None and spawn.result_ms is not None and spawn.subagent_status != "async_launched"
        event = self._base(session, agent.agent_id, "task", "agent", session.session_id, agent.agent_id)
        event |= {"workflow": "sub_agent", "started_at": agent.first_ms}
        if not settled and not ended:
            return event | {"status": "running"}
        if spawn is not None and spawn.result_ms is None:
            return event | {"status": "blocked", "error_type": "no_result"}
        failed = spawn is not None and spawn.is_error
        event |= {
            "status": "failed" if failed else "completed",
            "ended_at": agent.last_ms,
            "duration_ms": agent.last_ms - agent.first_ms,
        }
        if failed and spawn is not None:
            event["error_type"] = spawn.error_type
        return event

    def _call(self, session: Session, call: Call) -> Event:
        event = self._base(session, call.agent_id, "model_call", "call", call.key)
        event |= {"status": "completed", "model": call.model, **call.usage.token_counts()}
        start_ms = call.start_ms if call.start_ms is not None and call.start_ms <= call.last_ms else None
        event |= {"started_at": call.first_ms if start_ms is None else start_ms, "ended_at": call.last_ms}
        tags = {"stop_reason": call.stop_reason, "speed": call.speed if call.speed != "standard" else ""}
        if start_ms is not None:
            event["duration_ms"] = call.last_ms - start_ms
            tags["duration_from"] = "previous_line" if call.parent_is_missing else ""
        tags["service_tier"] = call.service_tier if call.service_tier != "standard" else ""
        if call.declared_cost_usd is not None:
            tags["declared_cost_usd"] = repr(call.declared_cost_usd)
        if kept := {key: text for key, text in tags.items() if text}:
            event["tags"] = kept
        return event

    def _tool(self, session: Session, tool: Tool) -> Event:
        assert tool.result_ms is not None
        event = self._base(session, tool.agent_id, "tool_call", "tool", tool.tool_id)
        tags = {"duration_includes": "approval", "sub_agent": tool.subagent_id}
        event |= {
            "status": "failed" if tool.is_error else "cancelled" if tool.interrupted else "completed",
            "tool": tool.name,
            "started_at": tool.used_ms,
            "ended_at": max(tool.result_ms, tool.used_ms),
            "success": not tool.is_error,
            "error_type": tool.error_type,
            "input_hash": tool.input_hash,
            "tags": {key: text for key, text in tags.items() if text},
        }
        if tool.result_ms >= tool.used_ms:
            event["duration_ms"] = tool.result_ms - tool.used_ms
        return event

    def _unanswered(self, session: Session, tool: Tool) -> Event:
        """A tool call without a result is no measured call; it stays visible as what it is.

        The status is not final and the id is the call's own: should the result come after all, it takes this place.
        """
        event = self._base(session, tool.agent_id, "lifecycle", "tool", tool.tool_id)
        return event | {
            "status": "blocked",
            "tool": tool.name,
            "started_at": tool.used_ms,
            "error_type": "no_result",
            "tags": {"event": "tool_call_unanswered"},
        }


def _listed(texts: set[str]) -> str:
    return ",".join(sorted(texts))[:1024]
