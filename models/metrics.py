"""The catalogue of built-in metrics: unit, how to aggregate, which direction is better, possible values.

In: nothing, or further specifications. Out: `Catalogue`, `lookup`.
Never: required. A metric without an entry is stored and windowed all the same; an entry adds meaning for reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from models.events import METRIC_NAME, UNIT_LENGTH_MAX

Kind = Literal["duration", "gauge", "ratio", "count", "cost"]
Aggregation = Literal["distribution", "mean", "sum", "last"]
Better = Literal["lower", "higher", "none"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """What is known about one metric."""

    name: str
    unit: str  # canonical: ms, bytes, ratio (0..1), USD, tokens, 1/s, events; '' for a plain number
    kind: Kind
    aggregation: Aggregation  # distribution: percentiles and mean; sum: totals add up; last: a level; mean: a share
    better: Better
    description: str
    low: float | None = None  # smallest possible value; None: no bound
    high: float | None = None  # largest possible value

    def __post_init__(self) -> None:
        if METRIC_NAME.match(self.name) is None:
            raise ValueError(f"metric {self.name!r}: the name must match [a-z][a-z0-9_.]{{0,127}}")
        if len(self.unit) > UNIT_LENGTH_MAX:
            raise ValueError(f"metric {self.name}: the unit has more than {UNIT_LENGTH_MAX} characters")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"metric {self.name}: low {self.low} is above high {self.high}")
        if not self.description:
            raise ValueError(f"metric {self.name}: a description is required")


class Catalogue:
    """An immutable set of specifications, by name."""

    def __init__(self, specs: Iterable[MetricSpec] = ()) -> None:
        self._specs: dict[str, MetricSpec] = {}
        for spec in specs:
            if spec.name in self._specs:
                raise ValueError(f"metric {spec.name}: it is registered already; a metric has one meaning")
            self._specs[spec.name] = spec

    def register(self, *specs: MetricSpec) -> Catalogue:
        """A catalogue with these metrics added; this one stays as it is."""
        return Catalogue([*self._specs.values(), *specs])

    def lookup(self, name: str) -> MetricSpec | None:
        """The specification of a metric (`TASK_DURATION` finds `task_duration`), or None for a custom one."""
        return self._specs.get(name.lower())

    def unit_of(self, name: str, sent: str = "") -> str:
        """The unit sent with an event, else the catalogue's, else ''."""
        if sent:
            return sent
        spec = self.lookup(name)
        return spec.unit if spec is not None else ""

    def __iter__(self) -> Iterator[MetricSpec]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)


def _duration(name: str, description: str, better: Better = "lower") -> MetricSpec:
    return MetricSpec(name, "ms", "duration", "distribution", better, description, low=0)


def _tokens(name: str, description: str, better: Better = "lower") -> MetricSpec:
    return MetricSpec(name, "tokens", "count", "sum", better, description, low=0)


BUILT_IN: Final = Catalogue(
    [
        _duration("task_duration", "From the start of a task to its end."),
        MetricSpec("memory_usage", "bytes", "gauge", "distribution", "lower", "Resident memory of an agent.", low=0),
        MetricSpec(
            "cpu_usage",
            "ratio",
            "gauge",
            "distribution",
            "lower",
            "CPU time per wall-clock time; 1 is one core fully used, more is possible.",
            low=0,
        ),
        _duration("network_latency", "Round trip of a network request."),
        MetricSpec(
            "error_rate",
            "ratio",
            "ratio",
            "mean",
            "lower",
            "Share of work that failed: 0 or 1 for each finished task, tool call, model call or message.",
            low=0,
            high=1,
        ),
        MetricSpec("throughput", "1/s", "gauge", "mean", "higher", "Units of work finished per second.", low=0),
        _duration("agent_spawn_time", "From the request for an agent until it is ready."),
        _duration("neural_processing_time", "One pass of an agent's own neural component."),
        _duration("model_call_duration", "From the request to a language model to its complete answer."),
        _duration(
            "tool_duration",
            "From the call of a tool to its result; includes a human's approval where there is one.",
        ),
        _duration("session_duration", "From the start of a session to its end.", better="none"),
        _duration("phase_duration", "From the start of a phase to its end."),
        _tokens("input_tokens", "Uncached prompt tokens of a model call."),
        _tokens("output_tokens", "Tokens a model call produced."),
        _tokens("cache_read_tokens", "Prompt tokens a model call read from the cache.", better="none"),
        _tokens("cache_write_5m_tokens", "Prompt tokens a model call wrote to the 5-minute cache.", better="none"),
        _tokens("cache_write_1h_tokens", "Prompt tokens a model call wrote to the 1-hour cache.", better="none"),
        MetricSpec("cost_usd", "USD", "cost", "sum", "lower", "Cost of a model call.", low=0),
        _duration("communication_latency", "From sending a message to another agent until it is received."),
        MetricSpec(
            "queue_depth",
            "events",
            "gauge",
            "distribution",
            "lower",
            "Items that wait to be worked on.",
            low=0,
        ),
        MetricSpec(
            "agent_heartbeat",
            "events",
            "count",
            "sum",
            "none",
            "1 each time an agent says that it is alive, 0 when it signs off; the gap between two is what matters.",
            low=0,
        ),
    ]
)


def lookup(name: str) -> MetricSpec | None:
    """The built-in specification of a metric, or None for a custom one."""
    return BUILT_IN.lookup(name)
