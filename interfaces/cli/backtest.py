"""`murmur backtest`: what the scorer of the stream, and the rules of alerts, would have said about the past.

In: a folder of csv files; `rule` stands in a module of its own. Out: the same tree with scores and alarms.
Never: writes where it reads; drops a row.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interfaces.cli import backtest_rule
from interfaces.cli.output import EXIT_FAILURE, EXIT_USAGE, examples, fail, print_error

if TYPE_CHECKING:
    from interfaces.backtest.scoring import Scored
    from interfaces.backtest.table import Table

EPILOG = examples("murmur backtest csv recorded scored", "murmur backtest csv ../shared/data/nab /tmp/scored")
app = typer.Typer(no_args_is_help=True, help="Try scores and rules on the past.")


@app.callback()
def backtest() -> None:
    """The past through the scorer and the rules that the stream uses."""


app.command("rule", epilog=backtest_rule.EPILOG)(backtest_rule.rule)


@app.command(name="csv", epilog=EPILOG)
def csv_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of csv files, searched through.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the scores; the same tree below it.")],
) -> None:
    """Score every row of DIR/**/*.csv (`timestamp,value` or `timestamp,m1,m2,...`), in order of time, one pass.

    OUT gets `timestamp,value,anomaly_score,alarm`, of several metrics with an empty value and one joint score. While a
    series is learned its score is 0. Exit code 1 when a file was refused; the others are scored.
    """
    if not folder.is_dir():
        fail(f"{folder} is no folder: give the folder that holds the csv files", code=EXIT_USAGE)
    source, target = folder.resolve(), out.resolve()
    if target == source or source in target.parents or target in source.parents:
        fail(f"{out} and {folder} lie within each other: give an OUT that stands apart", code=EXIT_USAGE)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".csv" and path.is_file())
    if not files:
        fail(f"{folder} holds no .csv file: nothing to score", code=EXIT_USAGE)
    from interfaces.backtest.scoring import score
    from interfaces.backtest.table import BacktestError, read

    refused = rows = alarms = 0
    for path in files:
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                table = read(lines, str(path))
        except (BacktestError, UnicodeDecodeError, csv.Error) as error:
            refused += 1
            print_error(str(error) if isinstance(error, BacktestError) else f"{path}: no csv in UTF-8: {error}")
            continue
        if table.labels:
            print_error(f"{path}:1: {', '.join(table.labels)} left out: by its name a label and no metric")
        if table.out_of_order:
            print_error(
                f"{table.out_of_order[0]}: {len(table.out_of_order)} rows, this the first, are not later than the row "
                "before: scored in the file's order"
            )
        results = score(table)
        _write(out / path.relative_to(folder), table, results)
        rows += len(results)
        alarms += sum(result.alarm for result in results)
    typer.echo(f"{len(files) - refused} files, {rows} rows, {alarms} alarms; {refused} files refused")
    if refused:
        raise typer.Exit(EXIT_FAILURE)


def _write(path: Path, table: Table, results: list[Scored]) -> None:
    """Scores in the shortest text that reads back as the same number, so that no two different ones become a tie."""
    path.parent.mkdir(parents=True, exist_ok=True)
    single = len(table.metrics) == 1
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["timestamp", "value", "anomaly_score", "alarm"])
        for time, texts, result in zip(table.times, table.texts, results, strict=True):
            writer.writerow([time, texts[0] if single else "", repr(result.score or 0.0), int(result.alarm)])
