"""Asks questions that do not wait for each other side by side, while the asking thread computes.

In: a Reader, the swarms, the time. Out: the futures of its answers. Never: a question that waits for a computation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from reports.compare.engine import ComparisonInput
from reports.queries.port import (
    ActivityRow,
    AgentMetricRow,
    AgentRow,
    AnomalyCountRow,
    AnomalyRow,
    CallRow,
    ConfigurationRow,
    DeadLetterRow,
    ModelCostRow,
    Reader,
    Result,
    SwarmRow,
    TaskRow,
    TimeRange,
)

RowT = TypeVar("RowT")

# The engine answers one question on several cores already; the second fills the gaps of the first: its planning, its
# way over the network, its rows becoming Python's. A third only makes the others wait.
QUESTIONS_AT_ONCE: Final = 2


@contextmanager
def side_by_side() -> Iterator[Executor]:
    """Where to submit questions: they are asked in this order. Leaving it drops those that were not begun."""
    pool = ThreadPoolExecutor(QUESTIONS_AT_ONCE, thread_name_prefix="question")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def rows(answer: Future[Result[RowT]]) -> Sequence[RowT]:
    """The rows, once they are there."""
    return answer.result().rows


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison is made of."""

    tasks: Future[Result[TaskRow]]
    calls: Future[Result[CallRow]]
    agent_metrics: Future[Result[AgentMetricRow]]

    @classmethod
    def ask(cls, pool: Executor, reader: Reader, swarm_ids: Sequence[str], time: TimeRange) -> Compared:
        """The heaviest questions there are: they are asked before others."""
        return cls(
            pool.submit(reader.tasks, swarm_ids, time),
            pool.submit(reader.calls, swarm_ids, time),
            pool.submit(reader.agent_metrics, swarm_ids, time),
        )

    def input(self) -> ComparisonInput:
        """The rows, once they are there."""
        tasks, calls, metrics = self.tasks.result(), self.calls.result(), self.agent_metrics.result()
        queries = {query.name: query for query in (tasks.query, calls.query, metrics.query)}
        return ComparisonInput(tasks.rows, calls.rows, metrics.rows, queries)


@dataclass(frozen=True, slots=True)
class Facts:
    """What every report says of its swarms."""

    swarms: Future[Result[SwarmRow]]
    activities: Future[Result[ActivityRow]]
    anomaly_counts: Future[Result[AnomalyCountRow]]
    configurations: Future[Result[ConfigurationRow]]
    anomalies: Future[Result[AnomalyRow]]
    dead_letters: Future[Result[DeadLetterRow]]
    costs: Future[Result[ModelCostRow]]
    agents: Future[Result[AgentRow]]

    @classmethod
    def ask(
        cls, pool: Executor, reader: Reader, swarm_ids: Sequence[str], time: TimeRange, *, anomalies_max: int
    ) -> Facts:
        """At most `anomalies_max` anomalies, those with the highest scores."""
        return cls(
            pool.submit(reader.swarms, swarm_ids, time),
            pool.submit(reader.activities, swarm_ids, time),
            pool.submit(reader.anomaly_counts, swarm_ids, time),
            pool.submit(reader.configurations, swarm_ids),
            pool.submit(reader.anomalies, swarm_ids, time, anomalies_max),
            pool.submit(reader.dead_letters),
            pool.submit(reader.cost_by_model, swarm_ids, time),
            pool.submit(reader.agents, swarm_ids, time),
        )

    def rows(
        self,
    ) -> tuple[
        Sequence[ActivityRow],
        Sequence[AnomalyCountRow],
        Sequence[ConfigurationRow],
        Sequence[AnomalyRow],
        Sequence[DeadLetterRow],
        Sequence[ModelCostRow],
        Sequence[AgentRow],
    ]:
        """All but the swarms, which a report looks at first; in the order of the fields."""
        return (
            rows(self.activities),
            rows(self.anomaly_counts),
            rows(self.configurations),
            rows(self.anomalies),
            rows(self.dead_letters),
            rows(self.costs),
            rows(self.agents),
        )
