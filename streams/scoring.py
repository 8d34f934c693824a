"""One anomaly scorer a series, fed with its closed windows in order.

In: closed on-time windows of the smallest size. Out: rows of `anomalies`. Never: more than `series_max` scorers;
depends on chunk boundaries: windows close in order of their end, and within one end in order of the series' names.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from models.anomaly import Scorer, Verdict, WindowPoint, change_point, new_scorer, restore_scorer
from models.anomaly.factory import Mode
from models.anomaly.fences import SENSITIVITY
from models.anomaly.full_tuning import STRONGEST
from models.anomaly.peer_tuning import HUSH_WINDOWS
from models.settings import AnomalyMode
from models.windows.operator import WindowRows
from streams.change_rows import change_row
from streams.interning import Interner, Series
from streams.peer_scoring import PeerGroups, peer_fields
from streams.result_rows import Origin
from streams.swarm_scoring import Spoken, SwarmBank, combined_row

# Full scorers a partition makes in auto mode: 2,000 of them hold 20 MB and ask 50 ms for each of their closing windows.
FULL_SERIES_MAX: Final = 2_000
# A series that has lived is worth remembering over a night or a week: real hosts sleep for hours, and what they do
# first after that may be the incident. One of a few windows has taught next to nothing.
SETTLED_WINDOWS: Final = 200
SETTLED_IDLE_RATIO: Final = 168  # of `series_idle_ms`: a week for the default hour
_POINT_COLUMNS: Final = ("start_ms", "events", "weight", "mean", "min", "max", "m2", "last")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list).decode  # text, numbers and bytes: no typed union holds all three


@dataclass(frozen=True, slots=True)
class Closing:
    """For each row of `rows`: the offset and append time of the record whose events closed it."""

    rows: WindowRows
    offset: npt.NDArray[np.int64]
    appended_ms: npt.NDArray[np.int64]


class Held:
    """What is kept of one series."""

    __slots__ = ("change", "end_ms", "hush", "scorer", "windows")

    def __init__(self, scorer: Scorer, end_ms: int, hush: int, change: array[float], windows: int = 0) -> None:
        self.scorer = scorer
        self.end_ms = end_ms  # of the last window
        self.windows = windows  # closed so far, up to SETTLED_WINDOWS
        self.hush = hush  # windows for which it has nothing to say, because its peers told of it
        self.change = change  # models/anomaly/change_point.py


class ScorerBank:
    """The scorers of one partition: those of short-lived and of settled series, each longest-silent first."""

    def __init__(
        self,
        *,
        series_max: int,
        series_idle_ms: int,
        score_min: float,
        mode: AnomalyMode = "auto",
        sensitivity: float = 0.0,
    ) -> None:
        self._series_max = series_max
        self._idle_ms = (series_idle_ms, series_idle_ms * SETTLED_IDLE_RATIO)
        self._score_min = score_min
        self._mode = mode
        self._sensitivity = sensitivity
        self._young: OrderedDict[Series, Held] = OrderedDict()
        self._settled: OrderedDict[Series, Held] = OrderedDict()
        self._by_peers = mode not in SENSITIVITY  # the textbook methods speak for themselves alone
        self.peers = PeerGroups()
        self.swarms = SwarmBank(swarms_max=series_max, idle_ms=series_idle_ms, score_min=score_min)

    def __len__(self) -> int:
        return len(self._young) + len(self._settled)

    def score(
        self, closing: Closing, origin: Origin, series: Interner[Series], units: Interner[str]
    ) -> list[dict[str, Any]]:
        """Feeds every on-time window to its series' scorer; returns rows of `anomalies`, also of whole swarms."""
        c = closing.rows.columns
        names = [series.keys[i] for i in c["series"].tolist()]
        window_ms = closing.rows.spec.size_ms
        anomalies = []
        groups: dict[tuple[int, str], list[tuple[float, int]]] = {}  # a swarm's window -> its series' scores and rows
        for at in _window_by_window(closing.rows):
            points, first_offsets = _points(closing.rows, at), c["first_offset"][at].tolist()
            start_ms, rows = int(c["start_ms"][at[0]]), at.tolist()
            for k in sorted(range(len(rows)), key=lambda k: names[rows[k]]):
                i, point = rows[k], points[k]
                name = names[i]
                held = self._hold(name, start_ms + window_ms)
                verdict = held.scorer.step(point)
                if verdict.score is not None:
                    groups.setdefault((start_ms, name[0]), []).append((verdict.score, i))
                alarm = None
                if verdict.alarm or held.hush or (verdict.score is None and self._by_peers):
                    alarm = self._tell(held, name, point, verdict)
                change = change_point.step(held.change, point, first_offsets[k])
                if alarm or change:
                    row = _row(closing, i, name, origin) | {"unit": units.keys[int(c["unit"][i])]}
                    if alarm:
                        anomalies.append(row | alarm)
                    if change:
                        anomalies.append(change_row(row, change, origin))
        for (start_ms, swarm_id), spoken in groups.items():
            scores: dict[str, list[float]] = {}
            for score, i in spoken:
                scores.setdefault(names[i][1], []).append(score)
            together = self.swarms.judge(swarm_id, scores, start_ms, window_ms)
            if together is not None:
                strongest = sorted(spoken, key=lambda one: (-one[0], names[one[1]]))[:STRONGEST]
                told = [_spoken(closing, i, names[i], score) for score, i in strongest]
                anomalies.append(combined_row(told, len(scores), together, start_ms, window_ms, origin))
        return anomalies

    def state(self) -> list[list[Any]]:
        """[[swarm, agent, metric, end of last window, windows, hush, change, scorer], ...], longest-silent first.

        Each scorer's numbers become bytes at once: 100,000 scorers are 5 million numbers, 170 MB as Python's.
        """
        return [
            [*name, held.end_ms, held.windows, held.hush, held.change.tobytes(), _encode(held.scorer.state())]
            for held_by_name in (self._young, self._settled)
            for name, held in held_by_name.items()
        ]

    def restore(self, state: list[list[Any]]) -> None:
        """Loads what `state` saved."""
        self._young, self._settled, self.peers = OrderedDict(), OrderedDict(), PeerGroups()
        for swarm, agent, metric, end_ms, windows, hush, change, scorer in state:
            name = (swarm, agent, metric)
            held = Held(restore_scorer(_decode(scorer)), end_ms, hush, array("d", change), windows)
            (self._settled if windows >= SETTLED_WINDOWS else self._young)[name] = held
            self.peers.add(name, held)

    def _hold(self, name: Series, end_ms: int) -> Held:
        """What is kept of the series, for a window that ends at end_ms."""
        self._forget_silent(end_ms)
        held = self._young.pop(name, None) or self._settled.pop(name, None)
        if held is None:
            if len(self) >= self._series_max:
                self._forget_one()
            mode = self._mode_of_next()
            fresh = new_scorer(name[2], score_min=self._score_min, mode=mode, sensitivity=self._sensitivity)
            held = Held(fresh, end_ms, 0, change_point.fresh())
            self.peers.add(name, held)
        held.end_ms = end_ms
        held.windows = min(held.windows + 1, SETTLED_WINDOWS)
        (self._settled if held.windows >= SETTLED_WINDOWS else self._young)[name] = held
        return held

    def _forget_silent(self, end_ms: int) -> None:
        """Windows close in order of their end, so the head of each dictionary is its longest-silent series."""
        for held_by_name, idle_ms in zip((self._young, self._settled), self._idle_ms, strict=True):
            while held_by_name:
                name, oldest = next(iter(held_by_name.items()))
                if oldest.end_ms >= end_ms - idle_ms:
                    break
                del held_by_name[name]
                self.peers.remove(name, oldest)

    def _forget_one(self) -> None:
        """Makes room: the series that has been silent for longest goes."""
        heads = [next(iter(d.values())).end_ms if d else math.inf for d in (self._young, self._settled)]
        self.peers.remove(*(self._young if heads[0] <= heads[1] else self._settled).popitem(last=False))

    def _tell(self, held: Held, name: Series, point: WindowPoint, verdict: Verdict) -> dict[str, Any] | None:
        """The alarm's own columns: the scorer's, or of a series that is still learning its peers'."""
        if held.hush:
            held.hush -= 1
            return None
        if verdict.alarm:
            return _scored_fields(held.scorer, verdict)
        told = self.peers.judge(name, held, point)
        if told is None or told.score < self._score_min:
            return None
        held.hush = verdict.learning_left + HUSH_WINDOWS
        return peer_fields(told, point, verdict.learning_left)

    def _mode_of_next(self) -> Mode:
        """How a new series is scored: its number among those held is a function of the log alone."""
        if self._mode == "auto":
            return "full" if len(self) < FULL_SERIES_MAX else "lean"
        return self._mode


