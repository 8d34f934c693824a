"""What a publisher did with the events it was given.

In: nothing. Out: `Stats`, one moment's counts. Never: a number that was not counted.

At rest: emitted + recovered = acknowledged + every dropped_* + buffered + spool_events.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Stats:
    """Counts are events (metric events and activities) unless the name says records or bytes."""

    emitted: int = 0  # every event given to emit() or activity(); an object value counts once a numeric leaf
    recovered: int = 0  # events found in the spool of an earlier process
    acknowledged: int = 0  # stored by the broker
    acknowledged_metrics: int = 0
    acknowledged_activities: int = 0
    dropped_buffer_full: int = 0  # oldest first, when memory is full and there is no spool, or it is behind
    dropped_spool_full: int = 0  # oldest first, when the spool reached its bound
    dropped_sampled: int = 0  # left out on purpose; the kept ones carry the weight
    dropped_invalid: int = 0  # broke a rule of the event model; see invalid_reason
    dropped_closed: int = 0  # given after close(), or still unsent at its deadline without a spool
    dropped_spool_corrupt: int = 0  # in spool entries with a wrong checksum: a damaged disk
    spooled: int = 0  # written to disk (some may be acknowledged since)
    sent_records: int = 0  # records handed to the broker, resends included
    sent_bytes: int = 0  # their encoded size before compression
    retried_records: int = 0  # records sent again because a send failed or its outcome is unknown
    buffered: int = 0  # in memory now
    spool_events: int = 0  # on disk now
    spool_bytes: int = 0
    connected: bool = False
    invalid_reason: str = ""  # the first one
    last_error: str = ""  # of the transport; '' when there was none

    @property
    def dropped(self) -> int:
        """Events that will never arrive, whatever the reason."""
        return (
            self.dropped_buffer_full
            + self.dropped_spool_full
            + self.dropped_spool_corrupt
            + self.dropped_sampled
            + self.dropped_invalid
            + self.dropped_closed
        )
