"""How far the recent past lies from its nearest earlier look-alike, whatever its period.

In: values, one a step. Out: a distance, in units of the series' own first spread. Never: a clock, a period, a file's
length, more memory than its window.

For every lag a fading sum of squared differences S <- memory * S + (x now - x then)^2 is kept; the distance is the root
of the smallest. This is the left matrix profile with an exponential window: what came back before is near.
"""

from __future__ import annotations

import math
import threading
from functools import cache
from typing import Final, Self

import numpy as np
import numpy.typing as npt

SLIDE: Final = 16  # steps between two moves of the buffer to its end
SCALED_MAX: Final = 1e6  # values are clipped to this many units: squares stay exact enough in 32 bits
LAGS_MIN: Final = 6  # look-alikes to choose from before one is near or far
Numbers = npt.NDArray[np.float32]


class _Scratch(threading.local):
    """The newest value as an array without dimensions: arithmetic with it takes half the time it takes with a float."""

    def __init__(self) -> None:
        self.value: Numbers = np.zeros((), np.float32)


_scratch = _Scratch()


@cache
def _shared(number: float) -> Numbers:
    """The same for a constant, one for all series."""
    return np.asarray(number, np.float32)


class NearestPast:
    """Ring of the last values, newest first, and one sum a lag, in one buffer: sums, then values."""

    __slots__ = ("_at", "_buffer", "_held", "_lags", "_memory", "_short")

    def __init__(self, *, lags: int, memory: float, lag_min: int) -> None:
        self._memory = _shared(memory)
        self._short = lag_min
        self._lags = lags
        self._held = 0
        self._buffer = np.zeros(2 * lags + SLIDE, np.float32)
        self._at = 2 * lags + SLIDE  # of the newest value

    def step(self, value: float) -> float:
        """The distance of the past that ends with `value`; 0 while too little was seen. Then learn it."""
        if not -SCALED_MAX <= value <= SCALED_MAX:
            value = SCALED_MAX if value > 0.0 else -SCALED_MAX
        at, held, lags, buffer = self._at, self._held, self._lags, self._buffer
        distance = 0.0
        if held:
            newest = _scratch.value
            newest[()] = value
            difference = buffer[at : at + held] - newest
            np.square(difference, difference)
            known = buffer[:held]
            np.multiply(known, self._memory, known)
            np.add(known, difference, known)
            short = self._short
            if held - short >= LAGS_MIN:
                distance = math.sqrt(buffer.item(short + int(known[short:].argmin())))
        if at == lags:
            keep = lags - 1
            buffer[-keep:] = buffer[lags : lags + keep].copy()
            at = lags + SLIDE + 1
        at -= 1
        buffer[at] = value
        self._at = at
        if held < lags:
            self._held = held + 1
        return distance

    def packed(self) -> bytes:
        """Everything it knows: values, then sums, as 32-bit numbers."""
        at, held = self._at, self._held
        return self._buffer[at : at + held].astype("<f4").tobytes() + self._buffer[:held].astype("<f4").tobytes()

    def unpack(self, packed: bytes) -> Self:
        """Loads what `packed` gave."""
        numbers = np.frombuffer(packed, "<f4")
        held = self._held = len(numbers) // 2
        self._at = len(self._buffer) - held
        self._buffer[self._at :] = numbers[:held]
        self._buffer[:held] = numbers[held:]
        return self
