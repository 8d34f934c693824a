"""Makes scorers. River is loaded by `load_river` or with the first scorer, never with this module.

In: a metric's name, or a scorer's state. Out: a `Scorer`. Never: keeps a scorer.
"""

from __future__ import annotations

from typing import Final, Literal

from models.anomaly.fences import SENSITIVITY, FenceScorer
from models.anomaly.full_tuning import FULL_NAME
from models.anomaly.port import Scorer, StateValue
from models.anomaly.tuning import fingerprint

SCORE_MIN_DEFAULT: Final = 0.999  # the default of settings.anomaly_score_min
SCORER_CONFIG_FINGERPRINT: Final = fingerprint()
Mode = Literal["full", "lean", "zscore", "iqr"]


def load_river() -> None:
    """For a process that will make scorers: the libraries take half a second, which would fall on its first window."""
    import models.anomaly.river_full
    import models.anomaly.river_tail  # noqa: F401 - loaded for what comes


def new_scorer(
    metric: str, *, score_min: float = SCORE_MIN_DEFAULT, mode: Mode = "full", sensitivity: float = 0.0
) -> Scorer:
    """A fresh scorer for one series of `metric`, alarming from `score_min` on; `zscore` and `iqr` by `sensitivity`.

    Every metric gets the same scorer today: it learns from the values themselves whether they are positive,
    zero-one or signed. The name is part of the port so that a metric may get its own later.
    """
    from models.anomaly.river_full import RiverFullScorer
    from models.anomaly.river_tail import RiverTailScorer

    if not 0.0 < score_min < 1.0:
        raise ValueError(f"score_min {score_min} for {metric}: a score lies between 0 and 1, for example 0.999")
    if mode == "zscore" or mode == "iqr":
        return FenceScorer(mode, sensitivity=sensitivity or SENSITIVITY[mode])
    return RiverFullScorer(score_min=score_min) if mode == "full" else RiverTailScorer(score_min=score_min)


def restore_scorer(state: list[StateValue]) -> Scorer:
    """The scorer whose `state()` this is. Raises ValueError for the state of another scorer or version."""
    from models.anomaly.river_full import RiverFullScorer
    from models.anomaly.river_tail import RiverTailScorer

    if state and state[0] in SENSITIVITY:
        return FenceScorer.restore(state)
    return (RiverFullScorer if state[:1] == [FULL_NAME] else RiverTailScorer).restore(state)
