"""How far the recent past lies from its nearest earlier look-alike, whatever its period.

In: values, one a step. Out: a distance, in units of the series' own first spread. Never: a clock, a period, a file's
length, more memory than its window.

For every lag a fading sum of squared differences S <- memory * S + (x now - x then)^2 is kept; the distance is the root
of the smallest. This is the left matrix profile with an exponential window: what came back before is near.
"""

from __future__ import annotations

import math
from typing import Final, Self

import numpy as np

SLIDE: Final = 16  # steps between two moves of the buffer to its end
SCALED_MAX: Final = 1e6  # values are clipped to this many units: squares stay exact enough in 32 bits
LAGS_MIN: Final = 6  # look-alikes to choose from before one is near or far


class NearestPast:
    """Ring of the last values, newest first, and one sum a lag."""

    __slots__ = ("_at", "_held", "_memory", "_short", "_sums", "_values")

    def __init__(self, *, lags: int, memory: float, lag_min: int) -> None:
        self._memory = np.float32(memory)
        self._short = lag_min
        self._held = 0
        self._values = np.zeros(lags + SLIDE, np.float32)
        self._at = lags + SLIDE  # of the newest value
        self._sums = np.zeros(lags, np.float32)

    def step(self, value: float) -> float:
        """The distance of the past that ends with `value`; 0 while too little was seen. Then learn it."""
        scaled = np.float32(min(SCALED_MAX, max(-SCALED_MAX, value)))
        at, held, sums = self._at, self._held, self._sums
        distance = 0.0
        if held:
            difference = self._values[at : at + held] - scaled
            difference *= difference
            known = sums[:held]
            known *= self._memory
            known += difference
            if held - self._short >= LAGS_MIN:
                distance = math.sqrt(np.minimum.reduce(known[self._short :]))
        if at == 0:
            keep = len(sums) - 1
            self._values[-keep:] = self._values[:keep].copy()
            at = SLIDE + 1
        at -= 1
        self._values[at] = scaled
        self._at = at
        if held < len(sums):
            self._held = held + 1
        return distance

    def packed(self) -> bytes:
        """Everything it knows: values, then sums, as 32-bit numbers."""
        held = self._held
        return self._values[self._at : self._at + held].astype("<f4").tobytes() + (
            self._sums[:held].astype("<f4").tobytes()
        )

    def unpack(self, packed: bytes) -> Self:
        """Loads what `packed` gave."""
        numbers = np.frombuffer(packed, "<f4")
        held = self._held = len(numbers) // 2
        self._at = len(self._values) - held
        self._values[self._at :] = numbers[:held]
        self._sums[:held] = numbers[held:]
        return self
