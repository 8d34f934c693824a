"""The `murmur` command: one lazy table of commands, the global flags, and the end of every error.

In: argv. Out: the exit code of the command. Never: imports a command before it is asked for; shows a
traceback without `--debug`.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from interfaces.cli.output import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    examples,
    global_options,
    print_error,
    quiet_broken_pipe,
    reset_global_options,
)
from models.broken_rule import rule_of

EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h: our mistake, not the user's

# name -> (module with `app: typer.Typer`, the line of the help table)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("interfaces.cli.demo", "Run a real local swarm end to end and compare two configurations."),
    "up": ("interfaces.cli.up", "Start broker, ClickHouse, worker and alerter on this machine."),
    "down": ("interfaces.cli.down", "Stop what `up` started; the data stays."),
    "status": ("interfaces.cli.status", "Show addresses, processes and readiness of the stack."),
    "doctor": ("interfaces.cli.doctor", "Check settings, servers, schema, disk and worker; say what to do."),
    "worker": ("interfaces.cli.worker", "Run one stream worker in the foreground."),
    "publish": ("interfaces.cli.publish", "Publish events from stdin (one JSON object a line)."),
    "import": ("interfaces.cli.import_", "Import transcripts, metrics files and tables, idempotently."),
    "monitor": ("interfaces.cli.monitor", "Watch the newest windows of a swarm."),
    "sql": ("interfaces.cli.sql", "Ask ClickHouse a question."),
    "migrate": ("interfaces.cli.migrate", "Bring the ClickHouse schema up to date."),
    "audit": ("interfaces.cli.audit", "Compare raw rows, window rows and offsets; 0 equal, 1 different."),
    "replay": ("interfaces.cli.replay", "Compute results again from the log; compare, repair or change the version."),
    "report": ("interfaces.cli.report", "Generate, list, show and schedule reports."),
    "alerts": ("interfaces.cli.alerts", "See, acknowledge and silence alerts; check rules; run the alerter."),
    "detect": ("interfaces.cli.detect", "Show the named detectors and their limits; check a policy."),
    "backtest": ("interfaces.cli.backtest", "Try the stream's scores and alert rules on the past."),
    "compare": ("interfaces.cli.compare", "Compare swarms, runs, models ... with effect sizes and intervals."),
    "analyze": ("interfaces.cli.analyze", "Costs, repeated work, bottlenecks, critical paths, correlations, settings."),
    "visualize": ("interfaces.cli.visualize", "Draw charts in the terminal, or as SVG, PNG, HTML."),
    "gate": ("interfaces.cli.gate", "Fail a build when a candidate is shown to be worse; 0 pass, 1 worse, 2 unclear."),
}
_RUNNING = "murmur.running_a_command"  # context key: set once a command is chosen
_GLOBAL_FLAGS = frozenset(
    {
        "config",
        "home",
        "kafka_bootstrap",
        "clickhouse_url",
        "clickhouse_user",
        "clickhouse_password",
        "debug",
    }
)
_COMPLETION_FLAGS = frozenset({"install_completion", "show_completion"})
EPILOG = examples("murmur demo", "murmur up", "murmur sql --help")


class LazyGroup(TyperGroup):
    """A group that knows its commands by one line of text and imports a module only to run it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if not ctx.meta.get(_RUNNING):  # the help table and completion of command names: no import
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        _accept_global_flags(command)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        ctx.meta[_RUNNING] = True
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment] # only its keys serve suggestions
        return super().resolve_command(ctx, args)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"murmur {version('murmuration')}")
        except PackageNotFoundError:
            typer.echo("murmur (a checkout that is not installed)")
        raise typer.Exit


