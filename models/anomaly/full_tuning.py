"""Every constant of the full scorer, each with its unit and reason.

In: nothing. Out: constants. Never: River, a setting. `tuning.fingerprint` covers them.
"""

from __future__ import annotations

from typing import Final

FULL_NAME: Final = "river_full"
FULL_VERSION: Final = 2
VIEWS_FROM_MS: Final = 3_600_000  # of event time before a series has views: most agents have ended, and paid nothing
VIEWS_SPACING_MS: Final = 60_000  # windows so far apart are few: their series has views at once
JOIN_MS: Final = 86_400_000  # and the event time they must have seen: each hour of the day once
JOIN_WINDOWS: Final = 400  # closed windows until the views speak: their tails need some twenty peaks each

# Peaks (peaks.py)
BAR_SHARE: Final = 0.05  # of deviations over the bar
BAR_WINDOWS: Final = 25.0  # the bar starts at the largest of these, about its place
BAR_STEP: Final = 3.0  # the bar moves by this times the rate, relative
BAR_RATE_FIRST: Final = 2.0  # over the number of windows: as a running quantile settles
BAR_RATE_MIN: Final = 0.0003  # and never slower: thousands of windows are remembered
JUDGED_FROM: Final = 50.0  # deviations before one is judged
PEAKS_MIN: Final = 5.0  # excesses before their law is fitted
PEAKS_MEMORY: Final = 1_000.0  # excesses; one in twenty windows is one
EXCESS_MAX: Final = 5.0  # an excess teaches at most this multiple of the usual one
RARITY_FEW_PEAKS_MAX: Final = 7.0  # decades; a jump of a series that never moved
SHAPE_MIN: Final = 1e-6  # of the Pareto law: an exponential one, without dividing by zero
LARGEST_KEPT: Final = 16  # largest deviations remembered of a view
SIMILAR: Final = 0.9  # a remembered deviation of at least this share matches
REPEATS_MIN: Final = 3  # matches from which a deviation is no rarer than its share: a nightly job is no news

# Views (views.py)
PROFILE_RATE: Final = 0.05  # of a window on its hour's mean: about 20 windows
RECENT_WINDOWS: Final = 30.0  # fading memory of the recent level and spread
LONGER_WINDOWS: Final = 120.0  # of the longer look at what the calendar leaves
LEVEL_LONG_WINDOWS: Final = 600.0  # of the level that the recent one is compared with
GAP_WINDOWS_MAX: Final = 4.0  # a gap fades recent means by at most so many windows
PAST_LAGS: Final = 320  # windows searched for a look-alike, one by one,
PAST_MEMORY: Final = 0.97  # fading of their squared differences: some 30 windows are compared
PAST_LAG_MIN: Final = 100  # three times as many: nothing is its own look-alike
COARSE_WINDOWS: Final = 8  # and again on means of so many windows:
COARSE_LAGS: Final = 256  # 2,048 windows back, a week of 5-minute windows
COARSE_MEMORY: Final = 0.9  # some 10 means, 80 windows, are compared
COARSE_LAG_MIN: Final = 30
MATERIAL_SHARE: Final = 0.002  # of the level is added to every law's scale: so little change is no news
TINY: Final = 1e-12  # least scale: rounding is no news

# Extremes (extremes.py)
RECORD_PRIOR: Final = 2.0  # records assumed before any was seen,
RECORD_PRIOR_SHARE: Final = 0.05  # each beating the range by this share of it, as normal noise does
RECORD_SHARE_MAX: Final = 0.2  # a record teaches at most this share
RECORD_SHARE_MIN: Final = 0.02  # a smaller step over the record is none
RECORD_RARITY_MAX: Final = 30.0  # decades

# Stillness (stillness.py)
STILL_LONGEST_MIN: Final = 2.0  # windows: a value that comes twice in a row is no run
STILL_RUNS_MIN: Final = 4.0  # runs before one is judged
STILL_PRIOR: Final = 2.0  # records assumed before any was seen,
STILL_PRIOR_RATIO: Final = 0.7  # each longer than the former one by this, in natural logarithms: twice as long
STILL_RATIO_MAX: Final = 1.0  # a record teaches at most this
STILL_RARITY_MAX: Final = 12.0  # decades
STILL_NEWS_MAX: Final = 8.0  # times the longest run a series may stand still before that is how it is now,
STILL_NEWS_MIN: Final = 10.0  # which is no shorter than this for it, in windows

# Verdict (river_full.py)
UNION_POWER: Final = 2.5  # rarities of views are joined by this norm: one very odd view, or several odd ones
LOOKS_DECADES: Final = 1.55  # nine looks that go together: quiet data of many kinds stay below 1 in 1,000 with this
RARITY_EXACT: Final = 6.0  # decades up to which the score is 1 - 10^-rarity; beyond it grows ever slower,
RARITY_MAX: Final = 12.0  # towards this, so that in a double no two scores tie at 1
RARITY_BEND: Final = 20.0  # decades beyond RARITY_EXACT that use up half of the room

# Several series together (combination.py)
STRONGEST: Final = 3  # a fault of a host seldom shows in one metric alone, and never in all

# Rest after an alarm (rest.py), in usual distances of windows
REST_SHARE: Final = 0.03  # of the windows seen: what a day is to a month
REST_WINDOWS_MIN: Final = 10.0
REST_WINDOWS_MAX: Final = 150.0  # half a day of 5-minute windows, 25 minutes of 10-second ones
REST_LIFT_DECADES: Final = 1.0  # after the rest the bar is so much rarer
REST_LIFT_RESTS: Final = 3.0  # and comes down with this many rests as time constant
