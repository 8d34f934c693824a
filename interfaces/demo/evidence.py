"""What can be said at the end of the demo, and only that: what was found, what arrived.

In: anomaly rows, the agents' own counts, ClickHouse. Out: `Verdict`, `Delivery`. Never: calls the fault found when
no anomaly names its agent after its moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interfaces.demo.plan import CONFIGURATIONS, FAULTY, DemoPlan

if TYPE_CHECKING:
    from interfaces.cli.clickhouse import Client
    from interfaces.demo.swarm import AgentState

ROWS_WITHIN_S = 30.0  # a worker that restarts from its snapshot in between needs some 10 s
POLL_S = 0.25
SWARM_IDS = tuple(c.swarm_id for c in CONFIGURATIONS)

_COUNTS = """
SELECT
    (SELECT count() FROM v_metrics WHERE swarm_id IN {swarms:Array(String)} AND topic = {metrics:String}) AS metrics,
    (SELECT count() FROM v_activities WHERE swarm_id IN {swarms:Array(String)}) AS activities,
    (SELECT count() FROM v_dead_letters) AS dead_letters
"""


@dataclass(slots=True)
class Findings:
    """Anomalies as they arrived, told apart by whether the injected fault explains them."""

    plan: DemoPlan
    of_the_fault: list[Mapping[str, Any]] = field(default_factory=list)
    others: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> bool:
        """Notes an anomaly; True when it is the misbehaving agent's, in a window the fault reaches into.

        One of the whole swarm is, when the misbehaving agent is the first that it names.
        """
        window_end_ms = int(row["window_start"]) + int(row["window_ms"])
        swarm_id, agent_id = FAULTY
        about = row["agent_id"] or dict(row.get("evidence") or {}).get("strongest", "").split(" ")[0]
        named = (row["swarm_id"], about) == (swarm_id, agent_id) and window_end_ms > self.plan.fault_at_ms
        (self.of_the_fault if named else self.others).append(row)
        return named

    @property
    def first_delay_s(self) -> float | None:
        """From the fault's moment to the append time of the record that let the worker say so."""
        if not self.of_the_fault:
            return None
        return (min(int(row["detected_at"]) for row in self.of_the_fault) - self.plan.fault_at_ms) / 1000

    def sentence(self) -> str:
        """What a user is told."""
        agent = f"{FAULTY[0]}/{FAULTY[1]}"
        others = {0: "were no other anomalies", 1: "was 1 other anomaly"}.get(
            len(self.others), f"were {len(self.others)} other anomalies"
        )
        if self.first_delay_s is None:
            return f"The fault of {agent} was NOT found. There {others}."
        metrics = ", ".join(sorted({str(row["metric"]) for row in self.of_the_fault}))
        return (
            f"The fault of {agent} was found {self.first_delay_s:.1f} s after it began, in {metrics}. There {others}."
        )


@dataclass(slots=True)
class Delivery:
    """What the agents' publishers had acknowledged, beside what stands in ClickHouse."""

    acknowledged_metrics: int
    acknowledged_activities: int  # distinct: each is published when it begins and when it ends
    dropped: int
    rows_metrics: int = 0
    rows_activities: int = 0
    dead_letters: int = 0

    @property
    def complete(self) -> bool:
        """Whether every acknowledged event stands in ClickHouse once and nothing was dropped or refused."""
        return (self.rows_metrics, self.rows_activities, self.dropped, self.dead_letters) == (
            self.acknowledged_metrics,
            self.acknowledged_activities,
            0,
            0,
        )


def delivery(
    client: Client, agents: Sequence[AgentState], *, metrics_topic: str, on_poll: Callable[[], None] = lambda: None
) -> Delivery:
    """Waits until ClickHouse holds what was acknowledged, or ROWS_WITHIN_S is over."""
    finals = [state.final for state in agents if state.final]
    counts = Delivery(
        acknowledged_metrics=sum(final["acknowledged_metrics"] for final in finals),
        acknowledged_activities=sum(final["activities"] for final in finals),
        dropped=sum(final["dropped"] for final in finals),
    )
    deadline_s = time.monotonic() + ROWS_WITHIN_S
    while True:
        row = client.query(_COUNTS, parameters={"swarms": list(SWARM_IDS), "metrics": metrics_topic}).first_row
        counts.rows_metrics, counts.rows_activities, counts.dead_letters = (int(cell) for cell in row)
        if counts.complete or time.monotonic() > deadline_s:
            return counts
        on_poll()
        time.sleep(POLL_S)
