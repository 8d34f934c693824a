"""What a transcript holds once its lines are folded: calls, tools, agents, turns, marks.

In: nothing. Out: plain mutable records. Never: reads a line; that is `reader`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interfaces.importers.claude_code.usage import Usage


@dataclass(slots=True)
class Call:
    """One API response; several lines repeat it."""

    key: str
    session_id: str
    agent_id: str
    is_sidechain: bool
    model: str
    first_ms: int
    last_ms: int
    start_ms: int | None = None  # time of the line the call answers; None: not in the transcript
    parent_is_missing: bool = False  # that line is not in the transcript; the previous one stands for it
    usage: Usage = field(default_factory=Usage)
    request_id: str = ""
    stop_reason: str = ""
    service_tier: str = ""
    speed: str = ""
    declared_cost_usd: float | None = None  # `costUSD` of old versions: the tool's own figure, not ours


@dataclass(slots=True)
class Tool:
    """One tool call and, once it is there, its result."""

    tool_id: str
    session_id: str
    agent_id: str
    is_sidechain: bool
    name: str
    used_ms: int
    input_hash: str = ""
    result_ms: int | None = None
    is_error: bool = False
    error_type: str = ""
    interrupted: bool = False
    subagent_type: str = ""
    subagent_id: str = ""
    subagent_status: str = ""
    subagent_duration_ms: float | None = None


@dataclass(slots=True)
class Agent:
    """The main agent or a sub-agent of one session."""

    agent_id: str
    role: str = ""
    parent_agent_id: str = ""
    spawn_tool_id: str = ""
    first_ms: int | None = None
    last_ms: int | None = None
    previous_ms: int | None = None  # the last message line read: what the next call answers if its parent is absent
    last_call: str = ""  # key of the newest call: the only one that more lines may still belong to


@dataclass(slots=True)
class Turn:
    """One user turn of the main agent, as the tool measured it."""

    uuid: str
    ended_ms: int
    duration_ms: float


@dataclass(slots=True)
class Mark:
    """A moment worth keeping: a compaction, an API error."""

    uuid: str
    event: str  # compaction | microcompaction | api_error
    at_ms: int
    failed: bool = False
    retries: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Session:
    """One swarm: a session with everything that happened in it."""

    session_id: str
    first_ms: int | None = None
    last_ms: int | None = None
    agents: dict[str, Agent] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    permission_modes: set[str] = field(default_factory=set)
    projects: set[str] = field(default_factory=set)
    entrypoints: set[str] = field(default_factory=set)

    def saw(self, at_ms: int) -> None:
        """Stretches the session's span to this moment (epoch ms)."""
        self.first_ms = at_ms if self.first_ms is None else min(self.first_ms, at_ms)
        self.last_ms = at_ms if self.last_ms is None else max(self.last_ms, at_ms)
