"""Delivers a batch to a sink whatever happens, until it is cancelled.

In: a sink, a batch. Out: its WriteResult. Never: drops a batch, hides a permanent error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sinks.base import Batch, RetryableSinkError, Sink, WriteResult

BACKOFF_FACTOR: Final = 2.0
BACKOFF_S_MAX: Final = 30.0  # a store that is back is used again within half a minute
BACKOFF_S_MIN: Final = 0.05  # a sink that asks for no wait at all must not spin

OnRetry = Callable[[RetryableSinkError, int, float], None]  # error, attempts so far, seconds until the next


async def deliver(sink: Sink, batch: Batch, *, on_retry: OnRetry | None = None) -> WriteResult:
    """Writes `batch`, retrying for ever with growing pauses while the store is away.

    The rows are idempotent, so a write with unknown outcome is simply done again. PermanentSinkError passes through.
    Cancelled, it leaves nothing known to be stored: the batch has to come again.
    """
    attempts = 0
    while True:
        try:
            return await sink.write(batch)
        except RetryableSinkError as error:
            attempts += 1
            pause_s = backoff_s(attempts, error.retry_after_s)
            if on_retry is not None:
                on_retry(error, attempts, pause_s)
        await asyncio.sleep(pause_s)


def backoff_s(attempts: int, retry_after_s: float) -> float:
    """Seconds to wait after this many failures: the sink's own wish, doubled each time, up to BACKOFF_S_MAX."""
    first = max(retry_after_s, BACKOFF_S_MIN)
    # The exponent is bounded so that a night of failures does not overflow a float.
    return float(min(first * BACKOFF_FACTOR ** min(attempts - 1, 32), BACKOFF_S_MAX))
