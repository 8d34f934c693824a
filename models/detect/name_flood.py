"""Finds who makes up names: a swarm's metric whose series fill the room for open windows.

In: at the first window of a start that finds no room, how many windows of each (swarm, metric) are open. Out: findings.
Never: blames the series that came last: it may be an honest one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from models.detect.finding import DetectorSpec, Finding, Limit, Place, short
from models.detect.keyed import Keyed

MUTE_MS: Final = 600_000
KEYS_MAX: Final = 10_000

SPEC: Final = DetectorSpec(
    name="name_flood",
    version=1,
    finds="Agent names made up anew until windows find no room.",
    reads="every metric event: its series, when more than `open_windows_max` windows of the smallest size are open",
    limits=(
        Limit("mute", MUTE_MS, "ms", "between two findings of one swarm and metric: a flood lasts"),
        Limit("keys", KEYS_MAX, "swarms and metrics", "that are muted at a time"),
    ),
    delay="with the first event whose window finds no room",
    blind="Floods that stay below `open_windows_max`. Made-up metrics and swarms: each is counted for itself, and the "
    "finding then names whichever has most windows, with how many those are. Many honest series fill the room as well.",
    action="",
)


class _Told(Struct, array_like=True, gc=False):
    at_ms: int = -MUTE_MS  # event time of the last finding


class NameFloodDetector:
    """When each swarm and metric was told of last."""

    spec = SPEC

    def __init__(self) -> None:
        self._told = Keyed(_Told, KEYS_MAX)

    def full(self, windows: Mapping[tuple[str, str], int], without_room: str, place: Place) -> Finding | None:
        """`windows`: open ones of each (swarm, metric), at least one; `without_room`: agent of the event at `place`."""
        (swarm_id, metric), most = min(windows.items(), key=lambda item: (-item[1], item[0]))
        told = self._told.of(swarm_id, metric)
        if place.at_ms - told.at_ms < MUTE_MS:
            return None
        told.at_ms = place.at_ms
        total = sum(windows.values())
        return Finding(
            detector=SPEC.name,
            swarm_id=swarm_id,
            agent_id="",
            metric="open_windows",
            unit="windows",
            began=(place.at_ms, place.offset),
            place=place,
            value=float(total + 1),
            high=float(total),
            severity="high",
            reason=f"{total:,} windows are open, as many as may be, {most:,} of them of {short(metric)} in swarm "
            f"{short(swarm_id)}; is a name made up anew for each event there?",
            subject=metric,
            evidence={
                "flooding_metric": short(metric),
                "windows_of_it": str(most),
                "windows_open": str(total),
                "first_agent_without_room": short(without_room),
            },
        )

    def state(self) -> list[Any]:
        """For snapshots."""
        return self._told.state()

    def restore(self, state: list[Any]) -> None:
        """Loads what `state` saved."""
        self._told.restore(state)
