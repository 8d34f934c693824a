"""Alert rules: what may stand in a rule file, and what each field means.

In: plain mappings. Out: `Rule`, one of six kinds. Never: reads a file (`rule_file` does), evaluates anything.

Durations are text with a unit (`90s`, `5m`, `2h`, `7d`). Thresholds are in the metric's own unit.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from models.alerts.duration import parse_ms, show_ms
from models.alerts.measures import ACTIVITY_MEASURES
from models.alerts.sample import ACTIVITY, AGENT, ANOMALY, PERCENTILES, SWARM
from models.alerts.severity import SEVERITIES, Severity, rank
from models.events import METRIC_NAME

WINDOW_MS_MIN = 10_000  # rules are evaluated every 10 s of event time
WINDOW_MS_MAX = 86_400_000  # one day: what the state of a series must stay small for
BASELINE_WINDOWS_MAX = 48  # totals kept a series
PARTS_MAX = 60  # of a window: how many rows of the stream one evaluation adds up

Duration = Annotated[int, BeforeValidator(parse_ms)]
Label = Literal["swarm", "agent", "role", "model"]
Aggregation = Literal["count", "sum", "mean", "min", "max", "last", "rate", "p50", "p90", "p95", "p99"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Pattern = Annotated[str, Field(min_length=1, max_length=256)]  # `*` and `?` match as in file names


def _metric(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    if METRIC_NAME.match(name.lower()) is None:
        raise ValueError(f"{name!r} is not a metric name: lower-case letters, digits, `_` and `.`, a letter first")
    return name.lower()


Metric = Annotated[str, BeforeValidator(_metric)]


class Filters(BaseModel):
    """Which series a rule looks at; what is left out matches everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    swarm: Pattern = "*"
    agent: Pattern = "*"
    role: Pattern = "*"
    model: Pattern = "*"
    tags: dict[str, Pattern] = Field(default_factory=dict)

    @property
    def needs_activities(self) -> bool:
        """Only activities carry role, model and tags; windows are kept a swarm, an agent and a metric."""
        return self.role != "*" or self.model != "*" or bool(self.tags)


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: Annotated[str, Field(min_length=1, max_length=500)]
    severity: Severity = "warning"
    by: tuple[Label, ...] = ("swarm",)
    for_: Duration = Field(0, alias="for")
    cooldown: Duration = 0
    escalate_after: Duration = 0
    group_by: tuple[Label, ...] = ("swarm",)
    labels: dict[str, str] = Field(default_factory=dict)
    action: Annotated[str, Field(min_length=1, max_length=500)]
    notify: bool = True

    @field_validator("group_by")
    @classmethod
    def _groups_are_labels(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        missing = sorted(set(value) - set(info.data.get("by", value)))
        if missing and info.data.get("by"):
            raise ValueError(f"{', '.join(missing)} is not in `by`: a group is made of labels the alert has")
        return value

    def severity_of(self, value: float) -> str | None:
        """The severity this value has under the rule; None: it breaks nothing."""
        raise NotImplementedError

    def bound_of(self, severity: str) -> float:
        """The limit that a breach of this severity has passed."""
        raise NotImplementedError


class _Measured(_Rule):
    metric: Metric
    filters: Filters = Filters()
    window: Duration

    @field_validator("window")
    @classmethod
    def _window(cls, value: int) -> int:
        if not WINDOW_MS_MIN <= value <= WINDOW_MS_MAX or value % WINDOW_MS_MIN:
            raise ValueError(f"{show_ms(value)}: a multiple of 10s between 10s and 1d")
        return value

    @property
    def source(self) -> str:
        """Where the rule's samples come from."""
        activities = self.metric in ACTIVITY_MEASURES or self.filters.needs_activities
        if activities or {"role", "model"} & set(self.by):
            return ACTIVITY
        return AGENT if "agent" in self.by or self.filters.agent != "*" else SWARM


class _Levelled(_Measured):
    aggregation: Aggregation
    above: float | None = None
    below: float | None = None
    levels: dict[Severity, float] = Field(default_factory=dict)
    direction: Literal["above", "below"] = "above"
    min_events: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> _Levelled:
        given = [
            n
            for n, v in (("above", self.above), ("below", self.below), ("levels", self.levels or None))
            if v is not None
        ]
        if len(given) != 1:
            said = " and ".join(given) or "none of them"
            raise ValueError(f"write exactly one of above, below and levels; there is {said}")
        ordered = [self.levels[name] for name in SEVERITIES if name in self.levels]
        if ordered != sorted(ordered, reverse=self.direction == "below"):
            raise ValueError(
                f"levels must grow worse with the severity: with direction {self.direction} the limits of "
                f"{', '.join(n for n in SEVERITIES if n in self.levels)} are in the wrong order"
            )
        if self.source == ACTIVITY and self.aggregation in PERCENTILES:
            raise ValueError(
                f"{self.aggregation}: percentiles come from the stream's windows, which have no role, model, "
                f"tags or {self.metric}: use mean or max"
            )
        return self

    def _limits(self) -> list[tuple[str, float, bool]]:
        """(severity, limit, upwards), worst first."""
        if self.above is not None:
            return [(self.severity, self.above, True)]
        if self.below is not None:
            return [(self.severity, self.below, False)]
        up = self.direction == "above"
        return [(name, self.levels[name], up) for name in reversed(SEVERITIES) if name in self.levels]

    def severity_of(self, value: float) -> str | None:
        for severity, limit, up in self._limits():
            if value > limit if up else value < limit:
                return severity
        return None

    def bound_of(self, severity: str) -> float:
        # An escalated alert has a severity of its own: then the worst limit it has passed.
        limits = self._limits()
        return next((limit for name, limit, _ in limits if rank(name) <= rank(severity)), limits[-1][1])


class ThresholdRule(_Levelled):
    """Fires while an aggregate over the window is beyond a limit."""

    kind: Literal["threshold"]


class RateRule(_Levelled):
    """Fires while the window is beyond a multiple of what such windows were before: value = window / baseline mean."""

    kind: Literal["rate"]
    aggregation: Literal["count", "sum", "mean", "max"] = "sum"
    baseline: Duration

    @field_validator("baseline")
    @classmethod
    def _baseline(cls, value: int, info: Any) -> int:
        window = info.data.get("window")
        if window and not 3 * window <= value <= BASELINE_WINDOWS_MAX * window:
            raise ValueError(
                f"{show_ms(value)}: between 3 and {BASELINE_WINDOWS_MAX} times the window of {show_ms(window)}"
            )
        if window and value % window:
            raise ValueError(f"{show_ms(value)}: a whole number of windows of {show_ms(window)}")
        return value


class AbsenceRule(_Measured):
    """Fires when a series that was seen before has had no event for the window."""

    kind: Literal["absence"]
    forget_after: Duration = 86_400_000

    @field_validator("forget_after")
    @classmethod
    def _forgets_later(cls, value: int, info: Any) -> int:
        if value <= info.data.get("window", 0):
            raise ValueError(f"{show_ms(value)}: must be longer than the window, else nothing would ever fire")
        return value

    def severity_of(self, value: float) -> str | None:
        return self.severity if value > self.window else None

    def bound_of(self, severity: str) -> float:
        return float(self.window)


class AnomalyRule(_Rule):
    """Fires while there were at least so many anomalies within the window."""

    kind: Literal["anomaly"]
    metric: Metric | Literal["*"] = "*"
    filters: Filters = Filters()
    window: Duration = 300_000
    min_severity: Literal["low", "medium", "high", "critical"] = "high"
    at_least: Annotated[int, Field(ge=1, le=10_000)] = 1

    @model_validator(mode="after")
    def _labels_that_anomalies_have(self) -> AnomalyRule:
        if self.filters.needs_activities or {"role", "model"} & set(self.by):
            raise ValueError("anomalies are known by swarm, agent and metric: leave out role, model and tags")
        return self

    @property
    def source(self) -> str:
        """Anomalies."""
        return ANOMALY

    def severity_of(self, value: float) -> str | None:
        return self.severity if value >= self.at_least else None

    def bound_of(self, severity: str) -> float:
        return float(self.at_least)


class CompositeRule(_Rule):
    """Fires while other rules are broken at the same time, for the same labels."""

    kind: Literal["composite"]
    all: tuple[Name, ...] = ()
    any: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _one_of_them(self) -> CompositeRule:
        if bool(self.all) == bool(self.any):
            raise ValueError("write exactly one of all and any, with the names of other rules")
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """The rules it is made of."""
        return self.all or self.any

    def severity_of(self, value: float) -> str | None:
        return self.severity if value >= (len(set(self.all)) if self.all else 1) else None

    def bound_of(self, severity: str) -> float:
        return float(len(set(self.all)) if self.all else 1)


class SlaRule(_Measured):
    """Fires while the error budget of an objective burns too fast, over the window and over its last twelfth.

    The metric is a share of 0s and 1s; `good: 1` when 1 is good (task_success), 0 when 1 is bad (error_rate).
    A burn rate of 1 spends the budget exactly; value = burn rate.
    """

    kind: Literal["sla"]
    objective: Annotated[float, Field(gt=0, lt=1)]
    good: Literal[0, 1] = 1
    burn_rate: Annotated[float, Field(ge=1, le=1_000)] = 1.0
    min_events: Annotated[int, Field(ge=1, le=1_000_000)] = 20

    @field_validator("burn_rate")
    @classmethod
    def _can_be_reached(cls, value: float, info: Any) -> float:
        objective = info.data.get("objective")
        if objective and value * (1 - objective) >= 1:
            raise ValueError(
                f"{value:g}: with objective {objective:g} the burn rate is at most {1 / (1 - objective):.3g}, "
                "so this would never fire"
            )
        return value

    def severity_of(self, value: float) -> str | None:
        return self.severity if value > self.burn_rate else None

    def bound_of(self, severity: str) -> float:
        return self.burn_rate


Rule: TypeAlias = ThresholdRule | RateRule | AbsenceRule | AnomalyRule | CompositeRule | SlaRule
KINDS: dict[str, type[_Rule]] = {
    "threshold": ThresholdRule,
    "rate": RateRule,
    "absence": AbsenceRule,
    "anomaly": AnomalyRule,
    "composite": CompositeRule,
    "sla": SlaRule,
}
RULE_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
