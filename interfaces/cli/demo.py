"""`murmur demo`: a real local swarm, end to end, in about a minute.

In: flags. Out: live progress, a report in ./murmur-demo, exit 0 when every event arrived. Never: heavy imports
before the command runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from interfaces.cli.output import examples

DURATION_S_MIN, DURATION_S_DEFAULT, DURATION_S_MAX = 30.0, 40.0, 600.0
EPILOG = examples("murmur demo", "murmur demo --duration-s 120", "murmur demo --out /tmp/demo --keep")
app = typer.Typer()


@app.command(epilog=EPILOG)
def demo(
    duration_s: Annotated[
        float,
        typer.Option(
            "--duration-s",
            min=DURATION_S_MIN,
            max=DURATION_S_MAX,
            help="How long the agents work, seconds. Detectors learn from the first half.",
        ),
    ] = DURATION_S_DEFAULT,
    out: Annotated[Path, typer.Option("--out", help="Where the report and the demo's own MURMUR_HOME go.")] = Path(
        "murmur-demo"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running to explore it.")] = False,
) -> None:
    """Run a real local swarm in two configurations, break one agent half-way, and compare them.

    Starts a broker, ClickHouse and a worker of its own; eight agent processes work on files of this Python's
    standard library and publish what they measure. Anomalies are printed as the worker finds them.
    """
    from interfaces.demo.run import run

    sys.exit(run(duration_s=duration_s, out=out, keep=keep))
