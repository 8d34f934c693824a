"""`murmur worker`: one stream worker in the foreground.

In: settings (the running stack's addresses unless others are given). Out: the worker's exit code.
Never: goes to the background; the supervisor or the container does that.
"""

from __future__ import annotations

from typing import Annotated

import typer

from interfaces.cli.output import examples, load_settings

EPILOG = examples("murmur worker --name worker-2", "MURMUR_KAFKA_BOOTSTRAP=kafka.example.org:9092 murmur worker")
app = typer.Typer()


@app.command(epilog=EPILOG)
def worker(
    name: Annotated[str, typer.Option("--name", help="Name of this worker, unique in its home.")] = "worker-1",
) -> None:
    """Run one stream worker until SIGTERM or Ctrl-C. Several share the partitions of the source topics."""
    settings = load_settings()
    from streams.worker import run

    raise typer.Exit(run(settings, name))
