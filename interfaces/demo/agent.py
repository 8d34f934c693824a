"""One agent process of the demo: `python -m interfaces.demo.agent '<plan as JSON>'`.

In: an `AgentPlan`. Out: events through `murmur.Publisher`; one line of JSON a second on stdout, the last one with
the publisher's own counts. Never: outlives its plan, SIGTERM, or the process that started it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psutil

from interfaces.demo import work
from interfaces.demo.plan import CHECKER_TASKS_PER_S, FAULT_REPEATS, PACKER_TASKS_PER_S, PACKERS, AgentPlan
from murmur import Publisher
from murmur.clock import now_ms
from murmur.contexts import Task, ToolCall

SAMPLE_EVERY_S = 0.25  # four readings a window of one second
REPORT_EVERY_S = 1.0
CLOSE_TIMEOUT_S = 8.0
WARM_UP_BUNDLES = 6
LATE_S_MAX = 1.0  # an agent further behind its pace skips, it does not rush


class Agent:
    """Works at a steady pace and measures itself."""

    def __init__(self, plan: AgentPlan) -> None:
        self.plan = plan
        self.stopping = False
        self.tasks = self.failed = self.activities = 0
        self.publisher = Publisher(
            plan.bootstrap,
            swarm_id=plan.swarm_id,
            agent_id=plan.agent_id,
            run_id=plan.run_id,
            topic_prefix=plan.topic_prefix,
            spool_dir=plan.spool_dir,
        )
        self._process = psutil.Process()
        self._directory = Path(plan.work_dir)
        self._sampled_s = self._reported_s = 0.0
        self._sampled_cpu_s = 0.0
        self._task_ms: list[float] = []
        self._bundles: list[work.Bundle] = []
        self._leak: list[list[bytes]] = []

    def run(self) -> None:
        """Until the end of the plan. The checker also opens and closes the swarm's session."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._warm_up()
        self._rest_until(self.plan.start_at_ms / 1000)
        self._begin_sampling()
        if self.plan.role == "checker":
            with self.publisher.run(configuration=self._configuration(), run_id=self.plan.run_id, agent_id=""):
                self.activities += 1
                self._check_files()
        else:
            self._pack_bundles()

    def finish(self) -> None:
        """Hands over what is left and says what became of every event."""
        complete = self.publisher.close(CLOSE_TIMEOUT_S)
        stats = self.publisher.stats()
        self._say(
            final=True,
            complete=complete,
            activities=self.activities,
            emitted=stats.emitted,
            acknowledged_metrics=stats.acknowledged_metrics,
            acknowledged_activities=stats.acknowledged_activities,
            dropped=stats.dropped,
            last_error=stats.last_error or stats.invalid_reason,
        )

    def _warm_up(self) -> None:
        """Before the common start, unmeasured: imports, page cache and allocator behave as they will later."""
        self._bundles = work.bundles()
        for bundle in self._bundles[:WARM_UP_BUNDLES]:
            work.parse(bundle)
            work.compress(work.read(bundle), self.plan.compressor, self.plan.level)

    def _pack_bundles(self) -> None:
        tasks = work.share(self._bundles, index=self.plan.index, of=PACKERS)
        for (name, bundle), _ in zip(tasks, self._pace(PACKER_TASKS_PER_S), strict=False):
            started_s = time.monotonic()
            try:
                with self.publisher.task(
                    "pack", task_id=f"pack/{name}", role="packer", files_touched=len(bundle.files)
                ) as task:
                    self.activities += 1
                    self._pack(task, name, bundle)
                    if self._misbehaves():
                        for _ in range(FAULT_REPEATS - 1):
                            self._leak.append(self._pack(task, name, bundle).split())
            except (SyntaxError, OSError):
                self.failed += 1  # the task is published as failed with the error's type; the agent works on
            self._task_ms.append((time.monotonic() - started_s) * 1000)
            self.tasks += 1

    def _pack(self, task: Task, name: str, bundle: work.Bundle) -> bytes:
        with self._tool(task, "parse", bundle.name):
            work.parse(bundle)
        with self._tool(task, "compress", bundle.name):
            content = work.read(bundle)
            packed = work.compress(content, self.plan.compressor, self.plan.level)
        with self._tool(task, "store", bundle.name):
            work.store(packed, content, name, self._directory)
        self.publisher.emit(
            "compressed_ratio", len(packed) / len(content), unit="ratio", category="business", provenance="derived"
        )
        return content

    def _check_files(self) -> None:
        names = work.samples(self._bundles, of=PACKERS)
        name = next(names)
        for _ in self._pace(CHECKER_TASKS_PER_S):
            path = work.find_packed(self._directory, name)
            if path is None:
                continue  # its packer is not there yet
            started_s = time.monotonic()
            try:
                with self.publisher.task("check", task_id=f"check/{name}", role="checker") as task:
                    self.activities += 1
                    with self._tool(task, "subprocess", name):
                        good = work.check(path, self.plan.compressor)
                    if not good:
                        task.fail("ChecksumMismatch")
                        self.failed += 1
            except (OSError, subprocess.SubprocessError):
                self.failed += 1  # published as failed with the error's type
            self._task_ms.append((time.monotonic() - started_s) * 1000)
            self.tasks += 1
            name = next(names)

    def _tool(self, task: Task, name: str, subject: str) -> ToolCall:
        self.activities += 1
        return task.tool(name, input=subject)

    def _misbehaves(self) -> bool:
        """The fault: from its moment on the agent repeats its work, and keeps every word it reads."""
        return self.plan.fault_at_ms is not None and now_ms() >= self.plan.fault_at_ms

    def _configuration(self) -> dict[str, object]:
        return {
            "compressor": self.plan.compressor,
            "level": self.plan.level,
            "packers": PACKERS,
            "checkers": 1,
            "tasks_per_s": PACKERS * PACKER_TASKS_PER_S + CHECKER_TASKS_PER_S,
        }

    def _pace(self, tasks_per_s: float) -> Iterator[int]:
        """One turn each 1 / tasks_per_s until the end; between turns the agent measures itself."""
        offset_s = self.plan.index / PACKERS / tasks_per_s  # packers take turns instead of starting together
        due_s = self.plan.start_at_ms / 1000 + offset_s
        turn = 0
        while not self._over():
            self._rest_until(due_s)
            if self._over():
                return
            yield turn
            turn += 1
            due_s += 1 / tasks_per_s
            if now_ms() / 1000 - due_s > LATE_S_MAX:
                due_s = now_ms() / 1000

    def _over(self) -> bool:
        orphaned = self.plan.parent_pid > 0 and os.getppid() != self.plan.parent_pid
        return self.stopping or orphaned or now_ms() >= self.plan.end_at_ms

    def _rest_until(self, due_s: float) -> None:
        self._measure()  # also when there is no time to rest
        while not self.stopping and (left_s := due_s - now_ms() / 1000) > 0:
            time.sleep(min(left_s, SAMPLE_EVERY_S))
            self._measure()

    def _begin_sampling(self) -> None:
        self._sampled_s, self._sampled_cpu_s = time.monotonic(), time.process_time()

    def _measure(self) -> None:
        """CPU and memory of this process, published; the screen's line, printed."""
        if self._sampled_s == 0.0:
            return  # before the common start
        elapsed_s = time.monotonic() - self._sampled_s
        if elapsed_s >= SAMPLE_EVERY_S:
            cpu_s = time.process_time()
            emit = self.publisher.emit
            emit("cpu_usage", (cpu_s - self._sampled_cpu_s) / elapsed_s, unit="ratio", category="resource")
            emit("memory_usage", float(self._process.memory_info().rss), unit="bytes", category="resource")
            self._begin_sampling()
        if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = time.monotonic()
            self._say(final=False)

    def _say(self, **more: object) -> None:
        recent = self._task_ms[-10:]
        line = {
            "swarm_id": self.plan.swarm_id,
            "agent_id": self.plan.agent_id,
            "tasks": self.tasks,
            "failed": self.failed,
            "task_ms": sum(recent) / len(recent) if recent else None,
            "memory_bytes": self._process.memory_info().rss,
            "acknowledged": self.publisher.stats().acknowledged,
            **more,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def main() -> None:
    """The process: SIGTERM and Ctrl-C end the work, what was measured is still delivered."""
    agent = Agent(AgentPlan.from_json(sys.argv[1]))

    def stop(_number: int, _frame: FrameType | None) -> None:
        agent.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    agent.run()
    agent.finish()


if __name__ == "__main__":
    main()
