"""`murmur analyze scores|trend|correlations|impact`: how well agents do, which way it goes, what goes together.

In: sides, flags. Out: rows in one of the formats. Never: heavy imports before the command runs; a number of its own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.analyze_ask import Answer, FormatOption, Sides, SqlOption, Table, ask, table
from interfaces.cli.compare_options import FilterOption, FromOption, TimeRangeOption, ToOption
from interfaces.cli.output import EXIT_USAGE, Format, fail

if TYPE_CHECKING:
    from reports.analysis.series_trend import SeriesTrend
    from reports.queries.analysis import AnalysisReader
    from reports.queries.side import Side
    from reports.series import SeriesRequest

# Too many for a screen; the other formats have them. Terms have a table of their own.
TERM_COLUMNS = (
    *("not_measured", "completion", "completion_low", "completion_high", "completion_n", "quality", "quality_n"),
    *("error", "error_low", "error_high", "error_n", "messages_per_agent", "messages_term", "messages_n"),
    *("message_success", "message_success_n", "response_n", "weights"),
)
TREND_COLUMNS = (
    *(
        "series",
        "stat",
        "events",
        "restarts",
        "interval_ms",
        "from_ms",
        "last_ms",
        "p_value",
        "autocorrelation",
        "independent",
        "shape_tied",
    ),
    *("growth_per_hour", "season_ms", "error_linear", "error_exponential", "limit", "limit_in_ms"),
    *("limit_earliest_ms", "limit_latest_ms", "forecast", "forecast_why", "why"),
)
_LENGTH = re.compile(r"(\d{1,6})-?(s|m|h|d|w)(?:[a-z]*)\Z")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class ScoreBy(StrEnum):
    """Whose score it is."""

    AGENT = "agent"
    ROLE = "role"
    SWARM = "swarm"


class StatOfInterval(StrEnum):
    """What one interval of a series is worth."""

    MEAN = "mean"
    P95 = "p95"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


def scores(
    side: Sides,
    by: Annotated[ScoreBy, typer.Option("--by", help="Whose score it is.")] = ScoreBy.AGENT,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Efficiency and collaboration over what was measured, how much that is, and the key figures of each side."""
    from reports.analysis.kpis import kpis
    from reports.analysis.scores import RESPONSE_METRIC, agent_facts, terms_of
    from reports.analysis.scores import scores as scored
    from reports.analysis.told import told_of_scores
    from reports.series import SeriesRequest

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        facts = agent_facts(
            reader.agent_work().rows,
            reader.agent_messages().rows,
            reader.responses().rows,
            reader.metric_means(RESPONSE_METRIC).rows,
        )
        found = scored(facts, by.value)
        figures = kpis(reader.kpis().rows)
        quality = _trends(reader, SeriesRequest("quality"))
        title = f"efficiency and collaboration by {by.value}, over what was measured"
        tables = [
            table("scores", title, found, hidden=TERM_COLUMNS),
            table("terms", "their terms, and the weight of each", terms_of(found)),
            table("kpis", "key figures", figures),
            table("quality_trend", "quality over time", quality, hidden=TREND_COLUMNS),
        ]
        return Answer(tables, told_of_scores(found, figures))

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def trend(
    side: Sides,
    of: Annotated[
        str,
        typer.Option(
            "--of",
            metavar="SERIES",
            help="task_success, task_duration, model_call_duration, tool_duration, cost_usd, quality, test_coverage, "
            "or the name of a metric.",
        ),
    ] = "task_duration",
    by: Annotated[str, typer.Option("--by", help="agent, run, or any column or tag: a series each.")] = "",
    stat: Annotated[StatOfInterval, typer.Option("--stat", help="Of each interval.")] = StatOfInterval.MEAN,
    interval: Annotated[
        str | None, typer.Option("--interval", help="1m, 1h, 1d ...; else about 300 of them.", show_default=False)
    ] = None,
    forecast: Annotated[
        str | None, typer.Option("--forecast", metavar="HORIZON", help="24h, 7d ...", show_default=False)
    ] = None,
    limit: Annotated[
        float | None, typer.Option("--limit", help="When the line meets this value, in the series' unit.")
    ] = None,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Slope of a series with its interval, its shape, a forecast, and the time until a limit (a memory leak's)."""
    from models.events import METRIC_NAME
    from reports.analysis.series_trend import OF_ACTIVITIES
    from reports.analysis.told import told_of_trends
    from reports.queries.side import EVERYTHING, Condition, known_key
    from reports.series import SeriesRequest

    try:
        key = known_key(by) if by and by != "swarm" else EVERYTHING
        interval_ms = _length_ms("--interval", interval) if interval else None
        ahead_ms = _length_ms("--forecast", forecast) if forecast else 0
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)
    name = of.lower()
    if METRIC_NAME.match(name) is None:
        fail(f"--of {of!r} is no name of a metric or measure: write for example memory_usage", code=EXIT_USAGE)
    if name not in OF_ACTIVITIES and by and not Condition(key, ()).of_metrics:
        fail(f"--by {by}: metric events have swarm, run, agent and tags only", code=EXIT_USAGE)

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        found = _trends(reader, SeriesRequest(name, key, stat.value, interval_ms, limit, ahead_ms))
        if not found:
            what = "activity" if name in OF_ACTIVITIES else "metric event"
            fail(f"--of {of}: no {what} of these sides has it in this time; murmur sql lists v_metrics' metrics")
        shown = table("trends", f"{stat.value} of {name} over time", found, hidden=TREND_COLUMNS)
        points = [
            {"side": one.side, "of": one.of, **dataclasses.asdict(point)} for one in found for point in one.forecast
        ]
        tables = [shown, *([Table("forecast", "forecast", points, for_screen=True)] if ahead_ms else [])]
        return Answer(tables, told_of_trends(found))

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def correlations(
    side: Sides,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Which measures of a side's tasks go together (Spearman, corrected over all pairs of the side)."""
    from reports.analysis.correlation import correlations as found

    def answer(reader: AnalysisReader, sides: Sequence[Side]) -> Answer:
        tasks = reader.tasks().rows
        rows = [one for s in sides for one in found(s.name, tasks)]
        return Answer([table("correlations", "correlations; none is a cause", rows)])

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def impact(
    side: Sides,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="task_success, task_duration, cost_usd.", show_default=False)
    ] = None,
    filter: FilterOption = None,
    time_range: TimeRangeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: FormatOption = Format.TABLE,
    sql: SqlOption = False,
) -> None:
    """Which setting of the runs goes with a difference: its share of the variance, and runs with it against others."""
    from reports.analysis.impact import METRICS, impacts

    unknown = [name for name in metric or () if name not in METRICS]
    if unknown:
        fail(f"--metric {', '.join(unknown)}: settings are judged by {', '.join(METRICS)}", code=EXIT_USAGE)

    def answer(reader: AnalysisReader, _sides: Sequence[Side]) -> Answer:
        found = impacts(reader.runs().rows, tuple(metric or METRICS))
        rows = [
            {
                **{name: value for name, value in dataclasses.asdict(one).items() if name != "finding"},
                **{name: getattr(one.finding, name) for name in ("n_a", "n_b", "mean_a", "mean_b", "unit")},
                **{name: getattr(one.finding, name) for name in ("ratio", "ratio_low", "ratio_high", "difference")},
                **{name: getattr(one.finding, name) for name in ("p_adjusted", "verdict", "why")},
            }
            for one in found
        ]
        return Answer([Table("settings", "settings of runs; who set what was not drawn by lots", rows)])

    ask(side, filter, time_range, from_, to, answer, format=format, sql=sql)


def _trends(reader: AnalysisReader, asked: SeriesRequest) -> Sequence[SeriesTrend]:
    """A wrong interval ends the command with exit code 2."""
    from reports.series import read_trends

    try:
        return read_trends(reader, asked)
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)


def _length_ms(flag: str, text: str) -> int:
    match = _LENGTH.match(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{flag} {text!r} is not a length of time: write 30s, 5m, 24h, 7d or 2w")
    return int(match[1]) * _UNIT_MS[match[2]]
