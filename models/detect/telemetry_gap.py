"""Finds records that a producer numbered and that never arrived.

In: producer stamps of new records, in log order. Out: findings. Never: judges what came before the first record it saw
of a producer: the log may no longer have it.

A producer counts its records up by one a partition (docs/wire-format.md), so a number that stays missing is a record
that was lost on the way: dropped from a full spool, or never sent after a crash.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

from models.detect.finding import DetectorSpec, Finding, Limit, Place
from models.detect.keyed import Keyed

CONFIRM_RECORDS: Final = 512
RANGES_MAX: Final = 512
PRODUCERS_MAX: Final = 20_000  # of a partition, 100 bytes each

SPEC: Final = DetectorSpec(
    name="telemetry_gap",
    version=1,
    finds="Records that a producer numbered and that never arrived.",
    reads="header `murmur-producer` of every record of both source topics",
    limits=(
        Limit(
            "confirmation",
            CONFIRM_RECORDS,
            "records",
            "of the producer after the gap: no resend of our client comes later",
        ),
        Limit("gaps", RANGES_MAX, "gaps", "of one producer that wait; more than resends within the confirmation make"),
    ),
    delay="512 records of the same producer after the gap",
    blind="Producers without stamps; the end of a producer that went silent for good (see `agent_offline`, and rules "
    "on absence).",
    action="",
)


class _Producer(Struct, array_like=True, gc=False):
    following: int = -1  # sequence number of its next record; -1: none was seen
    records: int = 0  # of it so far, while a gap waits
    missing: list[list[int]] = field(default_factory=list)  # first, last, event time, offset, `records` then


class TelemetryGapDetector:
    """One memory a producer and epoch."""

    spec = SPEC

    def __init__(self) -> None:
        self._producers = Keyed(_Producer, PRODUCERS_MAX)

    def expects(self, producer: str, epoch: int, seq: int) -> bool:
        """Takes the number that follows the last one while none is missing, as nearly all do; else changes nothing."""
        known = self._producers.get(producer, str(epoch))
        if known is None or seq != known.following or known.missing:
            return False
        self._producers.of(producer, str(epoch)).following += 1
        return True

    def observe(self, producer: str, epoch: int, seq: int, place: Place) -> Finding | None:
        """Takes any other number of a record that was not seen before; the finding has no swarm yet."""
        known = self._producers.of(producer, str(epoch))
        if known.following < 0:
            known.following = seq + 1
        elif seq >= known.following:
            if seq > known.following:
                known.missing.append([known.following, seq - 1, place.at_ms, place.offset, known.records])
            known.following = seq + 1
        else:
            known.missing = _without(known.missing, seq)
        return _confirmed(known, producer, epoch, place)

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._producers.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._producers.restore(state)


def _without(missing: list[list[int]], seq: int) -> list[list[int]]:
    """The gaps after this record came after all."""
    kept: list[list[int]] = []
    for first, last, *rest in missing:
        if not first <= seq <= last:
            kept.append([first, last, *rest])
            continue
        if first < seq:
            kept.append([first, seq - 1, *rest])
        if seq < last:
            kept.append([seq + 1, last, *rest])
    return kept


def _confirmed(known: _Producer, producer: str, epoch: int, place: Place) -> Finding | None:
    """The oldest gap, once enough records came after it."""
    if not known.missing:
        known.records = 0
        return None
    known.records += 1
    if known.records - known.missing[0][4] <= CONFIRM_RECORDS and len(known.missing) <= RANGES_MAX:
        return None
    first, last, at_ms, offset, _ = known.missing.pop(0)
    lost = last - first + 1
    return Finding(
        detector=SPEC.name,
        swarm_id="",
        agent_id="",
        metric="missing_records",
        unit="records",
        began=(at_ms, offset),
        place=place,
        value=float(lost),
        high=0.0,
        severity="medium" if lost < 100 else "high",
        reason=f"producer {producer[:8]} numbered {lost} records ({first} to {last}) that never arrived",
        subject=f"{producer}:{epoch}:{first}",
        evidence={
            "producer": producer,
            "epoch": str(epoch),
            "first_missing": str(first),
            "last_missing": str(last),
            "records": str(lost),
        },
    )
