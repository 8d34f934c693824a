"""The demo's agent processes: started together, listened to, ended by their own pids.

In: a `DemoPlan`. Out: the newest line of each agent, and its final counts. Never: leaves a process behind.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interfaces.demo.plan import AgentPlan, DemoPlan

ROOT = Path(__file__).resolve().parents[2]
END_GRACE_S = 20.0  # an agent ends its task, closes its publisher (8 s at most) and exits
TERMINATE_GRACE_S = 10.0


@dataclass(slots=True)
class AgentState:
    """What is known of one agent."""

    plan: AgentPlan
    line: dict[str, Any] = field(default_factory=dict)
    final: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """swarm/agent, as it is shown."""
        return f"{self.plan.swarm_id}/{self.plan.agent_id}"


class Swarm:
    """The running agents."""

    def __init__(self, plan: DemoPlan) -> None:
        self.plan = plan
        self.agents = [AgentState(agent) for agent in plan.agents]
        self._processes: list[asyncio.subprocess.Process] = []
        self._listeners: list[asyncio.Task[None]] = []

    async def start(self, log_dir: Path) -> None:
        """Starts every agent; what one writes to stderr goes to `<log_dir>/<swarm>-<agent>.log`."""
        log_dir.mkdir(parents=True, exist_ok=True)
        for state in self.agents:
            log_file = log_dir / f"{state.plan.swarm_id}-{state.plan.agent_id}.log"
            with log_file.open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "interfaces.demo.agent", state.plan.to_json()),
                    cwd=ROOT,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is ours to pass on, once
                )
            self._processes.append(process)
            self._listeners.append(asyncio.create_task(self._listen(state, process, log_file)))

    async def ended(self) -> None:
        """Returns when every agent has ended by itself; those that do not are ended."""
        _, late = await asyncio.wait(self._listeners, timeout=END_GRACE_S)
        if late:
            await self.stop()

    async def stop(self) -> None:
        """Ends what still runs, gently first."""
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        if not self._listeners:
            return
        _, late = await asyncio.wait(self._listeners, timeout=TERMINATE_GRACE_S)
        for process in self._processes:
            if process.returncode is None:
                process.kill()
        if late:
            await asyncio.wait(late)

    def failures(self) -> list[str]:
        """One line for each agent that did not end well."""
        return [f"{state.name}: {state.error}" for state in self.agents if state.error]

    async def _listen(self, state: AgentState, process: asyncio.subprocess.Process, log_file: Path) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # a library printed something
            state.line = told
            if told.get("final"):
                state.final = told
        state.exit_code = await process.wait()
        if state.exit_code != 0 or not state.final:
            said = log_file.read_text(errors="replace").strip().splitlines()
            state.error = f"exit code {state.exit_code}: {said[-1] if said else 'no word'} (see {log_file})"


@asynccontextmanager
async def running(plan: DemoPlan, log_dir: Path) -> AsyncIterator[Swarm]:
    """The swarm for the block; whatever ends the block ends the swarm."""
    swarm = Swarm(plan)
    try:
        await swarm.start(log_dir)
        yield swarm
    finally:
        await swarm.stop()
