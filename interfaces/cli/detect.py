"""`murmur detect`: which named detectors there are, what each allows and why, and whether a policy is right.

In: nothing, a name, a policy file. Out: tables and text. Never: asks a server.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from interfaces.cli.output import EXIT_USAGE, Format, emit, examples, fail, print_error

app = typer.Typer(no_args_is_help=True, help="Named detectors: what they find, their limits, their policy.")
FormatOption = Annotated[Format, typer.Option("--format", help="How to print it.")]
EXAMPLE = """\
# Nothing is proposed that this file does not name. Workers read it at start (MURMUR_CONTROL_POLICY_FILE).
advisories:
  - detector: wait_cycle
    mode: advise # off | observe (a verdict that proposes nothing) | advise
    expires_after: 10m # consumers leave it alone afterwards
  - detector: loop
    mode: observe
    swarms: ["ci-*"] # the first rule that names the detector and fits the swarm decides
    min_severity: high
    action: pause # instead of the detector's own
"""


@app.command("list", epilog=examples("murmur detect list", "murmur detect list --format json"))
def list_(format: FormatOption = Format.TABLE) -> None:
    """Every detector, what it finds and how soon."""
    from models.detect.catalogue import SPECS

    rows = [
        {
            "detector": spec.name,
            "version": spec.version,
            "finds": spec.finds,
            "delay": spec.delay,
            "action": spec.action or "none",
        }
        for spec in SPECS
    ]
    emit(rows, format=format)


@app.command(epilog=examples("murmur detect explain loop", "murmur detect explain memory_leak --format json"))
def explain(
    name: Annotated[str, typer.Argument(help="A detector of `murmur detect list`.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """One detector: what it reads, every limit with its reason, what it cannot see."""
    from models.detect.catalogue import NAMES, spec_of

    spec = spec_of(name)
    if spec is None:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        fail(f"{name}: no such detector; {hint}", code=EXIT_USAGE)
    limits = [dict(zip(("limit", "value", "unit", "reason"), limit, strict=True)) for limit in spec.limits]
    if format is not Format.TABLE:
        emit([{"detector": spec.name, "version": spec.version, **limit} for limit in limits], format=format)
        return
    for title, text in (
        (f"{spec.name} (version {spec.version})", spec.finds),
        ("Reads", spec.reads),
        ("Delay", spec.delay),
        ("Cannot see", spec.blind),
        ("Proposes", spec.action or "nothing"),
    ):
        typer.echo(f"{title}: {text}")
    emit(limits, format=format)


@app.command(epilog=examples("murmur detect policy", "murmur detect policy control.yaml"))
def policy(
    file: Annotated[Path | None, typer.Argument(help="A policy to check; without it, an example.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Check a policy of advisories and show what it allows, or print an example."""
    from models.alerts.duration import show_ms
    from models.control.policy import PolicyError
    from sinks.control import read_policy

    if file is None:
        typer.echo(EXAMPLE, nl=False)
        return
    try:
        found = read_policy(file)
    except PolicyError as error:
        for line in str(error).splitlines():
            print_error(line)
        sys.exit(EXIT_USAGE)
    rows = [
        {
            "detector": rule.detector,
            "swarms": " ".join(rule.swarms),
            "mode": rule.mode,
            "from_severity": rule.min_severity,
            "action": rule.proposes,
            "expires_after": show_ms(rule.expires_after),
        }
        for rule in found.advisories
    ]
    emit(rows, format=format)
