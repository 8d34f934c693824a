"""The everyday questions of a dashboard, as the documentation asks them.

In: nothing. Out: names and SQL over the views, for the data of `benchmarks/history.py`. Never: a table behind a view.

`swarm-00` runs round the clock and has the most of everything; `swarm-01` is one of those that work in sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BUSY: Final = "swarm_id = 'swarm-00' AND metric = 'response_time'"


@dataclass(frozen=True, slots=True)
class Question:
    """One question and the SQL that answers it."""

    name: str
    sql: str


QUESTIONS: Final = (
    Question(
        "last hour of a swarm, by the minute",
        f"SELECT window_start, events, mean, p95 FROM v_swarm_windows WHERE {_BUSY} AND window_ms = 60000 "
        "AND window_start >= '2026-01-31 23:00:00' ORDER BY window_start",
    ),
    Question(
        "p95 of a metric by the hour, 30 days",
        f"SELECT window_start, events, p95 FROM v_swarm_hours WHERE {_BUSY} ORDER BY window_start",
    ),
    Question(
        "p95 of a metric by the day, 30 days",
        f"SELECT window_start, events, p95 FROM v_swarm_days WHERE {_BUSY} ORDER BY window_start",
    ),
    Question(
        "agents of a swarm by the hour, a day",
        f"SELECT agent_id, window_start, mean, p95 FROM v_hours WHERE {_BUSY} AND window_start >= '2026-01-31' "
        "ORDER BY agent_id, window_start",
    ),
    Question(
        "top agents of a swarm by cost",
        "SELECT agent_id, cost_usd FROM v_agent_summary WHERE swarm_id = 'swarm-01' ORDER BY cost_usd DESC LIMIT 10",
    ),
    Question("summary of a swarm", "SELECT * FROM v_swarm_summary WHERE swarm_id = 'swarm-01'"),
    Question("summary of the busiest swarm's agents", "SELECT * FROM v_agent_summary WHERE swarm_id = 'swarm-00'"),
    Question("summary of all swarms", "SELECT * FROM v_swarm_summary"),
    Question("cost of a swarm by model", "SELECT * FROM v_cost_by_model WHERE swarm_id = 'swarm-01'"),
    Question("cost of all swarms by model", "SELECT * FROM v_cost_by_model"),
    Question(
        "cost of a swarm by the day",
        "SELECT toDate(started_at) AS day, sum(s.cost_usd) AS cost_usd FROM v_spending AS s "
        "WHERE swarm_id = 'swarm-01' GROUP BY day ORDER BY day",
    ),
    Question(
        "anomalies of a day, worst first",
        "SELECT detected_at, swarm_id, agent_id, metric, value, severity, reason FROM v_anomalies "
        "WHERE detected_at >= '2026-01-31' AND detected_at < '2026-02-01' ORDER BY score DESC LIMIT 50",
    ),
    Question(
        "slowest failed tool calls of a swarm",
        "SELECT agent_id, tool, started_at, duration_ms FROM v_activities WHERE swarm_id = 'swarm-01' "
        "AND kind = 'tool_call' AND status = 'failed' ORDER BY duration_ms DESC LIMIT 20",
    ),
    Question(
        "raw events of a series, last hour",
        f"SELECT timestamp, value, tags FROM v_metrics WHERE {_BUSY} AND agent_id = 'agent-1' "
        "AND timestamp >= '2026-01-31 23:00:00' ORDER BY timestamp DESC LIMIT 100",
    ),
    Question(
        "events and mean of every metric of a swarm",
        "SELECT metric, sum(h.events) AS events, sum(h.sum) / sum(h.weight_sum) AS mean FROM v_metric_hours AS h "
        "WHERE swarm_id = 'swarm-01' GROUP BY metric ORDER BY metric",
    ),
)
