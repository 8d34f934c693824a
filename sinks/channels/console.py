"""Messages as lines of text: the terminal, or the log of a container.

In: messages, a stream. Out: lines. Never: control characters from data.
"""

from __future__ import annotations

import sys
from typing import TextIO

from models.alerts.message import Message, utc
from sinks.channels.base import ChannelError


class ConsoleChannel:
    """The `Channel` over a text stream; standard output unless another is given."""

    name = "console"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, message: Message) -> None:
        """Writes title, lines and action."""
        stream = self._stream or sys.stdout
        action = [f"  do: {message.action}"] if message.action else []
        lines = [f"{utc(message.at_ms)} {message.title}", *(f"  {line}" for line in message.lines), *action]
        try:
            stream.write("".join(f"{_safe(line)}\n" for line in lines))
            stream.flush()
        except (OSError, ValueError) as error:
            raise ChannelError(f"console: cannot be written: {error}") from None

    async def close(self) -> None:
        """The stream belongs to the process."""


def _safe(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
