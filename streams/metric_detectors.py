"""The detectors that look at metrics and records rather than activities, fed without a cost a metric event.

In: producer stamps, accepted events, closed windows of one partition. Out: findings. Never: looks at each event: only
at heartbeats, at windows of memory, where windows begin to find no room, and once a record at its number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.codecs.records import ProducerStamp, RawRecord
from models.detect import heartbeat, memory_leak, name_flood, telemetry_gap
from models.detect.finding import Finding, Place
from models.detect.keyed import memory_of
from models.windows.operator import WindowRows
from models.windows.room import Filling
from streams.accepted import AcceptedEvents
from streams.interning import Interner, Series


class MetricDetectors:
    """What one partition's fold holds of them."""

    def __init__(self, off: Collection[str] = ()) -> None:
        self._gaps = None if telemetry_gap.SPEC.name in off else telemetry_gap.TelemetryGapDetector()
        self._beats = None if heartbeat.SPEC.name in off else heartbeat.HeartbeatDetector()
        self._leaks = None if memory_leak.SPEC.name in off else memory_leak.MemoryLeakDetector()
        self._floods = None if name_flood.SPEC.name in off else name_flood.NameFloodDetector()
        self._entries: Sequence[Series] = ()  # the chunks' dictionary of series, and which of them are heartbeats
        self._is_beat = np.empty(0, dtype=bool)
        self._any_beat = False

    def stamp(self, stamp: ProducerStamp, record: RawRecord) -> Finding | None:
        """Takes the number of a new record."""
        if self._gaps is None or self._gaps.expects(stamp.producer, stamp.epoch, stamp.seq):
            return None
        place = Place(record.timestamp_ms, record.offset, record.timestamp_ms, -1)
        return self._gaps.observe(stamp.producer, stamp.epoch, stamp.seq, place)

    def events(
        self,
        events: AcceptedEvents,
        marks: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        appended_ms: npt.NDArray[np.int64],
    ) -> list[Finding]:
        """Takes the heartbeats of a chunk, record by record; marks[r + 1] is event time after record r."""
        if self._beats is None:
            return []
        beats = self._beats_of(events)
        if not len(beats) and (not len(self._beats) or int(marks[-1]) < self._beats.look_ms):
            return []
        beats = beats[
            heartbeat.first_of_each_step(events.series_idx[beats], events.value[beats], events.timestamp_ms[beats])
        ]
        records, series = events.record[beats].tolist(), events.series_idx[beats].tolist()
        values, times = events.value[beats].tolist(), events.timestamp_ms[beats].tolist()
        found: list[Finding] = []
        ends, last = marks[1:], len(offsets) - 1
        at = r = 0
        while r <= last:  # from one record at which silences are looked for to the next, once a second of event time
            look_at = r + int(np.searchsorted(ends[r:], self._beats.look_ms))
            while at < len(records) and records[at] <= look_at:
                swarm_id, agent_id, _ = events.series[series[at]]
                self._beats.beat(swarm_id, agent_id, values[at], times[at], int(offsets[records[at]]))
                at += 1
            if look_at > last:
                break
            r = look_at + 1
            if len(self._beats):
                place = Place(int(ends[look_at]), int(offsets[look_at]), int(appended_ms[look_at]), -1)
                found += self._beats.look(place)
            elif at == len(records):
                break
            else:
                r = max(r, records[at])  # nobody is known before that beat
        return found

    def windows(
        self,
        rows: WindowRows,
        offset: npt.NDArray[np.int64],
        appended_ms: npt.NDArray[np.int64],
        series: Interner[Series],
        units: Interner[str],
    ) -> list[Finding]:
        """Takes closed windows; offset, appended_ms: of the records that closed them."""
        if self._leaks is None:
            return []
        columns = rows.columns
        ids = columns["series"].tolist()
        memory = [i for i, s in enumerate(ids) if series.keys[s][2] == memory_leak.METRIC and not columns["gen"][i]]
        starts = columns["start_ms"]
        found: list[Finding] = []
        for i in sorted(memory, key=lambda i: (int(starts[i]), series.keys[ids[i]])):
            swarm_id, agent_id, _ = series.keys[ids[i]]
            start_ms = int(starts[i])
            found += self._leaks.window(
                swarm_id,
                agent_id,
                units.keys[int(columns["unit"][i])],
                start_ms,
                float(columns["mean"][i]),
                int(columns["first_offset"][i]),
                Place(start_ms + rows.spec.size_ms, int(offset[i]), int(appended_ms[i]), -1),
            )
        return found

    def room(
        self,
        fillings: Sequence[Filling],
        series: Interner[Series],
        events: AcceptedEvents,
        offsets: npt.NDArray[np.int64],
        appended_ms: npt.NDArray[np.int64],
    ) -> list[Finding]:
        """Takes the starts for which windows began to find no room."""
        if self._floods is None:
            return []
        found: list[Finding] = []
        for filling in fillings:
            at, record = filling.at, int(events.record[filling.at])
            windows = Counter((series.keys[s][0], series.keys[s][2]) for s in filling.series.tolist())
            _, agent_id, _ = events.series[int(events.series_idx[at])]
            place = Place(
                int(events.timestamp_ms[at]), int(offsets[record]), int(appended_ms[record]), int(events.idx[at])
            )
            flood = self._floods.full(windows, agent_id, place)
            found += [] if flood is None else [flood]
        return found

    def memories(self) -> dict[str, tuple[int, int]]:
        """Name of the detector -> keys it holds, and at most."""
        return {detector.spec.name: memory_of(detector) for detector in self._on()}

    def state(self) -> dict[str, Any]:
        """For snapshots."""
        return {d.spec.name: d.state() for d in self._on()}

    def restore(self, state: dict[str, Any]) -> None:
        """Loads what `state` saved."""
        for detector in self._on():
            detector.restore(state.get(detector.spec.name, []))

    def _on(self) -> Iterable[Any]:
        return (d for d in (self._gaps, self._beats, self._leaks, self._floods) if d is not None)

    def _beats_of(self, events: AcceptedEvents) -> npt.NDArray[np.intp]:
        """Positions of the heartbeats; each series of the dictionary is looked at once."""
        if events.series is not self._entries:
            self._entries, self._is_beat, self._any_beat = events.series, np.empty(0, dtype=bool), False
        known = len(self._is_beat)
        if known < len(events.series):
            new = np.array([s[2] == heartbeat.METRIC for s in events.series[known:]], dtype=bool)
            self._is_beat = np.concatenate([self._is_beat, new])
            self._any_beat = self._any_beat or bool(new.any())
        if not self._any_beat:
            return np.empty(0, dtype=np.intp)
        return np.flatnonzero(self._is_beat[events.series_idx])


def of_swarm(finding: Finding, record: int, events: AcceptedEvents) -> Finding:
    """A finding about a record, with the swarm of the record's first event; '' when it has none."""
    at = int(np.searchsorted(events.record, record))
    if at >= len(events) or int(events.record[at]) != record:
        return finding
    return msgspec.structs.replace(finding, swarm_id=events.series[int(events.series_idx[at])][0])
