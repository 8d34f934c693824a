"""What a report is asked to be: a pydantic model, read from a file or built from flags.

In: a mapping. Out: `ReportConfig`, or every mistake at once. Never: reads a clock; times are given or unbounded.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reports.queries.port import TimeRange

SWARMS_MAX = 10  # all pairs are compared: ten swarms are 45 pairs, more than anybody reads
Kind = Literal["executive", "comparison"]
OutputFormat = Literal["html", "md", "json"]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("the same name stands twice; name each once")
    return names


class ReportConfig(BaseModel):
    """Times are epoch milliseconds UTC, half-open [from_ms, to_ms); None is unbounded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    swarms: Annotated[tuple[str, ...], Field(min_length=1, max_length=SWARMS_MAX), AfterValidator(_distinct)]
    kind: Kind = "comparison"
    title: Annotated[str, Field(max_length=200)] = ""
    description: Annotated[str, Field(max_length=2_000)] = ""
    metrics: Annotated[tuple[str, ...], AfterValidator(_distinct)] = Field(
        (), description="Measures to compare; empty: all there are."
    )
    paired_by: Literal["auto", "task_id", "none"] = Field(
        "auto",
        description="auto: pair tasks when the swarms did the same ones; task_id: always; none: never.",
    )
    from_ms: int | None = None
    to_ms: int | None = None

    @model_validator(mode="after")
    def _range_is_ordered(self) -> ReportConfig:
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            raise ValueError("the time range is empty: its end must be after its start")
        return self

    @property
    def time(self) -> TimeRange:
        """The time range; an end that is None is open."""
        return TimeRange(self.from_ms, self.to_ms)

    @property
    def pairing(self) -> Literal["auto", "always", "never"]:
        """`paired_by` in the words of the comparison."""
        return {"auto": "auto", "task_id": "always", "none": "never"}[self.paired_by]  # type: ignore[return-value]
