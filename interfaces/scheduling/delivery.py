"""Sends one message over one channel, with the retries and the budget that alerts have.

In: a message, a channel, since when it waits. Out: what became of it. Never: a second way of retrying:
`sinks.channels.delivery` does it.
"""

from __future__ import annotations

import asyncio

from pydantic import ValidationError

from models.alerts.message import Message
from models.alerts.outbox import Outbox
from models.clock import Clock
from models.settings import Settings
from reports.request import mistakes
from reports.schedule_store import ChannelOutcome
from sinks.channels.base import Channel
from sinks.channels.delivery import ChannelDelivery
from sinks.channels.registry import routes


class ChannelNotReadyError(ValueError):
    """A channel lacks a setting; one line that names it."""


def channel_of(settings: Settings, name: str, email_to: str) -> Channel:
    """The channel with the installation's addresses; `email_to` in place of theirs. Raises ChannelNotReadyError."""
    values = settings.model_dump() | {"alert_channels": name}
    if email_to:
        values["alert_email_to"] = email_to
    try:
        (route,) = routes(Settings(**values))
    except ValidationError as error:
        raise ChannelNotReadyError(mistakes(error).partition(": ")[2]) from None
    return route.channel


async def deliver(
    channel: Channel, message: Message, clock: Clock, *, waits_since_ms: int, budget_ms: int
) -> ChannelOutcome:
    """Tries until the channel has it, refuses it for good, or the budget is spent; then closes the channel."""
    outbox = Outbox()
    outbox.queue(message, channel.name, waits_since_ms)
    outbox.saved = outbox.last  # what it tells is stored already
    settled = asyncio.Event()
    sending = ChannelDelivery(channel, lambda: outbox, clock, budget_ms=budget_ms, changed=settled.set)
    task = asyncio.create_task(sending.run())
    try:
        await settled.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await channel.close()
    (outcome,) = outbox.outcomes
    return ChannelOutcome(
        status=outcome.status, attempts=outcome.attempts, at_ms=outcome.at_ms, problem=outcome.problem
    )
