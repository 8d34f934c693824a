"""One task of a benchmark as an activity, whatever tool ran it.

In: what a result says of the task. Out: an event. Never: fills what the result does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interfaces.importers.chunk import Event
from interfaces.importers.identity import event_id, text_digest
from models.events import TEXT_LENGTH_MAX

SOURCE = "benchmark"
# The harnesses multiply tokens by list prices: that is what a price book does, and not a bill.
COST_PROVENANCE = "estimated"


@dataclass(frozen=True, slots=True)
class BenchmarkTask:
    """`key` tells the attempts at a task apart within its benchmark. None is "the result does not say"."""

    swarm_id: str
    benchmark: str
    task_id: str
    key: str
    success: bool | None
    started_ms: int
    ended_ms: int
    cost_usd: float | None = None
    duration_ms: float | None = None
    agent: str = ""
    model: str = ""
    error_type: str = ""
    has_outcome: bool = True  # False: nobody said whether it was solved
    tags: Mapping[str, str] = field(default_factory=dict)

    def event(self) -> Event:
        """The activity. A task that was not solved is failed, one without any outcome cancelled.

        Its id is made of the swarm, the benchmark and the key, so a second import gives the same one.
        """
        return {
            "id": event_id("bm", text_digest(self.swarm_id), self.benchmark, self.key),
            "swarm_id": self.swarm_id,
            "run_id": self.benchmark,
            "agent_id": self.agent,
            "workflow": self.benchmark,
            "task_id": self.task_id,
            "kind": "task",
            "status": "completed" if self.success else "failed" if self.has_outcome else "cancelled",
            "success": self.success,
            "started_at": self.started_ms,
            "ended_at": self.ended_ms,
            "duration_ms": self.duration_ms,
            "model": self.model,
            "cost_usd": self.cost_usd,
            "cost_provenance": "" if self.cost_usd is None else COST_PROVENANCE,
            "error_type": self.error_type,
            "tags": {k: v[:TEXT_LENGTH_MAX] for k, v in _tags(self).items() if v},
        }


def is_priced(costs: Iterable[float | None]) -> bool:
    """False when every cost of a configuration is missing or 0: then nobody reported any, and 0 is not "free"."""
    return any(costs)


def _tags(task: BenchmarkTask) -> dict[str, str]:
    return {**task.tags, "source": SOURCE, "benchmark": task.benchmark}
