"""What one event costs the fold, in CPU time: of this checkout, or of two in turn.

In: checkouts. Out: microseconds an event, for columnar batches of 500 metric events and for activities. Never: a
broker or a store; a claim about a busy machine: compare the pairs.

    python -m tests.support.fold_cost [OTHER_CHECKOUT] [--rounds 3]
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from models.codecs.records import RawRecord
from streams.worker import GC_ALLOCATIONS, GC_GENERATIONS
from tests.support.builders import columns_record
from tests.support.folds import T0, config, new_fold

ROOT = Path(__file__).parents[2]
METRICS = ("task_duration", "cpu_usage", "memory_usage", "error_rate")
CHUNK = 20  # records folded at once


def metric_batches(count: int) -> Iterator[RawRecord]:
    """Columnar batches of 500 events of 100 agents, 250 ms apart."""
    chance = random.Random(1)
    for i in range(count):
        at = T0 + i * 250
        events = [
            {
                "swarm_id": f"s{j % 4}",
                "agent_id": f"a{j % 100}",
                "metric": METRICS[j % 4],
                "timestamp": at + j % 200,
                "value": chance.random(),
            }
            for j in range(500)
        ]
        stamp = f"0123456789abcdef0123456789abcdef:0:{i}"
        yield columns_record(events, offset=i, timestamp_ms=at + 300, stamp=stamp)


def activity_batches(count: int) -> Iterator[RawRecord]:
    """Fifty activities a record: tool calls and priced model calls of ten agents in turn."""
    tool = {"kind": "tool_call", "tool": "Bash"}
    call = {"kind": "model_call", "model": "m", "input_tokens": 100, "cost_usd": 0.01}
    for i in range(count):
        at = T0 + i * 500
        events = [
            {
                "id": f"e{i}-{j}",
                "swarm_id": "s",
                "agent_id": f"a{j % 10}",
                "parent_agent_id": "root",
                "status": "completed",
                "started_at": at - 100,
                "ended_at": at + j,
                "duration_ms": 100.0 + j,
                **(call if j % 2 else tool | {"input_hash": f"{i}-{j}"}),
            }
            for j in range(50)
        ]
        yield RawRecord(i, at + 300, (), json.dumps(events).encode())


def cost_us(records: list[RawRecord], topic: str, events: int) -> float:
    """CPU microseconds an event, the best of three runs."""
    best = float("inf")
    for _ in range(3):
        fold = new_fold(topic, using=config(windows="10s,60s", allowed_lateness_ms=5_000))
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_ALLOCATIONS, *GC_GENERATIONS)  # as the worker runs
        started_s = time.process_time()
        for start in range(0, len(records), CHUNK):
            fold.fold(records[start : start + CHUNK])
            fold.outputs = type(fold.outputs)(fold.origin)  # rows are made at a flush and are not measured here
        best = min(best, (time.process_time() - started_s) / len(records) / events * 1e6)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.support.fold_cost")
    parser.add_argument("other", nargs="?", type=Path, help="a checkout to run in turn with this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", action="store_true", help="measure once and print JSON")
    given = parser.parse_args()
    if given.one:
        columns = cost_us(list(metric_batches(600)), "swarm.metrics", 500)
        activities = cost_us(list(activity_batches(200)), "swarm.activities", 50)
        print(json.dumps({"columns": columns, "activities": activities}))
        return
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(given.rounds):
        for checkout in filter(None, (given.other, ROOT)):
            # This file runs in either checkout, so that both are measured by the same ruler.
            program = (
                f"import runpy, sys; sys.path.insert(0, {str(checkout.resolve())!r}); sys.argv = ['', '--one']; "
                f"runpy.run_path({__file__!r}, run_name='__main__')"
            )
            done = subprocess.run([sys.executable, "-c", program], cwd=checkout, capture_output=True, check=True)
            for form, cost in json.loads(done.stdout).items():
                found.setdefault((form, checkout.name if checkout != ROOT else "this"), []).append(cost)
    for (form, name), costs in sorted(found.items()):
        print(f"{form:10} {name:12} median {statistics.median(costs):.3f} us, least {min(costs):.3f} us an event")


if __name__ == "__main__":
    main()
