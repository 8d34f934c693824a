"""What a report is asked to be: a pydantic model, read from a file or built from flags.

In: a mapping. Out: `ReportConfig`, or every mistake at once. Never: reads a clock; times are given or unbounded.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reports.periods import PeriodKind, split
from reports.queries.port import TimeRange

SWARMS_MAX = 10  # all pairs are compared: ten swarms are 45 pairs, more than anybody reads
Kind = Literal["executive", "technical", "comparison", "trend", "final"]
TextFormat = Literal["html", "md", "json", "csv", "text"]
OutputFormat = Literal["html", "md", "json", "csv", "text", "pdf"]
FORMATS: Final[tuple[OutputFormat, ...]] = get_args(OutputFormat)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("the same name stands twice; name each once")
    return names


class ReportConfig(BaseModel):
    """Times are epoch milliseconds UTC, half-open [from_ms, to_ms); None is unbounded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    swarms: Annotated[tuple[str, ...], Field(min_length=1, max_length=SWARMS_MAX), AfterValidator(_distinct)]
    kind: Kind = Field(
        default="comparison",
        description="executive: the short one; comparison: what differs; technical: everything; trend: one swarm over "
        "periods; final: one swarm's finished run.",
    )
    title: Annotated[str, Field(max_length=200)] = ""
    description: Annotated[str, Field(max_length=2_000)] = ""
    metrics: Annotated[tuple[str, ...], AfterValidator(_distinct)] = Field(
        (), description="Measures to compare; empty: all there are."
    )
    paired_by: Literal["auto", "task_id", "none"] = Field(
        "auto",
        description="auto: pair tasks when the swarms did the same ones; task_id: always; none: never.",
    )
    period: PeriodKind | None = Field(
        default=None, description="The range is one such period; of a trend: several of them, side by side."
    )
    run: Annotated[str, Field(max_length=200)] = Field(
        default="", description="Of a final report: the run; empty: the newest."
    )
    from_ms: int | None = None
    to_ms: int | None = None

    @model_validator(mode="after")
    def _range_is_ordered(self) -> ReportConfig:
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            raise ValueError("the time range is empty: its end must be after its start")
        return self

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> ReportConfig:
        if self.kind in {"trend", "final"} and len(self.swarms) != 1:
            raise ValueError(f"a {self.kind} report is about one swarm: make one for each")
        if self.run and self.kind != "final":
            raise ValueError("a run is named for a report of kind final only")
        if self.kind == "trend":
            if self.period is None:
                raise ValueError("a trend needs a period: hourly, daily, weekly or monthly")
            split(self.period, self.time)
        return self

    @property
    def time(self) -> TimeRange:
        """The time range; an end that is None is open."""
        return TimeRange(self.from_ms, self.to_ms)

    @property
    def pairing(self) -> Literal["auto", "always", "never"]:
        """`paired_by` in the words of the comparison."""
        return {"auto": "auto", "task_id": "always", "none": "never"}[self.paired_by]  # type: ignore[return-value]
