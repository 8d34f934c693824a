"""`murmur backtest`: what today's rules and scorers would have said about the past.

In: the sub-commands of other modules. Out: one command group. Never: heavy imports.
"""

from __future__ import annotations

import typer

from interfaces.cli import backtest_rule

app = typer.Typer(no_args_is_help=True, help="Try rules on history.")


@app.callback()
def backtest() -> None:
    """Back-tests: the same code as on the stream, on what is stored."""


app.command("rule", epilog=backtest_rule.EPILOG)(backtest_rule.rule)
