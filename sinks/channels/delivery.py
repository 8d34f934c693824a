"""Tells one channel what waits for it, however long that takes, without holding up anybody else.

In: an outbox, a channel, a clock. Out: outcomes in the outbox. Never: blocks evaluation, tries for ever: a message has
a budget, after which it is undelivered, counted and visible.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from models.alerts.outbox import Outbox, Queued
from models.clock import Clock
from sinks.channels.base import Channel, ChannelError
from sinks.delivery import backoff_s

log = logging.getLogger("sinks.channels")

PAUSE_S_MAX: Final = 30.0  # as for the sinks: a receiver that is back is used again within half a minute


class ChannelDelivery:
    """The messages of one channel, one after the other: an alert is not told after its end."""

    def __init__(
        self,
        channel: Channel,
        outbox: Callable[[], Outbox],
        clock: Clock,
        *,
        budget_ms: int,
        changed: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._outbox = outbox
        self._clock = clock
        self._budget_ms = budget_ms
        self._changed = changed
        self.wake = asyncio.Event()  # something may leave

    async def run(self) -> None:
        """Delivers until cancelled."""
        while True:
            self.wake.clear()
            queued = self._outbox().next_for(self._channel.name)
            if queued is None:
                await self.wake.wait()
                continue
            await self._deliver(queued)

    async def _deliver(self, queued: Queued) -> None:
        queued.attempts += 1
        problem = ""
        try:
            await self._channel.send(queued.message)
        except ChannelError as error:
            pause_s = min(max(backoff_s(queued.attempts, error.retry_after_s), error.retry_after_s), PAUSE_S_MAX)
            spent_ms = self._clock.now_ms() - queued.queued_ms
            if not error.permanent and spent_ms + pause_s * 1000 < self._budget_ms:
                log.warning("channel_retry channel=%s attempt=%d %s", self._channel.name, queued.attempts, error)
                await asyncio.sleep(pause_s)
                return
            problem = str(error)
            log.error(
                "channel_gave_up channel=%s rule=%s attempts=%d %s",
                self._channel.name,
                queued.message.rule,
                queued.attempts,
                error,
            )
        self._outbox().settle(self._channel.name, queued, self._clock.now_ms(), problem=problem)
        self._changed()
