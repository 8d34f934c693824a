"""What a report is asked to be, as people write it: a file or flags, with times that may be relative to now.

In: a mapping, now. Out: `ReportRequest`, `ReportConfig`; or every mistake in one line. Never: reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.broken_rule import rule_of
from reports.config import Kind, OutputFormat, ReportConfig
from reports.periods import PERIODS_MAX, PeriodKind, last_complete, parse_date, series
from reports.timerange import parse_time_range

TREND_PERIODS: Final = 8  # a week and the day before it: enough for a line, and few enough for a page


class RequestError(ValueError):
    """One line with every mistake of a request."""


class ReportRequest(BaseModel):
    """A report file's fields. Times: `time_range`, or `from` / `to`, or `period` with `date`; none: everything."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    swarms: tuple[str, ...] = ()
    kind: Kind = "comparison"
    title: str = ""
    description: str = ""
    metrics: tuple[str, ...] = ()
    paired_by: Literal["auto", "task_id", "none"] = "auto"
    run: str = ""
    time_range: str | None = None
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    period: PeriodKind | None = None
    date: str | None = None
    periods: Annotated[int, Field(ge=2, le=PERIODS_MAX)] = TREND_PERIODS
    formats: Annotated[tuple[OutputFormat, ...], Field(min_length=1)] = ("html", "md", "json")

    def config(self, now_ms: int) -> ReportConfig:
        """With its times made absolute. A period without date is the last complete one. Raises RequestError."""
        try:
            return ReportConfig(
                swarms=self.swarms,
                kind=self.kind,
                title=self.title,
                description=self.description,
                metrics=self.metrics,
                paired_by=self.paired_by,
                run=self.run,
                **self._time(now_ms),
            )
        except ValidationError as error:
            raise RequestError(mistakes(error)) from None
        except ValueError as error:
            raise RequestError(str(error)) from None

    def _time(self, now_ms: int) -> dict[str, Any]:
        period = self.period or ("daily" if self.kind == "trend" else None)
        if period is None:
            if self.date is not None:
                raise ValueError("--date names a period: give --period hourly, daily, weekly or monthly with it")
            time = parse_time_range(self.time_range, self.from_, self.to, now_ms=now_ms)
            return {"from_ms": time.from_ms, "to_ms": time.to_ms}
        if self.time_range is not None or self.from_ is not None or self.to is not None:
            raise ValueError("--period and --time-range / --from / --to exclude each other: give one of them")
        last = last_complete(period, now_ms) if self.date is None else parse_date(period, self.date)
        first = series(last, self.periods)[0] if self.kind == "trend" else last
        return {"period": period, "from_ms": first.from_ms, "to_ms": last.to_ms}


def request_of(values: Mapping[str, Any], *, where: str = "") -> ReportRequest:
    """A request from a file's or the flags' values. Raises RequestError; `where` stands before it."""
    try:
        return ReportRequest.model_validate(dict(values))
    except ValidationError as error:
        raise RequestError(f"{where}: {mistakes(error)}" if where else mistakes(error)) from None


def mistakes(error: ValidationError) -> str:
    """Every mistake, `field: what is wrong`, in one line."""
    return "; ".join(": ".join(filter(None, (".".join(map(str, e["loc"])), rule_of(e["msg"])))) for e in error.errors())