app = typer.Typer(
    name="murmur",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file (TOML, YAML or JSON).", show_default=False)
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Data, logs and pid files [MURMUR_HOME, ~/.murmur].", show_default=False),
    ] = None,
    kafka_bootstrap: Annotated[
        str | None, typer.Option("--kafka-bootstrap", help="host:port of the brokers.", show_default=False)
    ] = None,
    clickhouse_url: Annotated[
        str | None, typer.Option("--clickhouse-url", help="HTTP address of ClickHouse.", show_default=False)
    ] = None,
    clickhouse_user: Annotated[
        str | None, typer.Option("--clickhouse-user", help="ClickHouse user.", show_default=False)
    ] = None,
    clickhouse_password: Annotated[
        str | None,
        typer.Option(
            "--clickhouse-password",
            help="Better in MURMUR_CLICKHOUSE_PASSWORD: other users can see flags.",
            show_default=False,
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Telemetry for swarms of agents: windows, anomalies and comparisons, as events arrive."""
    _remember("config", config)
    _remember("debug", debug or None)
    for name, value in (
        ("home", home),
        ("kafka_bootstrap", kafka_bootstrap),
        ("clickhouse_url", clickhouse_url),
        ("clickhouse_user", clickhouse_user),
        ("clickhouse_password", clickhouse_password),
    ):
        _remember(name, value)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and ends the process with its exit code."""
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code, or raises SystemExit with it."""
    reset_global_options()
    logging.lastResort = logging.NullHandler()  # libraries' own warnings; what matters of them is in our one line
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = typer.main.get_command(app)(args, prog_name="murmur", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        quiet_broken_pipe()
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted")
        return EXIT_INTERRUPTED
    except typer.Exit as error:
        return error.exit_code
    except Exception as error:
        return _end_of(error, debug=global_options().debug or "--debug" in args)
    if code == EXIT_INTERRUPTED:  # the command line library has turned Ctrl-C into this
        print_error("interrupted")
    return code if isinstance(code, int) else 0


def _end_of(error: Exception, *, debug: bool) -> int:
    if debug:
        raise error
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(code, int):  # a usage error of the command line library
        message = getattr(error, "message", None)
        if isinstance(message, str):  # it passes on the name that its checker gives to every broken rule
            error.message = rule_of(message)  # type: ignore[attr-defined] # looked for above
        show()
        return code
    if _is_expected(error):
        print_error(str(error) or type(error).__name__)
        return EXIT_FAILURE
    if isinstance(error, ModuleNotFoundError):
        print_error(f"{error.name} is not installed: run `pip install -e '.[server,embedded]'` in the checkout")
        return EXIT_FAILURE
    print_error(f"unexpected {type(error).__name__}: {error}; run the same with --debug to see where")
    return EXIT_BUG


def _is_expected(error: Exception) -> bool:
    """An error whose text already says what, where and what to do."""
    if isinstance(error, OSError):
        return True
    for module, name in (
        ("models.settings", "SettingsError"),
        ("sinks.base", "SinkError"),
        ("infra.local.layout", "StackError"),
        ("streams.topics", "TopicError"),
        ("streams.replay", "ReplayError"),
        ("streams.snapshots", "SnapshotError"),
        ("streams.engine", "LogError"),
        ("streams.brake", "BadInputError"),
    ):
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(error, known):
            return True
    return False


def _remember(name: str, value: Any) -> None:
    if value is None:
        return
    options = global_options()
    if name == "config":
        options.config = value
    elif name == "debug":
        options.debug = True
    else:
        options.overrides[name] = value


def _accept_global_flags(command: Any) -> None:
    """`murmur status --home X` means the same as `murmur --home X status`."""
    for child in getattr(command, "commands", {}).values():
        _accept_global_flags(child)
    # Completion is installed once, for `murmur`; the library offers it on every app.
    command.params = [param for param in command.params if param.name not in _COMPLETION_FLAGS]
    taken = {flag for param in command.params for flag in param.opts}
    flags: list[Any] = list(typer.main.get_command(app).params)
    for param in flags:
        if param.name in _GLOBAL_FLAGS and not taken & set(param.opts):
            param.expose_value = False
            param.hidden = True
            param.callback = _remember_flag
            command.params.append(param)


def _remember_flag(ctx: Any, param: Any, value: Any) -> Any:
    _remember(param.name, (value or None) if param.name == "debug" else value)
    return value


if __name__ == "__main__":
    main()
