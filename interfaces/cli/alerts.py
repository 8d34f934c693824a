"""`murmur alerts`: see, acknowledge, resolve and silence alerts; check rules; try channels; run the alerter.

In: flags. Out: tables, or commands to the alerter. Never: changes an alert itself: the alerter does, in log order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from interfaces.cli.output import EXIT_USAGE, Format, FormatOption, emit, examples, fail, load_settings

app = typer.Typer(no_args_is_help=True, help="Alerts: see them, act on them, check rules and channels.")

By = Annotated[str | None, typer.Option("--by", help="Who says so; the user of this machine.", show_default=False)]
Note = Annotated[str, typer.Option("--note", help="One sentence for the others.", show_default=False)]
AlertId = Annotated[str, typer.Argument(help="Id of the alert, or its first characters.", show_default=False)]
LISTED = ("alert_id", "state", "severity", "rule", "swarm_id", "agent_id", "since", "at", "value", "reason", "by")


@app.callback()
def alerts() -> None:
    """Alerts on what the stream computes."""


@app.command("run", epilog=examples("murmur alerts run", "MURMUR_ALERT_CHANNELS=console,slack:high murmur alerts run"))
def run_() -> None:
    """Run the alerter until SIGTERM or Ctrl-C. One an installation."""
    settings = load_settings()
    from streams.alert_worker import run

    raise typer.Exit(run(settings))


@app.command("list", epilog=examples("murmur alerts list", "murmur alerts list --all --swarm nightly --format json"))
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are resolved.")] = False,
    swarm: Annotated[str | None, typer.Option("--swarm", help="Of this swarm only.", show_default=False)] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Of this rule only.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Most rows.")] = 200,
    format: FormatOption = Format.TABLE,
) -> None:
    """List open alerts, the worst first."""
    order = "['info', 'low', 'medium', 'warning', 'high', 'critical']"
    sql = f"""
        SELECT {", ".join(LISTED)} FROM v_alerts
        WHERE ({{all:UInt8}} OR state != 'resolved')
          AND ({{swarm:String}} = '' OR swarm_id = {{swarm:String}})
          AND ({{rule:String}} = '' OR rule = {{rule:String}})
        ORDER BY indexOf({order}, severity) DESC, at DESC LIMIT {{limit:UInt32}}"""
    found = _rows(sql, {"all": int(everything), "swarm": swarm or "", "rule": rule or "", "limit": limit})
    emit(found, format=format, columns=LISTED)


@app.command(epilog=examples("murmur alerts show 3f9c", "murmur alerts show 3f9c --format json"))
def show(alert_id: AlertId, format: FormatOption = Format.TABLE) -> None:
    """Show one alert's whole life, and what became of the messages about it."""
    from interfaces.cli.alert_actions import one_alert

    alert = one_alert(alert_id)
    parameters = {"id": alert["alert_id"]}
    history = _rows(
        "SELECT seq, at, event, state, severity, value, bound, reason, by, silenced FROM v_alert_history "
        "WHERE alert_id = {id:String} ORDER BY seq",
        parameters,
    )
    messages = _rows(
        "SELECT at, channel, status, event, attempts, problem FROM v_alert_messages "
        "WHERE has(alert_ids, {id:String}) ORDER BY at, channel",
        parameters,
    )
    if format is Format.TABLE:
        emit([alert], title="Alert")
        emit(history, title="Life")
        emit(messages, title="Messages", columns=("at", "channel", "status", "event", "attempts", "problem"))
    elif format is Format.JSON:
        emit([{**alert, "history": history, "messages": messages}], format=format)
    else:
        emit(history, format=format)


@app.command(epilog=examples("murmur alerts ack 3f9c --note 'on it'"))
def ack(alert_id: AlertId, note: Note = "", by: By = None) -> None:
    """Acknowledge a firing alert: nobody is told again unless it grows worse."""
    from interfaces.cli.alert_actions import change

    change("ack", alert_id, note=note, by=by, wanted="acknowledged")


@app.command(epilog=examples("murmur alerts resolve 3f9c --note 'restarted'"))
def resolve(alert_id: AlertId, note: Note = "", by: By = None) -> None:
    """Resolve an alert by hand. It fires again, after its cooldown, while its condition holds."""
    from interfaces.cli.alert_actions import change

    change("resolve", alert_id, note=note, by=by, wanted="resolved")


