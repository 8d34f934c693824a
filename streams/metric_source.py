"""How a chunk of `swarm.metrics` becomes accepted events.

In: records of the metrics topic. Out: accepted events; dead letters for events from the future.
Never: accepts an event twice within the published bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.codecs import decode_metrics, payload_of
from models.codecs.dictionaries import Dictionaries
from models.codecs.metrics import MetricChunk
from models.codecs.records import DecodeError, EventError, RawRecord, error_of
from models.error_codes import ErrorCode
from streams.accepted import AcceptedEvents
from streams.fold import PartitionFold


class MetricSource:
    """One partition of the metrics topic."""

    def __init__(self) -> None:
        self._dictionaries = Dictionaries()

    def decode(self, records: Sequence[RawRecord]) -> MetricChunk:
        """Columns of the valid events, and the errors."""
        return decode_metrics(records, self._dictionaries)

    def forget_beyond(self, series: int) -> None:
        """Starts the dictionaries over when they hold more than so many series."""
        self._dictionaries.trim(series)

    def accept(
        self,
        chunk: MetricChunk,
        records: Sequence[RawRecord],
        appended_ms: npt.NDArray[np.int64],
        fold: PartitionFold,
        fresh: npt.NDArray[np.bool_],
    ) -> AcceptedEvents:
        """Drops repetitions, puts events from the future to the dead letters, returns the rest."""
        events = AcceptedEvents(
            record=chunk.record,
            idx=chunk.idx,
            timestamp_ms=chunk.timestamp_ms,
            value=chunk.value,
            weight=chunk.weight,
            series=chunk.series,
            series_idx=chunk.series_idx,
            labels=chunk.labels,
            label_idx=chunk.label_idx,
            ids=chunk.ids,
        )
        if not fresh.all():
            events = events.keep(fresh[chunk.record])
        events = self._refuse_future(events, records, appended_ms, fold)
        return self._drop_known_ids(events, fold)

    def _refuse_future(
        self,
        events: AcceptedEvents,
        records: Sequence[RawRecord],
        appended_ms: npt.NDArray[np.int64],
        fold: PartitionFold,
    ) -> AcceptedEvents:
        future = events.timestamp_ms > appended_ms[events.record] + fold.config.future_skew_ms
        if not future.any():
            return events
        errors = [
            future_error(records, int(events.record[i]), int(events.idx[i]), int(events.timestamp_ms[i]), fold)
            for i in np.flatnonzero(future).tolist()
        ]
        fold.dead_letter(errors, records)
        return events.keep(~future)

    def _drop_known_ids(self, events: AcceptedEvents, fold: PartitionFold) -> AcceptedEvents:
        if events.ids is None:
            return events
        observe = fold.ids.observe
        # The leaves of an object value share their event's id: the metric belongs to the identity.
        names = map(events.series.__getitem__, events.series_idx.tolist())
        new = np.fromiter(
            (not i or observe(swarm, metric, i) for i, (swarm, _, metric) in zip(events.ids, names, strict=True)),
            dtype=bool,
            count=len(events),
        )
        fold.counters.duplicate_events += int(len(new) - new.sum())
        return events.keep(new)


def future_error(
    records: Sequence[RawRecord], record: int, idx: int, timestamp_ms: int, fold: PartitionFold
) -> DecodeError:
    """The dead letter of an event that claims to come from after its record was appended."""
    raw = records[record]
    ahead_ms = timestamp_ms - raw.timestamp_ms
    error = EventError(
        ErrorCode.TIME_IN_FUTURE,
        f"timestamp {timestamp_ms} lies {ahead_ms} ms after the record's append time {raw.timestamp_ms}; "
        f"at most {fold.config.future_skew_ms} ms are allowed",
    )
    return error_of(raw, record, idx, error, payload_of(raw, idx))
