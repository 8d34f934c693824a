"""Every constant of the scorers, each with its unit and reason, and the fingerprint of them all.

In: nothing. Out: constants, `fingerprint()`. Never: River, a setting.

A change of any of them changes verdicts, so the fingerprint is part of the fold's configuration hash.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from typing import Final

from models.anomaly import change_tuning, full_tuning, peer_tuning

NAME: Final = "river_tail"
VERSION: Final = 2
WARM_UP_WINDOWS: Final = 12  # below it a predictive interval is wider than any fault worth an alarm
LEVEL_WINDOWS: Final = 200.0  # memory of level and spread: older windows fade
PEAKS_WINDOWS: Final = 2_000.0  # memory of the tails: longer, peaks are rare
COUNT_WINDOWS: Final = 1_000.0  # memory of the share of zeros
MATURE_WINDOWS: Final = 200.0  # from here on the learned tails speak alone, if they hold enough peaks
PEAKS_MIN: Final = 12.0  # peaks a learned tail needs to speak alone
PEAKS_DOUBT: Final = 5.0  # peaks from which a learned tail may widen a young series' one
PEAK_EXCESS_FIRST: Final = 2.0  # and before a usual excess is known, this many standard deviations
PEAK_EXCESS_MAX: Final = 5.0  # a peak teaches at most this multiple of the usual excess
STEPS_MIN: Final = 5.0  # steps seen before a step is judged
GAP_RATIO_MAX: Final = 100.0  # a longer gap widens an expected step no further
SEEN_BEFORE: Final = 3.0  # so many zeros (non-zeros) and their share is known from the series itself
PEAK_BAR: Final = 1.5  # standard deviations from which a deviation is a peak: 7 % a side of normal noise
MATERIAL_RATIO: Final = 0.03  # no spread counts below 3 % of the level: so little change is no news to anyone
ZERO_MAX: Final = 1e-9  # smaller magnitudes count as zero: float residue of sums that cancel
MAGNITUDE_MAX: Final = 1e140  # real-valued series are clipped here so that squares stay finite
FLAG_P: Final = 0.002  # a window rarer than this (one side) teaches at FLAG_WEIGHT
FLAG_WEIGHT: Final = 0.1
WEIGHT_MIN: Final = 0.01  # a thin window teaches at least this much
Z_MAX: Final = 1e3  # standard deviations; more says nothing more
CLIP_Z: Final = 4.0  # and is pulled to this many standard deviations while learned
RUN_P: Final = 0.001  # a window rarer than this, by level alone, may be part of a new level
REBASELINE_WINDOWS: Final = 20  # so many in a row on one side become the level
RARE_SHARE: Final = 0.25  # zeros (or non-zeros) rarer than this: a row of them is rarer with every window
PRIOR_LOG_SD: Final = 1.0  # spread assumed for magnitudes of which fewer than WARM_UP_WINDOWS were seen
SPARSE_GAIN: Final = 4.0  # a series with a quarter zeros keeps that prior at full weight
EVENTS_RATIO_MAX: Final = 100.0  # the spread of a thin window is widened by at most the root of this
BERNOULLI_TOLERANCE: Final = 1e-6  # |E x - E x^2| below which a window held only zeros and ones
RATE_FADE: Final = 0.995  # memory of a zero-one series' rate: about 200 windows
DRIFT_SHARE: Final = 0.25  # weight of the newest window in the mean of the last few: about 7 windows
MEMORY_MAX: Final = 0.99  # of the last deviation in what the next window is expected to be
RECENT_EVENTS: Final = 32.0  # events the recent windows of a zero-one series should hold
RECENT_SHARE_MIN: Final = 0.02  # but no more than about 50 windows
CORRELATION_MAX: Final = 0.95  # of neighbouring windows; beyond it the mean of a few says no more than one
ODD_P: Final = 0.005  # a window rarer than this does not make the rate look restless
SPAN_BLOCK_WINDOWS: Final = 20.0  # the newest one to two blocks stay out of the range: a climb of a quarter of an hour
SPAN_WINDOWS_MIN: Final = 40.0  # in the range before anything is judged by it
SPAN_WINDOWS_MAX: Final = 100.0  # count as independent at most
SPAN_WIDTH_MIN: Final = 0.3  # of the level: a series that hardly moved must leave its range by 15 % to be told
SPAN_FADE: Final = 0.005  # of the range's overhang goes with each block: what was 4,000 windows ago counts a third
SURPLUS_MAX: Final = 9.0  # of one window: an outburst must not make the rate look restless for long
DESIGN_EFFECT: Final = 1.5  # errors come in bursts: so many events carry the information of one
RANGE_Z: Final = 3.2905  # normal deviate of a two-sided 99.9 % range
RANGE_P: Final = 0.0005  # one side of it
REARM_WINDOWS: Final = 10  # quiet windows that end an event; before that nothing fires again
LIFT_DECADES: Final = 1.0  # after an alarm the bar is this many powers of ten higher,
LIFT_WINDOWS: Final = 30.0  # and comes down again with this time constant


def fingerprint() -> str:
    """Sixteen hex digits over every constant above and the installed River: same digits, same verdicts."""
    modules = (globals(), vars(full_tuning), vars(peer_tuning), vars(change_tuning))
    values = {k: v for module in modules for k, v in module.items() if k.isupper()}
    text = repr(sorted(values.items())) + importlib.metadata.version("river")
    return hashlib.sha256(text.encode()).hexdigest()[:16]
