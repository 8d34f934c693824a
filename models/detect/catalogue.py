"""The catalogue of named detectors: what each finds, reads, allows, and cannot see.

In: nothing. Out: `SPECS`, `spec_of`. Never: a limit that is not the one the detector uses.
"""

from __future__ import annotations

import difflib
import hashlib
from typing import Final

from models.detect import heartbeat, memory_leak, name_flood, telemetry_gap
from models.detect.bank import ACTIVITY_DETECTORS
from models.detect.finding import DetectorSpec

SPECS: Final[tuple[DetectorSpec, ...]] = (
    *(kind.spec for kind in ACTIVITY_DETECTORS),
    heartbeat.SPEC,
    telemetry_gap.SPEC,
    memory_leak.SPEC,
    name_flood.SPEC,
)
NAMES: Final = tuple(spec.name for spec in SPECS)


# Part of the fold's fingerprint: a version or a limit that changes, changes what is found.
DETECTORS_FINGERPRINT: Final = hashlib.blake2b(
    repr([(spec.name, spec.version, [limit[:3] for limit in spec.limits]) for spec in SPECS]).encode(), digest_size=8
).hexdigest()


def names_of(text: str) -> tuple[str, ...]:
    """`loop, token_burn` -> their names, sorted. Raises ValueError for a name that is no detector's."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names.difference(NAMES)):
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise ValueError(f"{name!r} is not a detector" + (f"; did you mean {near[0]}?" if near else ""))
    return tuple(sorted(names))


def spec_of(name: str) -> DetectorSpec | None:
    """The detector of this name, or None."""
    return next((spec for spec in SPECS if spec.name == name), None)