def _window_by_window(rows: WindowRows) -> Iterator[npt.NDArray[np.intp]]:
    """The rows of on-time windows, those of one window of time after those of another."""
    starts = rows.columns["start_ms"]
    order = np.flatnonzero(rows.columns["gen"] == 0)
    order = order[np.argsort(starts[order], kind="stable")]
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(starts[order])) + 1)


def _points(rows: WindowRows, at: npt.NDArray[np.intp]) -> list[WindowPoint]:
    """These rows' statistics; column by column, because a window alone would cost two microseconds."""
    c = {name: rows.columns[name][at] for name in _POINT_COLUMNS}
    return list(
        map(
            WindowPoint,
            c["start_ms"].tolist(),
            repeat(rows.spec.size_ms),
            c["events"].tolist(),
            c["weight"].tolist(),
            c["mean"].tolist(),
            c["min"].tolist(),
            c["max"].tolist(),
            np.sqrt(c["m2"] / c["weight"]).tolist(),
            c["last"].tolist(),
        )
    )


def _spoken(closing: Closing, i: int, name: Series, score: float) -> Spoken:
    c = closing.rows.columns
    return Spoken(
        score,
        name,
        from_offset=int(c["first_offset"][i]),
        to_offset=int(c["last_offset"][i]),
        closed_offset=int(closing.offset[i]),
        appended_ms=int(closing.appended_ms[i]),
    )


def _row(closing: Closing, i: int, name: Series, origin: Origin) -> dict[str, Any]:
    """The columns that every row about a window has."""
    c = closing.rows.columns
    return {
        "anomaly_id": origin.row_id(*name, str(closing.rows.spec.size_ms), str(int(c["start_ms"][i]))),
        "swarm_id": name[0],
        "agent_id": name[1],
        "metric": name[2],
        "window_ms": closing.rows.spec.size_ms,
        "window_start": int(c["start_ms"][i]),
        "detected_at": int(closing.appended_ms[i]),
        "value": float(c["mean"][i]),
        **origin.fields(int(closing.offset[i])),
        "evidence_from_offset": int(c["first_offset"][i]),
        "evidence_to_offset": int(c["last_offset"][i]),
    }


def _scored_fields(scorer: Scorer, verdict: Verdict) -> dict[str, Any]:
    return {
        "expected_low": verdict.expected_low,
        "expected_high": verdict.expected_high,
        "score": verdict.score,
        "severity": verdict.severity,
        "direction": verdict.direction,
        "detector": scorer.name,
        "detector_version": scorer.version,
        "reason": verdict.reason,
        "evidence": [],
    }
