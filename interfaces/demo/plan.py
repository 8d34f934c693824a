"""What the demo runs: two configurations of one swarm, the same tasks, and one agent that will misbehave.

In: a duration and a moment to start. Out: `DemoPlan`, `AgentPlan` (which travels to its process as JSON).
Never: a result; what the numbers will be is measured.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal
from uuid import uuid4

Role = Literal["packer", "checker"]
Compressor = Literal["lzma", "zlib"]

PACKERS: Final = 3  # of each configuration; with two checkers that is eight agents on what may be two cores
PACKER_TASKS_PER_S: Final = 2.5  # about half a core for all six packers: the machine stays unsaturated
CHECKER_TASKS_PER_S: Final = 1.5  # each starts a sub-process of some 20 ms
FAULT_AT_RATIO: Final = 0.55  # of the duration: the detectors need some 20 closed windows of normal work before it
FAULT_REPEATS: Final = 8  # the misbehaving agent does each step of its work so many times
START_DELAY_S: Final = 4.0  # until eight Python processes are up and warm on two busy cores; then all start together
# Windows of one second give a 40 s run enough closed windows; the lateness covers a batch's age many times over.
WINDOWS: Final = "1s,10s"
ALLOWED_LATENESS_MS: Final = 1_500
FLUSH_INTERVAL_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to set up the swarm. Both read, parse and store the same files; only the compressor differs."""

    swarm_id: str
    compressor: Compressor
    level: int


CONFIGURATIONS: Final = (
    Configuration("demo-lzma", "lzma", 4),
    Configuration("demo-zlib", "zlib", 6),
)
FAULTY: Final = ("demo-zlib", "packer-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPlan:
    """Everything one agent process needs. Times are epoch milliseconds."""

    bootstrap: str
    topic_prefix: str
    swarm_id: str
    agent_id: str
    run_id: str
    role: Role
    compressor: Compressor
    level: int
    index: int  # of this packer among the packers
    work_dir: str
    spool_dir: str
    start_at_ms: int
    end_at_ms: int
    fault_at_ms: int | None = None  # from here on the agent misbehaves
    parent_pid: int = 0  # the agent ends when this process is gone

    def to_json(self) -> str:
        """The plan as it travels to the agent's process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> AgentPlan:
        """The plan `to_json` wrote."""
        return AgentPlan(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """The whole run."""

    start_at_ms: int
    end_at_ms: int
    fault_at_ms: int
    agents: tuple[AgentPlan, ...]


def make_plan(
    *, bootstrap: str, topic_prefix: str, work_dir: str, now_ms: int, duration_s: float, parent_pid: int
) -> DemoPlan:
    """The agents of both configurations."""
    start_at_ms = now_ms + int(START_DELAY_S * 1000)
    end_at_ms = start_at_ms + int(duration_s * 1000)
    fault_at_ms = start_at_ms + int(duration_s * FAULT_AT_RATIO * 1000)
    agents: list[AgentPlan] = []
    for configuration in CONFIGURATIONS:
        run_id = uuid4().hex
        names: list[tuple[str, Role]] = [("checker", "checker")]
        names += [(f"packer-{i + 1}", "packer") for i in range(PACKERS)]
        for agent_id, role in names:
            faulty = (configuration.swarm_id, agent_id) == FAULTY
            agents.append(
                AgentPlan(
                    bootstrap=bootstrap,
                    topic_prefix=topic_prefix,
                    swarm_id=configuration.swarm_id,
                    agent_id=agent_id,
                    run_id=run_id,
                    role=role,
                    compressor=configuration.compressor,
                    level=configuration.level,
                    index=0 if role == "checker" else int(agent_id.rpartition("-")[2]) - 1,
                    work_dir=f"{work_dir}/{configuration.swarm_id}",
                    spool_dir=f"{work_dir}/spool",
                    start_at_ms=start_at_ms,
                    end_at_ms=end_at_ms,
                    fault_at_ms=fault_at_ms if faulty else None,
                    parent_pid=parent_pid,
                )
            )
    return DemoPlan(start_at_ms=start_at_ms, end_at_ms=end_at_ms, fault_at_ms=fault_at_ms, agents=tuple(agents))
