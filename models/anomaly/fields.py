"""Where each number of a series' state stands in its flat vector of doubles.

In: nothing. Out: one index a name. Never: logic.

A flat `array('d')` costs 8 bytes a number, a slot with a boxed float 32: 100,000 series are 30 MB instead of
120 MB. Times and counts are exact in a double far beyond their range.
"""

from __future__ import annotations

from typing import Final

# The level: weighted number, mean and variance of the magnitudes' logarithms, and of the values themselves.
LOG_N, LOG_MEAN, LOG_VAR, LIN_N, LIN_MEAN, LIN_VAR = range(6)
# Steps from window to window (mean square), and what the last window was.
STEP_N, STEP_MS, PREVIOUS, PREVIOUS_AT_MS, SPACING_MS = range(6, 11)
EVENTS = 11  # usual number of events of a window
# Windows at zero, others; which of the two the latest row of windows is (0, 1), and how rare the row is.
ZEROS, OTHERS, ROW_CLASS, ROW_LOG_P = range(12, 16)
# Peaks above and below: number, mean excess, its variance; windows they were looked for in.
UP_N, UP_MEAN, UP_VAR, DOWN_N, DOWN_MEAN, DOWN_VAR, PEAKS_SEEN = range(16, 23)
# The current row of windows off the level: length, side (-1, 1), its rarest verdict (0: none was), its level.
RUN_N, RUN_SIDE, RUN_ONSET, RUN_LOG_N, RUN_LOG_MEAN, RUN_LOG_VAR = range(23, 29)
RUN_LIN_MEAN, RUN_LIN_VAR, RUN_HITS, RUN_TRIALS = range(29, 33)
REAL = 33  # 1 once a negative value was seen: no logarithms from then on
ONES = 34  # 1 while every window held only zeros and ones
HITS, TRIALS = 35, 36  # their ones, their events
SEEN = 37  # closed windows so far
# The alarm: 1 while an event lasts, windows in a row below the bar, windows since it fired (-1: never).
EVENT_ON, QUIET, SINCE = 38, 39, 40

MIXED = 41  # windows that held zeros and ones side by side

# The last few windows together: fading mean of their deviations, and the peaks of that mean.
DRIFT, DRIFT_UP_N, DRIFT_UP_MEAN, DRIFT_UP_VAR, DRIFT_DOWN_N, DRIFT_DOWN_MEAN, DRIFT_DOWN_VAR = range(42, 49)
RECENT_HITS, RECENT_TRIALS = (
    49,
    50,
)  # ones and events of a zero-one series not yet handed over to HITS, TRIALS

SURPLUS = 51  # variance of their rate over what chance alone gives, fading mean

# Everything it was seen at: windows in the range, the range, the block that waits to widen it, the newest block.
SPAN_N, SPAN_LOW, SPAN_HIGH, BEFORE_LOW, BEFORE_HIGH, BLOCK_N, BLOCK_LOW, BLOCK_HIGH = range(52, 60)

SIZE: Final = 60
