"""`murmur analyze ...`: what a swarm's own activities say of it. The table of its commands.

In: argv. Out: a command of analyze_costs, analyze_time or analyze_statistics. Never: imports what a command needs
before it runs.
"""

from __future__ import annotations

import typer

from interfaces.cli.analyze_costs import costs, repeats, work
from interfaces.cli.analyze_statistics import correlations, impact, scores, trend
from interfaces.cli.analyze_time import bottlenecks, capacity, latency, run
from interfaces.cli.output import examples

app = typer.Typer(
    no_args_is_help=True,
    help="Costs, scores, time, trends, capacity, bottlenecks, critical paths, correlations, settings.",
    epilog=examples(
        "murmur analyze costs my-swarm --by agent --all-on claude-haiku-4-5",
        "murmur analyze scores my-swarm --by role",
        "murmur analyze trend my-swarm --of memory_usage --by agent --limit 2e9",
        'murmur analyze bottlenecks "model=x,period=last-7-days" --format json --sql',
    ),
)


@app.callback()
def analyze() -> None:
    """What a swarm's own activities say of it."""


app.command(
    epilog=examples(
        "murmur analyze costs a b --by role",
        "murmur analyze costs a --all-on claude-haiku-4-5",
        "murmur analyze costs a --price-book next-year.toml",
    )
)(costs)
app.command(epilog=examples("murmur analyze repeats my-swarm", "murmur analyze repeats a b --format json"))(repeats)
app.command(epilog=examples("murmur analyze work my-swarm --by phase", "murmur analyze work a b --by role"))(work)
app.command(epilog=examples("murmur analyze scores my-swarm", "murmur analyze scores a b --by swarm"))(scores)
app.command(epilog=examples("murmur analyze bottlenecks my-swarm", "murmur analyze bottlenecks a --format csv"))(
    bottlenecks
)
app.command(epilog=examples("murmur analyze run my-swarm", "murmur analyze run run=nightly-7 --format json"))(run)
app.command(epilog=examples("murmur analyze latency my-swarm", "murmur analyze latency run=nightly-7 --by agent"))(
    latency
)
app.command(
    epilog=examples(
        "murmur analyze trend my-swarm --of quality",
        "murmur analyze trend my-swarm --of memory_usage --by agent --limit 2e9",
        "murmur analyze trend my-swarm --of cost_usd --stat sum --interval 1h --forecast 24h",
    )
)(trend)
app.command(
    epilog=examples("murmur analyze capacity my-swarm", "murmur analyze capacity a --by role --tasks-per-hour 120")
)(capacity)
app.command(epilog=examples("murmur analyze correlations my-swarm"))(correlations)
app.command(epilog=examples("murmur analyze impact my-swarm", "murmur analyze impact a b --metric task_duration"))(
    impact
)
