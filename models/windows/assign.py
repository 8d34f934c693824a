"""Assigns event times to windows.

In: timestamps (event time, epoch ms UTC). Out: window starts; a window is half-open `[start_ms, start_ms + size_ms)`.
Never: keeps state, reads a clock.

A tumbling window has step == size; a hopping window's step divides its size, so every event is in size / step windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, order=True)
class WindowSpec:
    """One kind of window. Raises ValueError when the step does not divide the size."""

    size_ms: int
    step_ms: int

    def __post_init__(self) -> None:
        if self.step_ms <= 0 or self.size_ms % self.step_ms:
            raise ValueError(
                f"window of {self.size_ms} ms with step {self.step_ms} ms: the step must divide the size, "
                "else events would belong to a varying number of windows"
            )

    @property
    def windows_per_event(self) -> int:
        """1 for tumbling windows."""
        return self.size_ms // self.step_ms

    def starts_of(self, timestamp_ms: int) -> list[int]:
        """Every window start that holds the timestamp, earliest first."""
        newest = timestamp_ms - timestamp_ms % self.step_ms
        return [newest - k * self.step_ms for k in reversed(range(self.windows_per_event))]

    def newest_starts(self, timestamps_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The newest window start of each timestamp; the others lie k * step_ms before it."""
        return timestamps_ms - timestamps_ms % self.step_ms
