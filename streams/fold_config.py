"""Everything that shapes the results of a fold, and its fingerprint.

In: settings. Out: `FoldConfig`. Never: anything that only changes when or how fast results appear.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from models.anomaly import SCORER_CONFIG_FINGERPRINT
from models.detect.catalogue import DETECTORS_FINGERPRINT
from models.prices import PriceBook
from models.settings import AnomalyMode, Settings

FOLD_CODE: Final = 6  # raised with every change of this code that changes results; part of the fingerprint


@dataclass(frozen=True, slots=True)
class FoldConfig:
    """Everything that shapes results. Two folds with equal fingerprints compute equal states."""

    windows: tuple[tuple[int, int], ...]
    allowed_lateness_ms: int
    future_skew_ms: int
    dedup_ids_max: int
    open_windows_max: int
    series_max: int
    series_idle_ms: int
    anomaly_score_min: float
    anomaly_mode: AnomalyMode
    anomaly_sensitivity: float
    detectors_off: tuple[str, ...]
    prices: PriceBook

    @classmethod
    def of(cls, settings: Settings) -> FoldConfig:
        """The part of the settings that shapes results, with the price book they name."""
        return cls(
            windows=settings.window_specs,
            allowed_lateness_ms=settings.allowed_lateness_ms,
            future_skew_ms=settings.future_skew_ms,
            dedup_ids_max=settings.dedup_ids_max,
            open_windows_max=settings.open_windows_max,
            series_max=settings.series_max,
            series_idle_ms=settings.series_idle_ms,
            anomaly_score_min=settings.anomaly_score_min,
            anomaly_mode=settings.anomaly_mode,
            anomaly_sensitivity=settings.anomaly_sensitivity,
            detectors_off=settings.detectors_off_names,
            prices=PriceBook.load(settings.prices_file),
        )

    def fingerprint(self) -> str:
        """16 hexadecimal digits; changes when any result could."""
        parts = [
            FOLD_CODE,
            SCORER_CONFIG_FINGERPRINT,
            DETECTORS_FINGERPRINT,
            self.prices.fingerprint(),
            *(getattr(self, name) for name in self.__slots__ if name != "prices"),
        ]
        return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
