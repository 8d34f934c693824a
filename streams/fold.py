"""The fold: S_p(n) = fold(S_p(m), records[m..n)). One instance holds the state of one source partition.

In: Kafka records of one partition, in log order, in chunks of any size. Out: `Outputs` (rows) and the state's bytes.
Never: a wall clock, unseeded randomness, another partition, a result that depends on how the records were chunked.

One record is folded completely or not at all. Time is the events' own and the record's append time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.anomaly.change_tuning import CHANGE_SEVERITY
from models.codecs.records import DecodeError, ProducerStamp, RawRecord
from models.codecs.structs import Label
from models.dedup import IdMemory, ProducerMemory, Seen
from models.detect.bank import ActivityDetectors
from models.detect.finding import Finding
from models.metrics import BUILT_IN
from models.rows import ANOMALIES
from models.windows.assign import WindowSpec
from models.windows.operator import EventColumns, WindowOperator, WindowRows
from models.windows.watermark import NOT_YET, watermarks
from streams.accepted import AcceptedEvents
from streams.findings import finding_rows
from streams.fold_config import FoldConfig
from streams.interning import DictionaryIds, Interner, Series, SwarmGroups
from streams.log_mark import LogMark
from streams.metric_detectors import MetricDetectors, of_swarm
from streams.metric_rows import StoredEvents
from streams.outputs import Counters, Outputs
from streams.result_rows import (
    Origin,
    dead_letter_rows,
    record_columns,
    swarm_window_rows,
    window_rows,
)
from streams.scoring import Closing, ScorerBank

# What a source remembers of names, beside the series of open windows: those that pause come back, those that are gone
# must not fill the memory.
SERIES_REMEMBERED_RATIO: Final = 2
SERIES_REMEMBERED_MIN: Final = 4_096
# Names that no open window uses leave at a snapshot, and before that when they outnumber the open windows and these.
NAMES_MIN: Final = 65_536


def names_max(windows: int) -> int:
    """How many series, and how many units, may be remembered while so many windows and generations are open."""
    return 2 * windows + NAMES_MIN


class Source(Protocol):
    """What differs between the source topics: how a chunk becomes metric events and rows of its own."""

    def decode(self, records: Sequence[RawRecord]) -> Any:
        """Decodes a chunk; the result has `.errors` and `.producers`."""
        ...

    def accept(
        self,
        chunk: Any,
        records: Sequence[RawRecord],
        appended_ms: npt.NDArray[np.int64],
        fold: PartitionFold,
        fresh: npt.NDArray[np.bool_],
    ) -> AcceptedEvents:
        """The metric events of the fresh records; adds the source's own rows and dead letters to the fold.

        appended_ms: when each record was appended to the log.
        """
        ...

    def forget_beyond(self, series: int) -> None:
        """Gives back what it remembers of names when that is more than so many series; no result depends on it."""
        ...


class PartitionFold:
    """The state of one source partition and what it has put out since the last flush."""

    def __init__(self, origin: Origin, config: FoldConfig, source: Source, counters: Counters) -> None:
        self.origin = origin
        self.config = config
        self.counters = counters
        self.outputs = Outputs(origin)
        self.next_offset = 0
        self.mark: LogMark | None = None  # of the last record folded
        self.watermark_ms = NOT_YET
        self.ids = IdMemory(config.dedup_ids_max)
        self.detectors = ActivityDetectors(off=config.detectors_off)
        self._watch = MetricDetectors(off=config.detectors_off)
        self._source = source
        self._producers = ProducerMemory()
        self._series: Interner[Series] = Interner()
        self._units: Interner[str] = Interner()
        self._look_up()
        self._operators = [
            WindowOperator(
                WindowSpec(size, step),
                allowed_lateness_ms=config.allowed_lateness_ms,
                open_max=config.open_windows_max,
            )
            for size, step in config.windows
        ]
        self._scorers = ScorerBank(
            series_max=config.series_max,
            series_idle_ms=config.series_idle_ms,
            score_min=config.anomaly_score_min,
            mode=config.anomaly_mode,
            sensitivity=config.anomaly_sensitivity,
        )

    def fold(self, records: Sequence[RawRecord]) -> int:
        """Folds the records that are not folded yet; returns how many errors they held."""
        known = sum(1 for r in records if r.offset < self.next_offset)
        if known:
            self.counters.skipped_records += known
            records = [r for r in records if r.offset >= self.next_offset]
        if not records:
            return 0
        chunk = self._source.decode(records)
        gaps: list[tuple[int, Finding]] = []
        fresh = self._fresh(chunk.producers, records, gaps)
        offsets, appended_ms = record_columns(records)
        events = self._source.accept(chunk, records, appended_ms, self, fresh)
        self.dead_letter([e for e in chunk.errors if fresh[e.record]], records)
        self.report([of_swarm(gap, record, events) for record, gap in gaps])
        self._fold_events(events, offsets, appended_ms)
        self.counters.records += len(records)
        if max(len(self._series), len(self._units)) > names_max(sum(map(len, self._operators))):
            self._compact()
        self.next_offset = records[-1].offset + 1
        self.mark = LogMark.of(records[-1])
        return len(chunk.errors)

    def dead_letter(self, errors: Sequence[DecodeError], records: Sequence[RawRecord]) -> None:
        """Puts refused events out as dead letters."""
        if errors:
            self.outputs.add("dead_letters", dead_letter_rows(errors, records, self.origin))
            self.counters.dead_letters += len(errors)

    def report(self, findings: Sequence[Finding]) -> None:
        """Puts out what named detectors found."""
        if findings:
            self.outputs.add("anomalies", finding_rows(findings, self.origin))
            self.counters.anomalies += len(findings)

    def take_outputs(self, *, open_windows: bool = True) -> Outputs:
        """Everything to write so that the sinks stand at `next_offset`: rows made, and open windows that changed.

        Without the open windows, those stay marked as changed.
        """
        if open_windows:
            self._put_open_windows()
        outputs, self.outputs = self.outputs, Outputs(self.origin)
        return outputs

    def state(self) -> bytes:
        """The canonical bytes of this state: equal log prefixes give equal bytes."""
        self._compact()
        return msgspec.msgpack.encode(
            {
                "next_offset": self.next_offset,
                "mark": self.mark,
                "watermark_ms": self.watermark_ms,
                "series": self._series.keys,
                "units": self._units.keys,
                "operators": [o.state() for o in self._operators],
                "scorers": self._scorers.state(),
                "swarms": self._scorers.swarms.state(),
                "producers": self._producers.state(),
                "ids": self.ids.state(),
                "detectors": self.detectors.state(),
                "watch": self._watch.state(),
            }
        )

    def restore(self, state: bytes) -> None:
        """Loads what `state` saved; the caller has checked version, configuration and checksum."""
        data = msgspec.msgpack.decode(state)
        self.next_offset = data["next_offset"]
        self.mark = None if data["mark"] is None else LogMark(*data["mark"])
        self.watermark_ms = data["watermark_ms"]
        self._series = Interner((swarm, agent, metric) for swarm, agent, metric in data["series"])
        self._units = Interner(data["units"])
        self._look_up()
        for operator, saved in zip(self._operators, data["operators"], strict=True):
            operator.restore(saved)
        self._scorers.restore(data["scorers"])
        self._scorers.swarms.restore(data["swarms"])
        self._producers.restore(data["producers"])
        self.ids.restore(data["ids"])
        self.detectors.restore(data["detectors"])
        self._watch.restore(data["watch"])

    def sizes(self) -> dict[str, int]:
        """How much each container of the state holds."""
        return {
            "open_windows": sum(len(o) - o.generations for o in self._operators),
            "generations": sum(o.generations for o in self._operators),
            "series": len(self._series),
            "units": len(self._units),
            "scorers": len(self._scorers),
            "swarm_scorers": len(self._scorers.swarms),
            "peer_groups": len(self._scorers.peers),
            "producers": len(self._producers),
            "ids": len(self.ids),
            "rows_waiting": self.outputs.rows,
        }

    def memories(self) -> dict[str, tuple[int, int]]:
        """Name of each named detector -> keys it holds, and at most."""
        return self.detectors.memories() | self._watch.memories()

    def _fresh(
        self,
        producers: Sequence[ProducerStamp | None],
        records: Sequence[RawRecord],
        gaps: list[tuple[int, Finding]],
    ) -> npt.NDArray[np.bool_]:
        """Which records are not repetitions of a producer; appends what their numbers show to `gaps`."""
        fresh = np.ones(len(producers), dtype=bool)
        for i, stamp in enumerate(producers):
            if stamp is None:
                continue
            seen = self._producers.observe(stamp.producer, stamp.epoch, stamp.seq)
            if seen is Seen.DUPLICATE:
                fresh[i] = False
                self.counters.duplicate_records += 1
            elif seen is Seen.TOO_OLD:
                self.counters.unverifiable_records += 1
            elif (gap := self._watch.stamp(stamp, records[i])) is not None:
                gaps.append((i, gap))
        return fresh

    def _fold_events(
        self, events: AcceptedEvents, offsets: npt.NDArray[np.int64], appended_ms: npt.NDArray[np.int64]
    ) -> None:
        marks = watermarks(self.watermark_ms, events.record, events.timestamp_ms, len(offsets))
        if len(events):
            unit = self._unit_ids(events)
            self.outputs.add_events(StoredEvents(events, offsets, appended_ms, unit.astype(np.int32), self._units.keys))
            unweighted = bool((events.weight == 1.0).all())
            columns = EventColumns(
                series=self._series_ids.ids(events.series, events.series_idx),
                timestamp_ms=events.timestamp_ms,
                value=events.value,
                weight=None if unweighted else events.weight,
                unit=unit,
                offset=offsets[events.record],
                watermark_before_ms=marks[events.record],
            )
            for i, operator in enumerate(self._operators):
                overflow = operator.add(columns)
                self.counters.overflow_events += overflow.events
                if i == 0:  # who fills the room for the smallest windows fills that for all
                    self.report(self._watch.room(overflow.fillings, self._series, events, offsets, appended_ms))
            # Late: for its newest window of the smallest size, the one that closes first.
            self.counters.late_events += int(self._operators[0].is_late(columns).sum())
            self.counters.events += len(events)
        self.watermark_ms = int(marks[-1])
        self.report(self._watch.events(events, marks, offsets, appended_ms))
        for i, operator in enumerate(self._operators):
            rows = operator.close(self.watermark_ms, int(offsets[-1]) + 1)
            if rows is not None:
                self._closed(rows, marks, offsets, appended_ms, score=i == 0)

    def _closed(
        self,
        rows: WindowRows,
        marks: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        appended_ms: npt.NDArray[np.int64],
        *,
        score: bool,
    ) -> None:
        span_ms = rows.spec.size_ms + self.config.allowed_lateness_ms

        def closed_by(starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            """The record that closed the window starting then."""
            return np.minimum(np.searchsorted(marks[1:], starts + span_ms), len(offsets) - 1)

        by = closed_by(rows.columns["start_ms"])
        table = window_rows(rows, self.origin, self._series, self._units, closed_offsets=offsets[by])
        self.outputs.add("windows", table)
        self.counters.windows_closed += len(rows)
        on_time = rows.keep(rows.columns["gen"] == 0)
        if len(on_time):
            self._put_swarm_windows(on_time, lambda starts: offsets[closed_by(starts)])
        if score:  # series are scored on their smallest window
            anomalies = self._scorers.score(
                Closing(rows, offsets[by], appended_ms[by]), self.origin, self._series, self._units
            )
            alarms = sum(row["severity"] != CHANGE_SEVERITY for row in anomalies)
            table = pa.Table.from_pylist(anomalies, schema=ANOMALIES) if anomalies else None
            self.outputs.add("anomalies", table, alarms=alarms > 0)
            self.counters.anomalies += alarms
            self.counters.change_points += len(anomalies) - alarms
            self.report(self._watch.windows(rows, offsets[by], appended_ms[by], self._series, self._units))

    def _put_open_windows(self) -> None:
        swarm_groups = self._swarm_groups.of_series()
        for operator in self._operators:
            groups = operator.groups_of_dirty(swarm_groups)
            if groups is not None:
                self._put_swarm_windows(groups, None)
            rows = operator.dirty_rows()
            if rows is not None:
                table = window_rows(rows, self.origin, self._series, self._units, closed_offsets=None)
                self.outputs.add("windows", table)

    def _put_swarm_windows(
        self, rows: WindowRows, closed: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None
    ) -> None:
        table = swarm_window_rows(rows, self.origin, self._series, self._units, closed_offset_of_start=closed)
        self.outputs.add("swarm_windows", table)

    def _unit_ids(self, events: AcceptedEvents) -> npt.NDArray[np.int64]:
        """Per event the id of its unit: its own, else the catalogue's for its metric."""
        unit = self._label_units.ids(events.labels, events.label_idx)
        without = np.flatnonzero(unit == self._units.ids([""])[0])
        if len(without):
            unit[without] = self._metric_units.ids(events.series, events.series_idx[without])
        return unit

    def _look_up(self) -> None:
        """New translations of the chunks' dictionaries; they are caches and no part of the state."""
        self._swarm_groups = SwarmGroups(self._series)
        self._series_ids: DictionaryIds[Series, Series] = DictionaryIds(self._series, lambda series: series)
        self._label_units: DictionaryIds[Label, str] = DictionaryIds(self._units, lambda label: label.unit)
        self._metric_units: DictionaryIds[Series, str] = DictionaryIds(
            self._units, lambda series: BUILT_IN.unit_of(series[2])
        )

    def _compact(self) -> None:
        def used(column: str) -> npt.NDArray[np.int64]:
            return np.unique(np.concatenate([o.in_use(column) for o in self._operators]))

        series, unit = self._series.compact(used("series")), self._units.compact(used("unit"))
        for operator in self._operators:
            operator.renumber(series=series, unit=unit)
        self._source.forget_beyond(SERIES_REMEMBERED_RATIO * len(self._series) + SERIES_REMEMBERED_MIN)
        self._series_ids.renumber(series)
        self._swarm_groups.forget()
        self._label_units.renumber(unit)
        self._metric_units.renumber(unit)
