"""How a chunk of `swarm.activities` becomes rows of activities and swarms, and metric events.

In: records of the activities topic. Out: rows, and the metrics projected from activities that have ended.
Never: projects one activity twice, invents a cost: a model the price book does not know has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.codecs import decode_activities
from models.codecs.activities import ActivityChunk
from models.codecs.records import EVENTS_PER_RECORD_MAX, RawRecord
from models.codecs.structs import ActivityRecord, Label
from models.detect.finding import Place
from models.prices import PriceBook
from models.projection import event_time_ms, is_terminal, project
from models.rows import ACTIVITIES, SWARMS
from streams.accepted import AcceptedEvents
from streams.fold import PartitionFold
from streams.interning import Series
from streams.metric_source import future_error

# Row columns that are the activity's own fields, by the same name.
_SAME: Final = tuple(
    name
    for name in ACTIVITIES.names
    if name not in {"activity_id", "success", "appended_at", "log_id", "topic", "partition", "offset", "idx", "ver"}
)


class ActivitySource:
    """The activities topic."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices

    def decode(self, records: Sequence[RawRecord]) -> ActivityChunk:
        """The valid activities, and the errors."""
        return decode_activities(records)

    def forget_beyond(self, series: int) -> None:
        """It remembers none."""

    def accept(
        self,
        chunk: ActivityChunk,
        records: Sequence[RawRecord],
        appended_ms: npt.NDArray[np.int64],
        fold: PartitionFold,
        fresh: npt.NDArray[np.bool_],
    ) -> AcceptedEvents:
        """Writes activity and swarm rows; returns the metrics of activities that ended and are new."""
        activities, swarms, projected, found = [], [], [], []
        for record, idx, activity in chunk.activities:
            if not fresh[record]:
                continue
            raw = records[record]
            newest_ms = event_time_ms(activity)
            if newest_ms > raw.timestamp_ms + fold.config.future_skew_ms:
                fold.dead_letter([future_error(records, record, idx, newest_ms, fold)], records)
                continue
            activity = self._priced(activity)
            activities.append(_activity_row(activity, raw, idx, fold))
            if activity.kind == "session":
                swarms.append(_swarm_row(activity, raw, fold))
            ended = is_terminal(activity)
            if ended:
                if not fold.ids.observe(activity.swarm_id, "", activity.id):
                    fold.counters.duplicate_events += 1
                    continue
                projected.append((record, idx, activity))
            found += fold.detectors.see(activity, Place(newest_ms, raw.offset, raw.timestamp_ms, idx), ended=ended)
        fold.counters.activities += len(activities)
        fold.outputs.add("activities", pa.Table.from_pylist(activities, schema=ACTIVITIES))
        fold.outputs.add("swarms", pa.Table.from_pylist(swarms, schema=SWARMS))
        fold.report(found)
        return _projected(projected)

    def _priced(self, activity: ActivityRecord) -> ActivityRecord:
        if activity.kind != "model_call" or activity.cost_usd is not None:
            return activity
        activity.cost_usd = self._prices.cost_usd(
            activity.model,
            activity.started_at,
            input_tokens=activity.input_tokens,
            cache_read_tokens=activity.cache_read_tokens,
            cache_write_5m_tokens=activity.cache_write_5m_tokens,
            cache_write_1h_tokens=activity.cache_write_1h_tokens,
            output_tokens=activity.output_tokens,
        )
        activity.cost_provenance = "" if activity.cost_usd is None else "estimated"
        return activity


def _activity_row(activity: ActivityRecord, raw: RawRecord, idx: int, fold: PartitionFold) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(activity, name) for name in _SAME}
    row["tags"] = sorted(activity.tags.items())
    row["activity_id"] = activity.id
    row["success"] = None if activity.success is None else int(activity.success)
    row["idx"] = idx
    return row | _place(raw, fold)


def _swarm_row(activity: ActivityRecord, raw: RawRecord, fold: PartitionFold) -> dict[str, Any]:
    return {
        "swarm_id": activity.swarm_id,
        "run_id": activity.run_id,
        "started_at": activity.started_at,
        "ended_at": activity.ended_at,
        "status": activity.status,
        "configuration": sorted(activity.tags.items()),
    } | _place(raw, fold)


def _place(raw: RawRecord, fold: PartitionFold) -> dict[str, Any]:
    origin = fold.origin
    return {
        "appended_at": raw.timestamp_ms,
        "log_id": origin.log_id,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": raw.offset,
        "ver": int(origin.versions(np.array([raw.offset]))[0]),
    }


def _projected(activities: Sequence[tuple[int, int, ActivityRecord]]) -> AcceptedEvents:
    """One event a projected metric; k-th metric of an activity: idx = position + 65,536 * k."""
    rows: list[tuple[int, int, int, float]] = []
    series: dict[Series, int] = {}
    labels: dict[Label, int] = {}
    series_idx, label_idx = [], []
    for record, idx, activity in activities:
        timestamp_ms = event_time_ms(activity)
        tags = tuple(sorted(activity.tags.items()))
        for k, (metric, value, unit, provenance) in enumerate(project(activity)):
            name = (activity.swarm_id, activity.agent_id, metric)
            label = Label(activity.run_id, unit, "agent", "medium", "", provenance, tags)
            series_idx.append(series.setdefault(name, len(series)))
            label_idx.append(labels.setdefault(label, len(labels)))
            rows.append((record, idx + EVENTS_PER_RECORD_MAX * k, timestamp_ms, value))
    record_of, idx_of, time_of, value_of = zip(*rows, strict=True) if rows else ((), (), (), ())
    return AcceptedEvents(
        record=np.array(record_of, dtype=np.int32),
        idx=np.array(idx_of, dtype=np.uint32),
        timestamp_ms=np.array(time_of, dtype=np.int64),
        value=np.array(value_of, dtype=np.float64),
        weight=np.ones(len(rows)),
        series=list(series),
        series_idx=np.array(series_idx, dtype=np.int32),
        labels=list(labels),
        label_idx=np.array(label_idx, dtype=np.int32),
        ids=None,
    )