@app.command(
    epilog=examples(
        "murmur alerts silence --match swarm=nightly --for 2h --note 'planned load test'",
        "murmur alerts silence --match rule='cpu-*' --match agent=a-7 --for 30m",
        "murmur alerts silence --end 5d2a...",
    )
)
def silence(
    match: Annotated[
        list[str] | None, typer.Option("--match", help="label=pattern, or rule=pattern; all must fit.")
    ] = None,
    for_: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 7d.")] = "1h",
    end: Annotated[str | None, typer.Option("--end", help="Id of a silence to end now.", show_default=False)] = None,
    note: Note = "",
    by: By = None,
) -> None:
    """Tell nobody about matching alerts for a while. What still fires at the end is told then."""
    from interfaces.cli.alert_actions import begin_silence, end_silence

    if bool(match) == bool(end):
        fail("give either --match (once or more) or --end", code=EXIT_USAGE)
    if end:
        end_silence(end, by=by)
    else:
        begin_silence(match or [], for_, note=note, by=by)


@app.command(epilog=examples("murmur alerts rules", "murmur alerts rules --yaml > rules.yaml"))
def rules(
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the built-in file, with its reasons.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the rules in use: those of MURMUR_ALERT_RULES_FILE, or the built-in ones."""
    from interfaces.cli.alert_rules import COLUMNS, read_rules, rule_rows

    if as_yaml:
        from models.alerts.rule_file import default_text

        typer.echo(default_text(), nl=False)
        return
    emit(rule_rows(read_rules(load_settings().alert_rules_file)), format=format, columns=COLUMNS)


@app.command(epilog=examples("murmur alerts check rules.yaml"))
def check(file: Annotated[Path, typer.Argument(help="Rule file (YAML).", show_default=False)]) -> None:
    """Check a rule file; every mistake is printed with its line. Exit code 2 when there is one."""
    from interfaces.cli.alert_rules import read_rules
    from models.alerts.evaluator import Evaluator, RulesUnfitError

    found = read_rules(file)
    sizes = tuple(size for size, step in load_settings().window_specs if size == step)
    try:
        Evaluator(found, sizes)
    except RulesUnfitError as error:
        from interfaces.cli.output import print_error

        for line in str(error).splitlines():
            print_error(f"{file}: {line}")
        raise typer.Exit(EXIT_USAGE) from None
    typer.echo(f"{file}: {len(found.rules)} rules, no mistake")


@app.command(epilog=examples("murmur alerts test slack", "murmur alerts test email"))
def test(channel: Annotated[str, typer.Argument(help="A channel of MURMUR_ALERT_CHANNELS.")]) -> None:
    """Send a test message through one channel, now, once."""
    from interfaces.cli.alert_actions import try_channel

    try_channel(channel)


@app.command(epilog=examples("murmur alerts status", "murmur alerts status --format json"))
def status(format: FormatOption = Format.TABLE) -> None:
    """Show what the alerter of this home says of itself: progress, queues, undelivered messages."""
    from interfaces.cli.alert_actions import alerter_status

    found = alerter_status()
    if format is Format.TABLE:
        emit([{"what": name, "value": value} for name, value in found.items()])
    else:
        emit([found], format=format)
    if found["state"] != "running":
        raise typer.Exit(1)


@app.command(epilog=examples("murmur alerts summary", "murmur alerts summary --time-range last-7-days"))
def summary(
    time_range: Annotated[str | None, typer.Option("--time-range", help="last-24h, last-7-days ...")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.", show_default=False)] = None,
    to: Annotated[str | None, typer.Option("--to", help="End, exclusive, ISO 8601.", show_default=False)] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Sum alerts up by rule: how many fired, how long, how soon somebody reacted. The last day unless told."""
    from interfaces.cli.alert_actions import summed_up

    emit(summed_up(time_range, from_, to), format=format)


def _rows(sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    from interfaces.cli.clickhouse import open_client, rows_of

    with open_client(load_settings()) as client:
        return rows_of(client, sql, parameters)[1]
