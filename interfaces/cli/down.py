"""`murmur down`: stops the stack of this home, worker first; the data stays.

In: settings. Out: the names of what was stopped; exit 0 also when nothing ran. Never: touches a foreign process.
"""

from __future__ import annotations

import sys
import time

import typer

from interfaces.cli.output import examples, fail, load_settings

EPILOG = examples("murmur down", "murmur down --home /srv/murmur")
app = typer.Typer()


@app.command(epilog=EPILOG)
def down() -> None:
    """Stop what `murmur up` started in this home, worker first. The data stays."""
    from infra.local import supervisor

    settings = load_settings(use_running_stack=False)
    started_at_s = time.monotonic()
    stopped = supervisor.down(settings)
    took_s = time.monotonic() - started_at_s
    if supervisor.status(settings).phase not in ("stopped", "failed"):
        fail(f"the stack in {settings.home} did not stop: see the logs in {settings.home / 'logs'}")
    said = f"stopped {', '.join(stopped)} in {took_s:.1f} s" if stopped else "nothing was running"
    sys.stdout.write(f"{said}; the data stays in {settings.home}\n")
