"""What alert rules cost: one look of the built-in rules at many agents, and the state that is saved.

In: the number of agents, minutes of event time. Out: a table on standard output. Never: a server.

    python -m benchmarks.alerts --agents 1000 --minutes 15
"""

from __future__ import annotations

import argparse
import time

import msgspec

from models.alerts.evaluator import EVALUATION_MS, Evaluator
from models.alerts.rule_file import default_rules
from tests.support.alerting import SIZES_MS, T0_MS, window

METRICS = ("error_rate", "cpu_usage", "communication_latency", "model_call_duration", "task_duration", "cost_usd")


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description="Cost of alert rules.")
    parser.add_argument("--agents", type=int, default=1_000)
    parser.add_argument("--minutes", type=int, default=15)
    given = parser.parse_args()
    evaluator = Evaluator(default_rules(), SIZES_MS)
    looks, samples, observed_s, looked_s = [], 0, 0.0, 0.0
    for end_ms in range(T0_MS + EVALUATION_MS, T0_MS + given.minutes * 60_000 + 1, EVALUATION_MS):
        due = [size for size in SIZES_MS if end_ms % size == 0]
        rows = [
            window(0.01, end_ms, metric=m, agent=f"a{i}", size_ms=s)
            for s in due
            for m in METRICS
            for i in range(given.agents)
        ]
        rows += [window(0.01, end_ms, metric=m, size_ms=s) for s in due for m in METRICS]
        began_s = time.perf_counter()
        for row in rows:
            evaluator.observe(row)
        observed_s += time.perf_counter() - began_s
        samples += len(rows)
        began_s = time.perf_counter()
        evaluator.advance(end_ms)
        looks.append(time.perf_counter() - began_s)
        looked_s += looks[-1]
    began_s = time.perf_counter()
    state = msgspec.msgpack.encode(evaluator.state)
    encoded_s = time.perf_counter() - began_s
    series = sum(len(watch.series) for watch in evaluator.state.watches.values())
    print(
        f"agents {given.agents}, metrics {len(METRICS)}, rules {len(evaluator.rules.rules)}, series of rules {series}"
    )
    print(f"observe          {observed_s / samples * 1e6:8.2f} us a row ({samples} rows)")
    print(f"look             {sorted(looks)[len(looks) // 2] * 1e3:8.2f} ms median, {max(looks) * 1e3:.2f} ms longest")
    print(f"of a core        {(observed_s + looked_s) / (given.minutes * 60) * 100:8.2f} % at the pace of event time")
    print(f"state            {len(state) / 1e6:8.2f} MB, encoded in {encoded_s * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
