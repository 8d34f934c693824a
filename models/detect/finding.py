"""What a named detector says, and what is known about the detector itself.

In: nothing. Out: `Finding`, `DetectorSpec`, `Limit`. Never: a claim without the numbers it rests on.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

from msgspec import Struct

from models.events import ActivityKind

Severity = Literal["low", "medium", "high", "critical"]

# A rule has no probability. The score of its record is the lower end of its severity's band in docs/anomalies.md, so
# that one threshold on the score treats both kinds of anomalies alike.
SCORE_OF: Final[dict[Severity, float]] = {"low": 0.999, "medium": 0.9999, "high": 0.99999, "critical": 0.999999}
EVERY_KIND: Final[frozenset[str]] = frozenset(get_args(ActivityKind))
EVIDENCE_TEXT_MAX: Final = 256  # characters of one evidence value: an identifier's longest


class Place(NamedTuple):
    """Where in the log, and when, something was seen."""

    at_ms: int  # event time
    offset: int
    appended_ms: int = 0  # append time of the record
    idx: int = 0  # position of the event in its record; -1: the record as a whole


class Finding(Struct, frozen=True, gc=False, kw_only=True):
    """One thing found. `began` and `place` span the evidence; `subject` tells findings of one agent apart."""

    detector: str
    swarm_id: str
    agent_id: str
    metric: str  # what was counted or measured
    unit: str
    began: tuple[int, int]  # event time and offset of the first evidence
    place: Place  # of the last
    value: float
    low: float = 0.0  # the range that would have been no finding
    high: float
    severity: Severity
    reason: str
    subject: str = ""
    evidence: dict[str, str] = {}


class Limit(NamedTuple):
    """One constant of a detector."""

    name: str
    value: float
    unit: str
    reason: str


class DetectorSpec(NamedTuple):
    """One row of the catalogue of detectors."""

    name: str
    version: int  # raised with every change of what it finds
    finds: str
    reads: str  # which events and fields
    limits: tuple[Limit, ...]
    delay: str  # how soon after the fault
    blind: str  # what it cannot see
    action: str  # what an advisory proposes; empty: nothing to act on at once


def short(text: str) -> str:
    """Evidence text within its bound."""
    return text if len(text) <= EVIDENCE_TEXT_MAX else text[: EVIDENCE_TEXT_MAX - 1] + "…"
