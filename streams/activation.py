"""When a new fold version has caught up, on all partitions and in all workers, and may be shown.

In: settings of that version. Out: the moment it holds what the log holds. Never: shows a version of which a part is
still missing: what counts is what the whole group has committed, so any of its workers may judge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from models.clock import Clock
from models.settings import Settings
from streams.log_probe import LogPosition, first_record, positions
from streams.topics import TopicError

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0  # each look opens two connections
CAUGHT_UP_S: Final = 30.0  # how far behind a log that keeps growing a version may be when it is shown
LAST_RECORD_S: Final = 2.0  # how long a record that is there takes to arrive

Place = tuple[str, int]


async def until_caught_up(settings: Settings, clock: Clock) -> None:
    """Returns once the group of this fold version has committed everything the log held CAUGHT_UP_S ago or later."""
    goal: dict[Place, int] = {}
    since_s = 0.0
    while True:
        try:
            found = await positions(settings, group=settings.consumer_group)
            behind = await _behind(settings, found, goal) if goal else sorted(found)
        except TopicError as error:
            log.warning("fold_not_judged %s", error)
            found, behind = {}, [("?", 0)]
        if found and not behind:
            if clock.monotonic_s() - since_s <= CAUGHT_UP_S:
                return
            goal = {}  # reached, but the log has grown meanwhile
        if found and not goal:
            goal, since_s = {place: at.end for place, at in found.items()}, clock.monotonic_s()
            continue  # judged at once: it may have been reached already
        log.info("fold_behind version=%d partitions=%s", settings.fold_version, behind)
        await asyncio.sleep(LOOK_EVERY_S)


async def _behind(settings: Settings, found: Mapping[Place, LogPosition], goal: Mapping[Place, int]) -> list[Place]:
    """Places whose committed offset has not reached the goal, although there are records before it."""
    behind = []
    for place, at in sorted(found.items()):
        committed = max(at.committed or 0, at.earliest)
        if committed >= goal.get(place, 0):
            continue
        first = await first_record(settings, *place, committed, timeout_s=LAST_RECORD_S)
        if first is not None and first.offset < goal[place]:  # else: transaction markers up to the end
            behind.append(place)
    return behind
