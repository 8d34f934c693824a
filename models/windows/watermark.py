"""The watermark: the event time up to which a partition's windows are complete.

In: event times of accepted events, record by record. Out: the watermark before and after each record.
Never: falls; looks at a clock. Events too far ahead of their record's append time never get here (dead letters),
so that one fast clock cannot make every honest event late.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NOT_YET = -1  # no event seen: nothing is late


def watermarks(
    before_ms: int, record_of_event: npt.NDArray[np.int32], timestamps_ms: npt.NDArray[np.int64], records: int
) -> npt.NDArray[np.int64]:
    """`records + 1` values: [r] is the watermark before record r, [r + 1] after it.

    A record is one unit: its own events do not make each other late, so the result does not depend on the order of
    events within a record, nor on how records are grouped into chunks.
    """
    newest = np.full(records + 1, before_ms, dtype=np.int64)
    np.maximum.at(newest, record_of_event + 1, timestamps_ms)
    return np.maximum.accumulate(newest)
