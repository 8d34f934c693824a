"""Runs one peer on a filled topic and checks that it counted every event.

In: a peer's name, a stack, a topic. Out: `PeerRun`, or the reason why there is none. Never: runs in our process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.stack import Stack
from benchmarks.usage import Watch
from benchmarks.workload import FORMS

ROOT = Path(__file__).parents[1]
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
WITHIN_S = 1_800.0


@dataclass(frozen=True)
class Peer:
    """One engine beside ours, and in words what it does of our work."""

    name: str
    module: str
    does: str
    own_environment: bool = False  # its dependencies contradict ours
    forms: tuple[str, ...] = ("array", "single")


PEERS = (
    Peer(
        "bare aiokafka",
        "bare",
        "reads and decodes with our decoder; no windows: the roof",
        forms=FORMS,
    ),
    Peer(
        "plain Faust agent", "plain_faust", "decodes JSON; counts, sums, minima, maxima in a dict that is never emptied"
    ),
    Peer("Quix Streams", "quix", "its own tumbling windows in RocksDB with changelog topics", own_environment=True),
    Peer("Bytewax", "bytewax_windows", "its own tumbling windows in memory; recovery off", own_environment=True),
)


class PeerRun(NamedTuple):
    """What one run of a peer took, from its first record to its last."""

    events: int
    seconds: float
    cpu_s: float
    peak_rss_bytes: int
    broker_cpu_s: float
    windows: int

    @property
    def per_s(self) -> float:
        return self.events / self.seconds


class PeerError(Exception):
    """A peer that did not run; the reason in one line."""


def versions() -> str:
    """The pinned versions of the peers that have an environment of their own."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    return ", ".join(f"{name} {pins[name]}" for name in ("quixstreams", "bytewax", "confluent-kafka"))


def absent(peer: Peer) -> str:
    """Why the peer cannot run here; empty when it can."""
    if peer.own_environment and not PEERS_PYTHON.exists():
        return f"{PEERS_PYTHON.relative_to(ROOT)} is missing: make .venv-bench/.peers"
    return ""


def run(peer: Peer, stack: Stack, *, topic: str, form: str, events: int) -> PeerRun:
    """One run. Raises PeerError when the peer fails, or counts other events than there are."""
    if reason := absent(peer):
        raise PeerError(reason)
    stack.runs += 1
    python = str(PEERS_PYTHON) if peer.own_environment else sys.executable
    command = [
        *(python, "-W", "ignore", "-m", f"benchmarks.peers.{peer.module}"),
        *("--bootstrap", stack.bootstrap, "--topic", topic),
        *("--events", str(events), "--group", f"peer-{stack.runs}"),
        *(("--array",) if form == "array" else ()),
    ]
    log = stack.home / f"peer-{stack.runs}.log"
    with log.open("wb") as errors:
        # Not in the checkout: Faust makes a directory for its tables where it starts.
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=stack.home, env=environment, stdout=subprocess.PIPE, stderr=errors)
        try:
            with Watch({"peer": psutil.Process(process.pid), "broker": stack.processes()["broker"]}) as watch:
                said, _ = process.communicate(timeout=WITHIN_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0 or not said.strip():
        lines = log.read_text(errors="replace").strip().splitlines()
        raise PeerError(f"{peer.name} ended with {process.returncode}: {lines[-1] if lines else 'no output'}")
    answer = json.loads(said.splitlines()[-1])
    _check(peer, answer, events)
    usage = watch.usage()
    return PeerRun(
        events=answer["events"],
        seconds=answer["seconds"],
        cpu_s=answer["cpu_s"],
        peak_rss_bytes=usage["peer"].peak_rss_bytes,
        broker_cpu_s=usage["broker"].cpu_s,
        windows=answer.get("windows", 0),
    )


def _check(peer: Peer, answer: dict[str, float], events: int) -> None:
    if answer["events"] < events:
        raise PeerError(f"{peer.name} processed {answer['events']:,.0f} of {events:,} events")
    # Quix Streams leaves the windows open that no later event closes, so it may count fewer.
    counted = answer.get("counted", events)
    if counted > events or (counted < events and peer.module != "quix"):
        raise PeerError(f"{peer.name} counted {counted:,.0f} events in its windows, there are {events:,}")
