"""Two small swarms as query rows, for reports that must come out byte for byte the same.

In: nothing. Out: a Reader over fixed rows. Never: randomness; the rows are arithmetic on the index.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reports.queries.port import (
    ActivityRow,
    AgentMetricRow,
    AgentRow,
    AlertRow,
    AnomalyCountRow,
    AnomalyRow,
    BarRow,
    BreakdownRow,
    CallRow,
    CellRow,
    ConfigurationRow,
    DeadLetterRow,
    LinkRow,
    ModelCostRow,
    Query,
    Result,
    RunRow,
    SwarmRow,
    TaskRow,
    TimeRange,
    WindowRow,
)

T0_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
SWARMS = ("careful", "hasty")
TASKS = 40


def _wave(i: int, salt: int) -> float:
    """A fixed number in 0..1 that looks irregular."""
    return (math.sin(12.9898 * i + 78.233 * salt) * 43758.5453) % 1


def _task(swarm: int, i: int) -> TaskRow:
    ok = not (i % 20 == 3 if swarm == 0 else i % 4 == 1)
    duration_ms = 1000 * (0.5 + _wave(i, 1)) * (1.0 if swarm == 0 else 1.8 + 0.3 * _wave(i, 2))
    cost = None if swarm == 1 and i == 7 else 0.01 * (1 + _wave(i, 3)) * (1 + 0.2 * _wave(i, 4 + swarm))
    money = () if cost is None else ("estimated",)
    tokens = 900.0 + round(300 * _wave(i, 5 + swarm))
    return TaskRow(
        SWARMS[swarm],
        f"task-{i:02d}",
        True,
        1,
        1,
        int(ok),
        1,
        duration_ms,
        cost,
        tokens,
        None,
        None,
        200.0,
        ("measured",),
        money,
        started_ms=T0_MS + 7_000 * i,
    )


class RecordedReader:
    """A Reader over the rows above; it ignores swarms and times that no golden report asks for."""

    def _result(self, name: str, rows: Sequence[Any]) -> Result[Any]:
        return Result(tuple(rows), Query(name, f"SELECT * FROM recorded_{name}", len(rows)))

    def known_swarms(self, limit: int) -> Result[str]:
        return self._result("known_swarms", SWARMS[:limit])

    def swarms(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[SwarmRow]:
        rows = [SwarmRow(s, T0_MS, T0_MS + 300_000, 4, 4 * TASKS, 1_000) for s in SWARMS if s in swarm_ids]
        return self._result("swarms", rows)

    def activities(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ActivityRow]:
        rows = []
        for index, swarm in enumerate(SWARMS):
            if swarm not in swarm_ids:
                continue
            tasks = [_task(index, i) for i in range(TASKS)]
            won = sum(t.successes for t in tasks)
            durations = sorted(t.duration_ms for t in tasks if t.duration_ms is not None)
            costs = [t.cost_usd for t in tasks if t.cost_usd is not None]
            common = (durations[19], durations[37], sum(durations) / TASKS)
            rows.append(
                ActivityRow(
                    swarm,
                    "task",
                    TASKS,
                    won,
                    TASKS - won,
                    0,
                    0,
                    0,
                    TASKS,
                    *common,
                    len(costs),
                    sum(costs),
                    ("estimated",),
                    TASKS,
                    40_000,
                    None,
                    None,
                    8_000,
                    ("measured",),
                )
            )
        return self._result("activities", rows)

    def tasks(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[TaskRow]:
        rows = [_task(SWARMS.index(s), i) for s in SWARMS if s in swarm_ids for i in range(TASKS)]
        return self._result("tasks", rows)

    def calls(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[CallRow]:
        rows = [
            CallRow(s, "tool_call", True, f"task-{i:02d}", 3, 300 * (1 + _wave(i, 8 + k)), ("measured",))
            for k, s in enumerate(SWARMS)
            if s in swarm_ids
            for i in range(TASKS)
        ]
        return self._result("calls", rows)

    def agent_metrics(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentMetricRow]:
        rows = [
            AgentMetricRow(s, "cpu_usage", f"agent-{i}", 250, 0.4 + 0.1 * i, "ratio", ("measured",))
            for s in SWARMS
            if s in swarm_ids
            for i in range(4)
        ]
        return self._result("agent_metrics", rows)

    def anomalies(self, swarm_ids: Sequence[str], time: TimeRange, limit: int) -> Result[AnomalyRow]:
        text = "5,120 ms is above the expected 900 to 2,400 ms <for this agent>"
        rows = [
            AnomalyRow(
                "hasty",
                "agent-2",
                "task_duration",
                T0_MS + 180_000 + 10_000 * i,
                T0_MS + 195_000,
                5_120.0 - 300 * i,
                900.0,
                2_400.0,
                "ms",
                0.9999 - 0.0002 * i,
                ("critical", "high")[i > 0],
                "residual",
                text,
            )
            for i in range(3)
        ]
        return self._result("anomalies", rows[:limit] if "hasty" in swarm_ids else [])

    def anomaly_counts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AnomalyCountRow]:
        rows = [AnomalyCountRow("hasty", "critical", 1), AnomalyCountRow("hasty", "high", 2)]
        return self._result("anomaly_counts", rows if "hasty" in swarm_ids else [])

    def dead_letters(self) -> Result[DeadLetterRow]:
        return self._result("dead_letters", [DeadLetterRow("E_JSON", 2)])

    def cost_by_model(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[ModelCostRow]:
        rows = [
            ModelCostRow("careful", "model-large", 120, 120, 0.61, 24_000, ("estimated",)),
            ModelCostRow("hasty", "model-large", 80, 80, 0.44, 16_000, ("estimated",)),
            ModelCostRow("hasty", "model-unknown", 3, 0, None, 900, ()),
        ]
        return self._result("cost_by_model", [row for row in rows if row.swarm_id in swarm_ids])

    def agents(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AgentRow]:
        rows = [
            AgentRow(s, f"agent-{i}", "worker", 10, i, 30, 30, 1_000.0 + 100 * i, 1_800.0 + 100 * i)
            for s in SWARMS
            if s in swarm_ids
            for i in range(4)
        ]
        return self._result("agents", rows)

    def windows(self, swarm_ids: Sequence[str], metrics: Sequence[str], time: TimeRange) -> Result[WindowRow]:
        rows = []
        for k, swarm in enumerate(SWARMS):
            for i in range(30):
                mean = 1_000 * (1 + 0.8 * k) * (0.9 + 0.2 * _wave(i, 20 + k)) * (3 if k and 18 <= i < 21 else 1)
                rows.append(WindowRow(swarm, "task_duration", 10_000, T0_MS + 10_000 * i, 8, mean, 1.4 * mean))
        chosen = [row for row in rows if row.swarm_id in swarm_ids and row.metric in metrics]
        return self._result("windows", chosen)

    def configurations(self, swarm_ids: Sequence[str]) -> Result[ConfigurationRow]:
        rows = [
            ConfigurationRow("careful", "run-1", "completed", {"topology": "star", "retries": "2"}),
            ConfigurationRow("hasty", "run-2", "completed", {"topology": "star", "retries": "0"}),
        ]
        return self._result("configurations", [row for row in rows if row.swarm_id in swarm_ids])

    def runs(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[RunRow]:
        rows = [
            RunRow("careful", "run-1", "completed", T0_MS, T0_MS + 300_000),
            RunRow("hasty", "run-2", "running", T0_MS + 5_000, None),
        ]
        return self._result("runs", [row for row in rows if row.swarm_id in swarm_ids])

    def breakdown(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[BreakdownRow]:
        rows = [
            BreakdownRow("careful", "phase", "build <all>", 30, 29, 1, 30, 1_010.0, 1_420.0, 30, 0.48),
            BreakdownRow("careful", "error type", "timeout", 2, 0, 2, 2, 1_300.0, 1_400.0, 0, None),
            BreakdownRow("hasty", "phase", "build <all>", 40, 30, 10, 40, 1_990.0, 2_770.0, 39, 0.637),
            BreakdownRow("hasty", "error type", "bad_tool_input", 10, 0, 10, 10, 2_100.0, 2_900.0, 9, 0.15),
        ]
        return self._result("breakdown", [row for row in rows if row.swarm_id in swarm_ids])

    def analysis(self, swarm_ids: Sequence[str], time: TimeRange) -> None:
        """Nothing beyond these rows was recorded."""

    def alerts(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[AlertRow]:
        reason = "mean of error_rate over 5m is 0.25 (above 0.1)"
        rows = [AlertRow("hasty", "error-rate", "critical", "firing", T0_MS, T0_MS + 60_000, reason, "3f9c" * 8)]
        return self._result("alerts", [row for row in rows if row.swarm_id in swarm_ids])

    def cells(self, swarm_ids: Sequence[str], metric: str, time: TimeRange, bucket_ms: int) -> Result[CellRow]:
        rows = [
            CellRow(s, f"agent-{i}", T0_MS + 10_000 * k, 3, 1_000 * (1 + 0.8 * n) * (0.7 + 0.6 * _wave(4 * k + i, 50)))
            for n, s in enumerate(SWARMS)
            if s in swarm_ids
            for k in range(30)
            for i in range(4)
            if _wave(4 * k + i, 51) > 0.1  # some agents rest some of the time
        ]
        return self._result("task_cells", rows)

    def links(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[LinkRow]:
        rows = [LinkRow(s, "agent-0", f"agent-{i}", "started", 10) for s in SWARMS for i in (1, 2, 3)]
        rows += [LinkRow("careful", f"agent-{i}", f"agent-{(i + 1) % 4}", "handoff", 4 + i) for i in range(4)]
        rows.append(LinkRow("careful", "agent-1", "agent-0", "<question>", 2))
        return self._result("links", [row for row in rows if row.swarm_id in swarm_ids])

    def bars(self, swarm_ids: Sequence[str], run_id: str, time: TimeRange) -> Result[BarRow]:
        rows = [BarRow("careful", "run-1", "phase", "", "build <all>", "completed", T0_MS, T0_MS + 200_000, 81)]
        for i in range(TASKS):
            begin = T0_MS + 7_000 * i
            status = "failed" if i % 20 == 3 else "completed"
            agent = f"agent-{i % 4}"
            rows.append(BarRow("careful", "run-1", "task", agent, f"task-{i:02d}", status, begin, begin + 20_000, 81))
            rows.append(BarRow("careful", "run-1", "tool_call", agent, "search", "completed", begin, begin + 6_000, 81))
        return self._result("bars", rows if "careful" in swarm_ids else [])


DAY_MS = 86_400_000
DAY_0_MS = T0_MS - T0_MS % DAY_MS


class DailyReader(RecordedReader):
    """The swarm `careful`, day after day: its tasks slow down by 8 % of the first day's duration a day.

    One day has three tasks only, and one has none.
    """

    def tasks(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[TaskRow]:
        day = ((time.from_ms or 0) - DAY_0_MS) // DAY_MS
        if time.to_ms is None or time.to_ms - (time.from_ms or 0) > DAY_MS:
            return super().tasks(swarm_ids, time)
        count = {2: 3, 4: 0}.get(day, TASKS)
        rows = [
            replace(
                _task(0, i),
                duration_ms=1000 * (1 + 0.08 * day + 0.3 * _wave(i, 30 + day)),
                successes=int(_wave(i, 40 + day) > 0.1),
            )
            for i in range(count)
        ]
        return self._result("tasks", rows)
