"""What is compared: name, unit, which direction is better, and how the words for it read.

In: a metric's name. Out: `Measure`. Never: a guess; a metric without a known direction is never ranked.

Measures of tasks and calls are ours; everything else comes from the metric catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from models import metrics

Better = Literal["lower", "higher", "none"]


@dataclass(frozen=True, slots=True)
class Measure:
    """`derived`: how the value of one unit of analysis comes from the rows of the query."""

    name: str
    unit: str
    better: Better
    label: str
    derived: str


ACRONYMS: Final = {"cpu": "CPU", "gpu": "GPU", "io": "I/O"}
_TASK: Final = "one value a task, the mean of its repeats"
_CALLS: Final = "mean over the calls of one unit"
_RATE: Final = "sum of costs over all tasks, failed ones too, divided by the number of successful tasks"


def _own(name: str, label: str, derived: str) -> Measure:
    """A measure of activities that the catalogue knows: unit and direction are the catalogue's."""
    spec = metrics.BUILT_IN.lookup(name)
    assert spec is not None, f"{name} must be in the metric catalogue"
    return Measure(name, spec.unit, spec.better, label, derived)


MEASURES: Final[dict[str, Measure]] = {
    m.name: m
    for m in (
        Measure("task_success", "ratio", "higher", "task success", "share of a task's repeats that succeeded"),
        _own("task_duration", "task duration", _TASK),
        _own("cost_usd", "cost per task", _TASK),
        Measure("cost_usd_per_success", "USD", "lower", "cost per successful task", _RATE),
        _own("model_call_duration", "model call duration", _CALLS),
        _own("tool_duration", "tool call duration", _CALLS),
        _own("input_tokens", "uncached input tokens per task", _TASK),
        _own("cache_read_tokens", "cache read tokens per task", _TASK),
        Measure("cache_write_tokens", "tokens", "none", "cache write tokens per task", _TASK),
        _own("output_tokens", "output tokens per task", _TASK),
    )
}

TASK_MEASURES: Final = tuple(name for name in MEASURES if name not in {"model_call_duration", "tool_duration"})
CALL_MEASURES: Final[dict[str, str]] = {"model_call_duration": "model_call", "tool_duration": "tool_call"}


def measure_of(name: str, unit: str = "") -> Measure:
    """The measure of a task, a call, or a metric of the catalogue; `unit` is what its events carry."""
    if name in MEASURES:
        return MEASURES[name]
    spec = metrics.lookup(name)
    better: Better = spec.better if spec is not None else "none"
    known_unit = spec.unit if spec is not None else ""
    return Measure(name, unit or known_unit, better, _words(name), "weighted mean of an agent's events")


def _words(name: str) -> str:
    """`cpu_usage` as people write it: CPU usage."""
    return " ".join(ACRONYMS.get(word, word) for word in name.split("_"))
