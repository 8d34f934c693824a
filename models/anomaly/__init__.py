"""Anomaly scores of series, on closed event-time windows: the port, its factory and River behind it."""

from models.anomaly.factory import SCORER_CONFIG_FINGERPRINT, load_river, new_scorer, restore_scorer
from models.anomaly.port import Scorer, Verdict, WindowPoint

__all__ = [
    "SCORER_CONFIG_FINGERPRINT",
    "Scorer",
    "Verdict",
    "WindowPoint",
    "load_river",
    "new_scorer",
    "restore_scorer",
]
