"""How long and on what: the scale of a chaos run.

In: MURMUR_CHAOS_SECONDS, MURMUR_CHAOS_SEED, MURMUR_CHAOS_BROKER. Out: durations, the seed, the brokers.
Never: changes what a scenario checks.
"""

from __future__ import annotations

import os
from typing import Final

SEED: Final = int(os.environ.get("MURMUR_CHAOS_SEED", "1"))
BROKER: Final = os.environ.get("MURMUR_CHAOS_BROKER", "")
LONG_S: Final = float(os.environ.get("MURMUR_CHAOS_SECONDS", "0"))
LONG: Final = LONG_S > 0


def seconds(short: float) -> float:
    """Seconds of faults: `short` with the other tests, else what was asked for."""
    return LONG_S or short


def replay(test: str, node: str) -> str:
    """The line that runs this test again, at this scale."""
    if not LONG:
        return f"MURMUR_CHAOS_SEED={SEED} .venv/bin/python -m pytest '{node}'"
    return f"make chaos SECONDS={LONG_S:g} SEED={SEED} BROKER={BROKER or 'embedded'} CHAOS={test}"
