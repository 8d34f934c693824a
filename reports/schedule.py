"""A report that is made again after every period: what is due when, and what became of it.

In: a schedule, now, what was done. Out: the periods that are due, a report id for each. Never: reads a clock.

A schedule is about whole periods. `at_minutes` after a period's end its report is due; late events have landed by
then. The report's id is made of the schedule's name and the period, so a period can have one report only, whoever
makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reports.config import ReportConfig
from reports.periods import Period, PeriodKind, after, before, last_complete, series
from reports.request import ReportRequest

Channel = Literal["console", "webhook", "slack", "teams", "email"]
CATCH_UP_MAX: Final = 3  # periods made up for after a stop, the newest; nobody reads a backlog of hourly reports
AT_MINUTES_DEFAULT: Final = 10  # far longer than the allowed lateness and a flush
_PERIOD_MINUTES_MIN: Final = {"hourly": 60, "daily": 1_440, "weekly": 10_080, "monthly": 40_320}
_MINUTE_MS: Final = 60_000


class Schedule(BaseModel):
    """`request` has no times of its own: each period gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    request: ReportRequest
    period: PeriodKind
    at_minutes: Annotated[int, Field(ge=0)] = AT_MINUTES_DEFAULT
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    email_to: Annotated[str, Field(pattern=r"^[^\r\n]{0,4000}$")] = ""
    created_ms: int

    @model_validator(mode="after")
    def _makes_sense(self) -> Schedule:
        if self.at_minutes >= _PERIOD_MINUTES_MIN[self.period]:
            raise ValueError(
                f"--at is {self.at_minutes} minutes after the period's end, longer than a {self.period} one"
            )
        given = ("time_range", "from_", "to", "period", "date")
        if any(getattr(self.request, name) is not None for name in given):
            raise ValueError("a schedule gives the times itself: leave out time_range, from, to, period and date")
        if self.request.kind == "final":
            raise ValueError("a final report is about one run; schedule another kind")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("a channel is named twice")
        self.config(last_complete(self.period, self.created_ms))
        return self

    def config(self, period: Period) -> ReportConfig:
        """The report of this period; of a trend, of the periods that end with it. Raises ValueError."""
        first = series(period, self.request.periods)[0] if self.request.kind == "trend" else period
        config = self.request.config(self.created_ms)
        values = config.model_dump() | {"from_ms": first.from_ms, "to_ms": period.to_ms, "period": self.period}
        values["title"] = f"{self.request.title or self.name}, {period.label}"
        return ReportConfig(**values)

    def due_ms(self, period: Period) -> int:
        """When the report of a period is made, epoch ms."""
        return period.to_ms + self.at_minutes * _MINUTE_MS

    def report_id(self, period: Period) -> str:
        """The same for the same name and period, so that a schedule that is changed does not tell a period again."""
        text = f"{self.name}|{period.kind}|{period.from_ms}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def due(schedule: Schedule, now_ms: int, settled: Callable[[str], bool]) -> list[Period]:
    """Periods whose report is due and not settled, the oldest first; CATCH_UP_MAX at most, the newest ones.

    Only what came due after the schedule was made: a new schedule does not begin with history.
    """
    found = _came_due(schedule, now_ms, CATCH_UP_MAX)
    return [period for period in reversed(found) if not settled(schedule.report_id(period))]


def left_out(schedule: Schedule, now_ms: int, since_ms: int) -> int:
    """Periods that came due in (since_ms, now_ms] and are too many to be made up for; at most 1,000 are counted."""
    found = _came_due(schedule, now_ms, 1_000)
    return len([p for p in found[CATCH_UP_MAX:] if schedule.due_ms(p) > since_ms])


def next_due(schedule: Schedule, now_ms: int) -> Period:
    """The first period whose report is due after now."""
    period = last_complete(schedule.period, now_ms)
    while schedule.due_ms(period) > now_ms:
        period = before(period)
    while schedule.due_ms(period) <= max(now_ms, schedule.created_ms):
        period = after(period)
    return period


def _came_due(schedule: Schedule, now_ms: int, count: int) -> list[Period]:
    """The newest first."""
    period = last_complete(schedule.period, now_ms)
    found: list[Period] = []
    while schedule.due_ms(period) > schedule.created_ms and len(found) < count:
        if schedule.due_ms(period) <= now_ms:
            found.append(period)
        period = before(period)
    return found
