"""Every constant of the change points, each with its unit and reason.

In: nothing. Out: constants. Never: River, a setting. `tuning.fingerprint` covers them.
"""

from __future__ import annotations

from typing import Final

CHANGE_NAME: Final = "change_point"  # stands in the records as the detector
CHANGE_VERSION: Final = 1
CHANGE_SEVERITY: Final = "info"  # no alarm: nothing pages for it
CHANGE_FROM_WINDOWS: Final = 30.0  # of a level before it can be left: its spread and memory must be known
CHANGE_MEMORY_WINDOWS: Final = 500.0  # of a level: a slow wander is followed, a step is not
ALLOWANCE: Final = 0.5  # deviations of one window that are nothing: half of the smallest shift looked for (Page, 1954)
DECISION: Final = 15.0  # summed deviations beyond the allowance that are a change: none in 10,000 quiet windows
NOTED: Final = 1.5  # from this sum on it is noted where it began: chance takes every fifth sum there
HOLD: Final = 4.0  # from this sum on nothing is learned: a level must not follow what may be leaving it
CLIP: Final = 3.0  # deviations; a window says no more than this, so that six in a row at least are needed
LEARN_CLIP: Final = 3.0  # spreads from the level to which a window is pulled while learned
STEP_CLIP: Final = 16.0  # a squared step teaches at most this multiple of the usual one
CHANGE_CORRELATION_MAX: Final = 0.9  # of neighbouring windows: beyond it every step of a wander looked like news
CHANGE_FLOOR_RATIO: Final = 0.03  # no spread counts below 3 % of the level
CHANGE_RATIO_MIN: Final = 0.2  # a level that moved by less than 20 % is followed and not told
LOG_VAR_MAX: Final = 5.0  # of windows in logarithms; more would say that any plain value is usual
