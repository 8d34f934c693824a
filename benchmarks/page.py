"""How long from a published event to the page it causes: threshold rules, and findings of detectors, told by webhook.

    make bench BENCH=page        python -m benchmarks.page [--probes 20]

A process publishes through the product's client; a worker and the alerter are processes of their own; an HTTP server
here takes the pages. A threshold looks at closed windows, so its page waits for the window's end and the allowed
lateness: the part after the moment at which the window could close is shown as well. A loop is found by the event that
makes it certain, and told at the rules' next look.
"""

from __future__ import annotations

import argparse
import re
import time
from typing import NamedTuple

import numpy as np
import yaml
from pydantic import SecretStr

from benchmarks import machine
from benchmarks.results import Table, publish, spread
from benchmarks.stack import TOPICS, Stack, add_arguments, running
from models.alerts.evaluator import EVALUATION_MS
from models.detect.loop import ROUNDS_MIN
from models.settings import Settings
from murmur import Publisher
from tests.support.alerters import alerter
from tests.support.receivers import HttpReceiver, http_receiver
from tests.support.workers import worker

PROBES = 20  # of each kind, one after another
PAUSE_S = 1.7  # between two probes: out of step with windows, flushes and looks
WINDOW_S, LATENESS_S = 10, 5
PAGE_WITHIN_S = 60.0
TICK_S = 0.05
CALLS = ROUNDS_MIN[1]  # of one tool with one input: the last of them makes a loop
AGENT_OF_LINE = re.compile(r"agent=(\S+)")
RULES = {
    "rules": [
        {
            "name": "probe-high",
            "kind": "threshold",
            "description": "A probe is too high.",
            "action": "None.",
            "metric": "page_probe",
            "aggregation": "mean",
            "by": ["swarm", "agent"],
            "window": f"{WINDOW_S}s",
            "above": 500,
        },
        {
            "name": "probe-finding",
            "kind": "anomaly",
            "description": "A detector found something.",
            "action": "None.",
            "by": ["swarm", "agent"],
            "window": "10s",
            "min_severity": "medium",
            "severity": "warning",
        },
    ]
}


class Paged(NamedTuple):
    """One run, seconds: from the event that decides to its page."""

    high: list[float]  # from a probe's first high value
    high_after_close: list[float]  # from the moment its window could close
    loop: list[float]  # from the call that makes the loop


def measure(stack: Stack, probes: int) -> Paged:
    """One run on a fresh database."""
    stack.create_topics(TOPICS, partitions=2)
    with http_receiver() as receiver:
        settings = _settings(stack, receiver)
        with worker(settings) as process, alerter(settings):
            process.await_ready()
            return _page(settings, receiver, probes)


def _settings(stack: Stack, receiver: HttpReceiver) -> Settings:
    settings = stack.fresh(partitions=2)
    settings.home.mkdir(parents=True, exist_ok=True)
    file = settings.home / "rules.yaml"
    file.write_text(yaml.safe_dump(RULES), encoding="utf-8")
    return settings.model_copy(
        update={
            "alert_rules_file": file,
            "alert_channels": "webhook",
            "alert_webhook_url": SecretStr(receiver.url),
        }
    )


def _page(settings: Settings, receiver: HttpReceiver, probes: int) -> Paged:
    sent_s: dict[tuple[str, str], float] = {}  # (rule, agent) -> when its deciding event was published
    paged_s: dict[tuple[str, str], float] = {}
    began_s = time.time()
    with Publisher(settings.kafka_bootstrap, swarm_id="pages", strict=True) as publisher:
        deadline_s = began_s + probes * PAUSE_S + PAGE_WITHIN_S
        while len(paged_s) < 2 * probes and time.time() < deadline_s:
            due = min(probes, int((time.time() - began_s) / PAUSE_S) + 1)
            for probe in range(len(sent_s) // 2, due):
                for _ in range(CALLS):
                    _call(publisher, f"loop-{probe}", "Bash")
                sent_s["probe-finding", f"loop-{probe}"] = time.time()
                publisher.emit("page_probe", 1_000.0, agent_id=f"high-{probe}")
                sent_s["probe-high", f"high-{probe}"] = time.time()
            publisher.emit("page_probe", 1.0, agent_id="steady")  # event time moves on
            _call(publisher, "steady", "Read")
            for _, _, body in list(receiver.requests):
                for agent in AGENT_OF_LINE.findall("\n".join(body["lines"])) if body["event"] == "firing" else ():
                    if (body["rule"], agent) in sent_s:
                        paged_s.setdefault((body["rule"], agent), time.time())
            time.sleep(TICK_S)
    missing = sorted(set(sent_s) - set(paged_s))
    if missing:
        raise SystemExit(f"no page within {PAGE_WITHIN_S:g} s for {missing[:3]} and {max(0, len(missing) - 3)} more")
    of_high = [(sent, paged_s[key]) for key, sent in sent_s.items() if key[0] == "probe-high"]
    closes = [(int(sent // WINDOW_S) + 1) * WINDOW_S + LATENESS_S for sent, _ in of_high]
    return Paged(
        high=[paged - sent for sent, paged in of_high],
        high_after_close=[paged - close for close, (_, paged) in zip(closes, of_high, strict=True)],
        loop=[paged_s[key] - sent for key, sent in sent_s.items() if key[0] == "probe-finding"],
    )


def _call(publisher: Publisher, agent: str, tool: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    how = {"kind": "tool_call", "status": "completed", "started_at": now_ms, "ended_at": now_ms, "tool": tool}
    input_hash = "same" if tool == "Bash" else str(now_ms)
    publisher.activity(**how, agent_id=agent, input_hash=input_hash)


def table(runs: list[Paged]) -> Table:
    """p50, p99 and the longest; the median of the runs, and their range."""

    def row(name: str, values: list[list[float]]) -> list[str]:
        return [name, *(spread(np.percentile(v, q) * 1000 for v in values) for q in (50, 99, 100))]

    return Table(
        "From the deciding event to its page, ms",
        ["from, to", "p50", "p99", "max"],
        [
            row("call that makes a loop to its page", [r.loop for r in runs]),
            row("first value above the limit to its page", [r.high for r in runs]),
            row("end of that value's window and lateness to the page", [r.high_after_close for r in runs]),
        ],
        note=f"Rules are looked at every {EVALUATION_MS / 1000:g} s of event time, when the inputs have passed it: a "
        "page waits for that, and a threshold for its window. In it are the client's batch age (0.2 s) and the "
        f"look for new pages (every {TICK_S * 1000:g} ms).",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probes", type=int, default=PROBES, help="pages of each kind")
    add_arguments(parser, runs=3)
    arguments = parser.parse_args()
    facts = machine.facts()
    runs = []
    for _ in range(arguments.runs):
        with running(arguments.broker) as stack:
            runs.append(measure(stack, arguments.probes))
    publish(
        f"page-{arguments.broker}",
        machine=facts,
        stated={"broker": arguments.broker, "runs": arguments.runs, "pages of each kind": arguments.probes},
        runs=runs,
        tables=[table(runs)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
