"""What rules look at: one measurement over a span of event time, wherever it came from.

In: nothing. Out: `Sample`. Never: knows the topic a sample was read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

SWARM, AGENT, ACTIVITY, ANOMALY = "swarm", "agent", "activity", "anomaly"
# What a sample is a measurement of; a rule reads one of them.
SOURCES: Final = (SWARM, AGENT, ACTIVITY, ANOMALY)
PERCENTILES: Final = ("p50", "p90", "p95", "p99")


class Sample(NamedTuple):
    """Statistics of one series over [start_ms, end_ms); a single activity or anomaly has start_ms == end_ms.

    `identity`: the same for versions of the same thing; `ver`: the highest wins. `final`: it will not change any more.
    """

    source: str
    metric: str
    labels: Mapping[str, str]  # swarm, agent, role, model, severity: those the source knows
    start_ms: int
    end_ms: int
    identity: str
    ver: int
    events: float  # weighted number of events
    sum: float
    min: float
    max: float
    last: float
    last_ms: int
    percentiles: tuple[float, ...] = ()  # in the order of PERCENTILES; empty: none are known
    tags: Mapping[str, str] = {}
    final: bool = True
    cut: str = ""  # the partition of the log it came from: what its watermark is kept for


def single(
    source: str,
    metric: str,
    labels: Mapping[str, str],
    at_ms: int,
    identity: str,
    *,
    value: float,
    weight: float = 1.0,
    tags: Mapping[str, str] | None = None,
) -> Sample:
    """The sample of one value at one moment."""
    return Sample(
        source=source,
        metric=metric,
        labels=labels,
        start_ms=at_ms,
        end_ms=at_ms,
        identity=identity,
        ver=0,
        events=weight,
        sum=value * weight,
        min=value,
        max=value,
        last=value,
        last_ms=at_ms,
        tags=tags or {},
    )
