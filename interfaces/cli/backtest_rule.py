"""`murmur backtest rule FILE`: when the rules of a file would have fired, on history in ClickHouse.

In: a rule file, a time range. Out: a table of transitions. Never: tells anybody, writes anything.

The same evaluator as on the stream, fed with the same windows in the order of their ends. The stream sees late events'
windows without them; history has them, so a limit that only late events broke fires here and not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli.output import EXIT_USAGE, Format, FormatOption, emit, examples, fail, load_settings

if TYPE_CHECKING:
    from models.alerts.machine import Transition
    from models.alerts.rule import Rule
    from models.alerts.rule_file import RuleSet

EPILOG = examples(
    "murmur backtest rule rules.yaml --from 2026-11-01 --to 2026-11-08",
    "murmur backtest rule rules.yaml --from 2026-11-01T12:00:00Z --all --format json",
)
COLUMNS = ("rule", "event", "at", "severity", "labels", "value", "bound", "reason", "alert")


def rule(
    file: Annotated[Path, typer.Argument(help="Rules to try (YAML).", show_default=False)],
    from_: Annotated[str, typer.Option("--from", help="First moment, ISO 8601.", show_default=False)],
    to: Annotated[str | None, typer.Option("--to", help="End, exclusive; now if left out.", show_default=False)] = None,
    all_events: Annotated[bool, typer.Option("--all", help="Also show what was pending.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show when rules would have fired between two moments of event time."""
    from interfaces.cli.alert_rules import read_rules
    from interfaces.cli.clickhouse import open_client
    from models.clock import SystemClock
    from reports.timerange import parse_time_range

    rules = read_rules(file)
    now_ms = SystemClock().now_ms()
    try:
        span = parse_time_range(None, from_, to, now_ms=now_ms)
    except ValueError as error:
        fail(str(error), code=EXIT_USAGE)
    assert span.from_ms is not None, "--from is required"
    settings = load_settings()
    sizes = tuple(size for size, step in settings.window_specs if size == step)
    with open_client(settings) as client:
        made = played(client, rules, sizes, span.from_ms, now_ms if span.to_ms is None else span.to_ms)
    shown = [t for t in made if all_events or t.event != "pending"]
    emit([_row(t) for t in shown], format=format, columns=COLUMNS)
    if format is Format.TABLE:
        fired = sum(t.event == "firing" for t in made)
        messages = sum(t.tell for t in made)
        typer.echo(f"{fired} alerts would have fired, {messages} transitions would have been told")


def played(client: object, rules: RuleSet, sizes: tuple[int, ...], from_ms: int, to_ms: int) -> list[Transition]:
    """Transitions from `from_ms` on. Begins earlier, so that windows and baselines are full by then."""
    from models.alerts.evaluator import EVALUATION_MS, Evaluator, RulesUnfitError
    from models.alerts.rule import CompositeRule
    from sinks.clickhouse.alert_history import history

    try:
        evaluator = Evaluator(rules, sizes)
    except RulesUnfitError as error:
        fail(str(error), code=EXIT_USAGE)
    measured = [r for r in rules.rules if not isinstance(r, CompositeRule)]
    start_ms = from_ms - max((_before_ms(r) for r in rules.rules), default=0)
    evaluator.advance(start_ms - start_ms % EVALUATION_MS)
    made: list[Transition] = []
    samples = history(
        client,  # type: ignore[arg-type]  # the driver's types stay behind the sink
        from_ms=start_ms,
        to_ms=to_ms,
        sources={r.source for r in measured},
        metrics={r.metric for r in measured},
    )
    for sample in samples:
        made += evaluator.advance(sample.end_ms - 1)
        evaluator.observe(sample)
    made += evaluator.advance(to_ms)
    return [t for t in made if t.at_ms >= from_ms]


def _before_ms(rule: Rule) -> int:
    """How much of the past a rule looks at."""
    return int(getattr(rule, "window", 0) + getattr(rule, "baseline", 0) + rule.for_)


def _row(t: Transition) -> dict[str, object]:
    from models.alerts.message import utc

    labels = " ".join(f"{name}={value}" for name, value in t.labels)
    values = (t.rule, t.event, utc(t.at_ms), t.severity, labels, t.value, t.bound, t.reason, t.alert_id)
    return dict(zip(COLUMNS, values, strict=True))
