"""What rules would have seen: stored windows, anomalies and activities as samples, in the order of their ends.

In: an open client, a span of event time, the metrics and sources of the rules. Out: samples.
Never: holds more than a block of rows of each source; writes.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from models.alerts.measures import measured
from models.alerts.sample import ACTIVITY, AGENT, ANOMALY, PERCENTILES, SWARM, Sample, single
from models.codecs.structs import ActivityRecord

_READ_ONLY: Final = {"readonly": 2}
_STATISTICS: Final = ("weight_sum", "sum", "min", "max", "last", "last_at", *PERCENTILES)
_SAME: Final = (
    *("swarm_id", "kind", "status", "started_at", "ended_at", "agent_id", "role", "model", "duration_ms"),
    *("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens"),
    *("cost_usd", "retries", "conflicts", "quality_ratio", "test_coverage_ratio", "security_findings"),
    *("provenance", "cost_provenance"),
)


def history(
    client: Client, *, from_ms: int, to_ms: int, sources: Collection[str], metrics: Collection[str]
) -> Iterator[Sample]:
    """Samples that end within [from_ms, to_ms), earliest end first. `metrics` may hold `*`."""
    span = {"from": from_ms, "to": to_ms, "metrics": sorted(metrics), "all": int("*" in metrics)}
    readers = {SWARM: _windows, AGENT: _windows, ANOMALY: _anomalies, ACTIVITY: _activities}
    with ExitStack() as open_answers:
        found = [readers[source](client, source, span, open_answers) for source in sorted(set(sources) & set(readers))]
        yield from heapq.merge(*found, key=lambda sample: sample.end_ms)


def _rows(client: Client, sql: str, span: Mapping[str, Any], stack: ExitStack) -> Iterator[Any]:
    return iter(stack.enter_context(client.query_rows_stream(sql, parameters=dict(span), settings=dict(_READ_ONLY))))


def _windows(client: Client, source: str, span: Mapping[str, Any], stack: ExitStack) -> Iterator[Sample]:
    view, agent = ("v_windows", "agent_id") if source == AGENT else ("v_swarm_windows", "''")
    sql = f"""
        SELECT swarm_id, {agent}, metric, window_ms, toUnixTimestamp64Milli(window_start), {", ".join(_STATISTICS)}
        FROM {view}
        WHERE ({{all:UInt8}} OR metric IN {{metrics:Array(String)}})
          AND window_start >= fromUnixTimestamp64Milli({{from:Int64}}) - INTERVAL 1 DAY
          AND toUnixTimestamp64Milli(window_start) + window_ms >= {{from:Int64}}
          AND toUnixTimestamp64Milli(window_start) + window_ms < {{to:Int64}}
        ORDER BY toUnixTimestamp64Milli(window_start) + window_ms, metric, swarm_id, {agent}"""
    for swarm, agent_id, metric, window_ms, start_ms, *values in _rows(client, sql, span, stack):
        weight, total, low, high, last, last_at, *percentiles = values
        yield Sample(
            source=source,
            metric=metric,
            labels={"swarm": swarm, "agent": agent_id} if source == AGENT else {"swarm": swarm},
            start_ms=start_ms,
            end_ms=start_ms + window_ms,
            identity=f"{swarm}|{agent_id}|{metric}|{window_ms}|{start_ms}",
            ver=1,
            events=weight,
            sum=total,
            min=low,
            max=high,
            last=last,
            last_ms=_ms(last_at),
            percentiles=tuple(percentiles),
        )


def _anomalies(client: Client, source: str, span: Mapping[str, Any], stack: ExitStack) -> Iterator[Sample]:
    sql = """
        SELECT anomaly_id, swarm_id, agent_id, metric, severity, score, toUnixTimestamp64Milli(window_start) + window_ms
        FROM v_anomalies
        WHERE ({all:UInt8} OR metric IN {metrics:Array(String)})
          AND toUnixTimestamp64Milli(window_start) + window_ms >= {from:Int64}
          AND toUnixTimestamp64Milli(window_start) + window_ms < {to:Int64}
        ORDER BY 7, 1"""
    for anomaly_id, swarm, agent, metric, severity, score, end_ms in _rows(client, sql, span, stack):
        labels = {"swarm": swarm, "agent": agent, "metric": metric, "severity": severity}
        yield single(source, metric, labels, end_ms, anomaly_id, value=score)


def _activities(client: Client, source: str, span: Mapping[str, Any], stack: ExitStack) -> Iterator[Sample]:
    sql = f"""
        SELECT activity_id, success, tags, {", ".join(_SAME)}
        FROM v_activities
        WHERE status IN ('completed', 'failed', 'cancelled')
          AND toUnixTimestamp64Milli(coalesce(ended_at, started_at)) >= {{from:Int64}}
          AND toUnixTimestamp64Milli(coalesce(ended_at, started_at)) < {{to:Int64}}
        ORDER BY coalesce(ended_at, started_at), activity_id"""
    for activity_id, success, tags, *values in _rows(client, sql, span, stack):
        fields: dict[str, Any] = {
            n: _ms(v) if isinstance(v, datetime) else v for n, v in zip(_SAME, values, strict=True)
        }
        fields["success"] = None if success is None else bool(success)
        record = ActivityRecord(id=activity_id, tags=dict(tags), **fields)
        at_ms = record.started_at if record.ended_at is None else record.ended_at
        labels = {"swarm": record.swarm_id, "agent": record.agent_id, "role": record.role, "model": record.model}
        for name, value, weight in measured(record):
            if span["all"] or name in span["metrics"]:
                identity = f"{record.swarm_id}/{record.id}"
                yield single(source, name, labels, at_ms, identity, value=value, weight=weight, tags=record.tags)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
