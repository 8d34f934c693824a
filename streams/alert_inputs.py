"""Records of the topics alerts rest on, as samples.

In: raw records of `swarm.windows`, `swarm.anomalies`, `swarm.activities`. Out: samples, and windows' ends.
Never: raises for a record it cannot read (it is counted), looks at another fold version's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from models.alerts.measures import measured
from models.alerts.sample import ACTIVITY, AGENT, ANOMALY, SWARM, Sample, single
from models.anomaly.change_tuning import CHANGE_SEVERITY
from models.codecs import decode_activities
from models.codecs.records import RawRecord
from models.projection import event_time_ms

# A window that ended this long before its row was written is history being imported or computed again: nobody is woken
# for it. An outage of the workers that is shorter is still looked at, in order.
HISTORY_MS_MAX: Final = 3_600_000


class WindowRow(msgspec.Struct, gc=False):
    """The columns of a window row that matter here; a swarm's row has no agent_id."""

    swarm_id: str
    metric: str
    window_ms: int
    window_start: int
    log_id: str
    topic: str
    partition: int
    fold_version: int
    weight_sum: float
    sum: float
    min: float
    max: float
    last: float
    last_at: int
    p50: float
    p90: float
    p95: float
    p99: float
    closed: int
    ver: int
    agent_id: str | None = None


class AnomalyRow(msgspec.Struct, gc=False):
    """The columns of an anomaly that matter here."""

    anomaly_id: str
    swarm_id: str
    agent_id: str
    metric: str
    window_ms: int
    window_start: int
    score: float
    severity: str
    fold_version: int


_window: Final = msgspec.json.Decoder(WindowRow).decode
_anomaly: Final = msgspec.json.Decoder(AnomalyRow).decode


class InputCounters(msgspec.Struct):
    """Running counts of one process."""

    samples: int = 0
    history: int = 0  # rows too old when they were written
    unreadable: int = 0


def window_samples(
    records: Sequence[RawRecord], keys: Sequence[bytes | None], *, fold_version: int, counters: InputCounters
) -> Iterator[Sample]:
    """One sample a window row; `final` says that the window is closed."""
    for record, key in zip(records, keys, strict=True):
        if record.value is None:
            continue  # a tombstone
        try:
            row = _window(record.value)
        except msgspec.DecodeError:
            counters.unreadable += 1
            continue
        end_ms = row.window_start + row.window_ms
        if row.fold_version != fold_version:
            continue
        if end_ms < record.timestamp_ms - HISTORY_MS_MAX:
            counters.history += 1
            continue
        counters.samples += 1
        labels = {"swarm": row.swarm_id} if row.agent_id is None else {"swarm": row.swarm_id, "agent": row.agent_id}
        yield Sample(
            source=SWARM if row.agent_id is None else AGENT,
            metric=row.metric,
            labels=labels,
            start_ms=row.window_start,
            end_ms=end_ms,
            identity=(key or b"").decode("utf-8", "replace"),
            ver=row.ver,
            events=row.weight_sum,
            sum=row.sum,
            min=row.min,
            max=row.max,
            last=row.last,
            last_ms=row.last_at,
            percentiles=(row.p50, row.p90, row.p95, row.p99),
            final=bool(row.closed),
            cut=f"{row.log_id}/{row.topic}[{row.partition}]",
        )


def anomaly_samples(records: Sequence[RawRecord], *, fold_version: int, counters: InputCounters) -> Iterator[Sample]:
    """One sample an anomaly, at the end of the window it was found in; its value is the score. None a change point."""
    for record in records:
        try:
            row = _anomaly(record.value or b"")
        except msgspec.DecodeError:
            counters.unreadable += 1
            continue
        at_ms = row.window_start + row.window_ms
        if row.fold_version != fold_version or row.severity == CHANGE_SEVERITY:  # a change point is no anomaly
            continue
        if at_ms < record.timestamp_ms - HISTORY_MS_MAX:
            counters.history += 1
            continue
        counters.samples += 1
        labels = {"swarm": row.swarm_id, "agent": row.agent_id, "metric": row.metric, "severity": row.severity}
        yield single(ANOMALY, row.metric, labels, at_ms, row.anomaly_id, value=row.score)


def activity_samples(
    records: Sequence[RawRecord],
    wanted: Callable[[str], bool],
    *,
    future_skew_ms: int,
    counters: InputCounters,
) -> Iterator[Sample]:
    """The measures of activities that have ended. What is wrong with the others is the workers' to tell."""
    chunk = decode_activities(records)
    for index, _, activity in chunk.activities:
        at_ms = event_time_ms(activity)
        appended_ms = records[index].timestamp_ms
        if at_ms > appended_ms + future_skew_ms:
            continue  # a dead letter, see streams.activity_source
        if at_ms < appended_ms - HISTORY_MS_MAX:
            counters.history += 1
            continue
        labels = {
            "swarm": activity.swarm_id,
            "agent": activity.agent_id,
            "role": activity.role,
            "model": activity.model,
        }
        for name, value, weight in measured(activity):
            if wanted(name):
                counters.samples += 1
                identity = f"{activity.swarm_id}/{activity.id}"
                tags = activity.tags
                yield single(ACTIVITY, name, labels, at_ms, identity, value=value, weight=weight, tags=tags)
