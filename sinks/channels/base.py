"""The port every channel stands behind.

In: a `Message`. Out: nothing, or a classified error. Never: retries (the delivery does), shows a secret in an error.

A channel may get the same message twice (a crash between sending and noting it); it passes the message's key on, so
that a receiver can tell.
"""

from __future__ import annotations

from typing import Protocol

from models.alerts.message import Message


class ChannelError(Exception):
    """A message was not taken; one line. `permanent`: the same message will never be."""

    def __init__(self, message: str, *, permanent: bool = False, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """One place that people look at."""

    name: str

    async def send(self, message: Message) -> None:
        """Returns when the receiver has accepted the message. Raises ChannelError."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...
