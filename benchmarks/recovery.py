"""After kill -9: how long until caught up; rebuilding everything from the log; two workers beside one.

    make bench BENCH=recovery        python -m benchmarks.recovery [--lag 1000000] [--form columns|array|single]

Caught up: ClickHouse counts every event of the log in raw and in window rows. The clock runs twice: from the start of
the new process, and from the moment it has its partitions; the difference is the start and the group's protocol.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks import machine
from benchmarks.group import members_when_stable
from benchmarks.results import Table, publish, spread, verdict
from benchmarks.stack import TOPICS, Questions, Stack, add_arguments, running, until
from benchmarks.workload import FORMS, Workload
from models.settings import Settings
from tests.support.workers import worker

LAG_EVENTS = 1_000_000
CAUGHT_UP_BUDGET_S = 10.0  # a million events of lag
REBUILD_BUDGET_PER_S = 150_000
SHARED_PARTITIONS = 2


class Recovery(NamedTuple):
    """One worker that was killed, and one that had lost everything."""

    lag_events: int
    caught_up_s: float  # from the start of the process
    caught_up_ready_s: float  # from having the partitions
    rebuilt_events: int
    rebuilt_s: float  # from having the partitions


class Sharing(NamedTuple):
    """Events per second of the same log by one worker and by two."""

    one_per_s: float
    two_per_s: float


def recover(stack: Stack, load: Workload, lag: int) -> Recovery:
    """Kills a worker that is caught up, lets `lag` events pile up, starts another; then loses all state and rows."""
    prefix = f"recovery-{stack.runs}."
    topic = prefix + TOPICS[0]
    stack.create_topics([prefix + name for name in TOPICS], partitions=load.partitions)
    settings = stack.fresh(topic_prefix=prefix, partitions=load.partitions)
    stack.fill(load.records(lag), topic)
    with Questions(settings) as ask:
        with worker(settings) as first:
            killed = members_when_stable(settings, first)
            ask.wait_for_all(lag, "the first worker is caught up", first)
            first.kill()
        stack.fill(load.records(lag, first=lag), topic)
        behind = 2 * lag - ask.raw_events()
        started_s = time.perf_counter()
        with worker(settings) as second:
            replaced = members_when_stable(settings, second, without=killed)
            ready_s = time.perf_counter()
            # A restart writes rows again, so raw rows alone say nothing.
            ask.wait_for_all(2 * lag, "the lag is worked off", second)
            until(lambda: ask.shown() >= 2 * lag, "none of them was one of those written twice", second)
            caught_up_s = time.perf_counter()
            _exact(ask, 2 * lag)
            second.kill()
    lost = _lose_everything(stack, settings)
    with Questions(lost) as ask, worker(lost) as third:
        members_when_stable(lost, third, without=killed | replaced)
        begun_s = time.perf_counter()
        ask.wait_for_all(2 * lag, "everything is rebuilt", third)
        rebuilt_s = time.perf_counter() - begun_s
        _exact(ask, 2 * lag)
    return Recovery(behind, caught_up_s - started_s, caught_up_s - ready_s, 2 * lag, rebuilt_s)


def share(stack: Stack, load: Workload, events: int) -> Sharing:
    """One worker, then two, on the same log."""
    prefix = f"sharing-{stack.runs}."
    stack.create_topics([prefix + name for name in TOPICS], partitions=load.partitions)
    stack.fill(load.records(events), prefix + TOPICS[0])
    return Sharing(*(_shared(stack.fresh(topic_prefix=prefix, partitions=load.partitions), events, n) for n in (1, 2)))


def _shared(settings: Settings, events: int, workers: int) -> float:
    """Events per second of so many workers."""
    with ExitStack() as block:
        ask = block.enter_context(Questions(settings))
        group = [block.enter_context(worker(settings, f"worker-{n + 1}")) for n in range(workers)]
        members_when_stable(settings, *group)
        begun_s = time.perf_counter()
        left = events - ask.raw_events()  # a worker that joined before the others has begun
        ask.wait_for_all(events, "every event is there", *group)
        took_s = time.perf_counter() - begun_s
        _exact(ask, events)
        return left / took_s


def _lose_everything(stack: Stack, settings: Settings) -> Settings:
    """The same group, whose offsets are committed, without its snapshots and without any row."""
    shutil.rmtree(settings.home)
    return stack.fresh(app_id=settings.app_id, topic_prefix=settings.topic_prefix, partitions=settings.partitions)


def _exact(ask: Questions, events: int) -> None:
    shown, windowed = ask.shown(), ask.window_events()
    if (shown, windowed) != (events, events):
        raise RuntimeError(f"{events:,} events went in; {shown:,} raw, {windowed:,} in windows: this is no measurement")


def recovery_table(runs: list[Recovery]) -> Table:
    """What a kill and what a loss cost."""
    ready = [r.caught_up_ready_s * 1e6 / r.lag_events for r in runs]
    rebuilt = [r.rebuilt_events / r.rebuilt_s for r in runs]
    rows = [
        ["events of lag after kill -9", spread(r.lag_events for r in runs), ""],
        ["caught up, s from the start of the process", spread((r.caught_up_s for r in runs), ".1f"), ""],
        [
            "caught up, s a million events from having the partitions",
            spread(ready, ".2f"),
            verdict(statistics.median(ready), CAUGHT_UP_BUDGET_S, at_least=False),
        ],
        [
            "all state and rows lost: rebuilt events/s",
            spread(rebuilt),
            verdict(statistics.median(rebuilt), REBUILD_BUDGET_PER_S, at_least=True),
        ],
    ]
    return Table("Recovery", ["", "measured", "budget"], rows, "Afterwards every event was there exactly once.")


def sharing_table(runs: list[Sharing]) -> Table:
    """One worker beside two."""
    rows = [
        ["one worker, events/s", spread(r.one_per_s for r in runs)],
        ["two workers, events/s", spread(r.two_per_s for r in runs)],
        ["two / one, in the same run", spread((r.two_per_s / r.one_per_s for r in runs), ".2f")],
    ]
    cores = len(os.sched_getaffinity(0))
    note = f"Broker, ClickHouse and all workers shared {cores} cores: they, not the partitions, bound the second row."
    return Table(f"Two workers on {SHARED_PARTITIONS} partitions", ["", "measured"], rows, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lag", type=int, default=LAG_EVENTS, help="events of lag; a multiple of 500")
    parser.add_argument("--form", choices=FORMS, default="columns")
    add_arguments(parser, runs=3)
    arguments = parser.parse_args()
    facts = machine.facts()
    recoveries, sharings = [], []
    for _ in range(arguments.runs):
        with running(arguments.broker) as stack:
            recoveries.append(recover(stack, Workload(arguments.form), arguments.lag))
            sharings.append(share(stack, Workload(arguments.form, SHARED_PARTITIONS), arguments.lag))
        print(recoveries[-1], sharings[-1], flush=True)
    publish(
        f"recovery-{arguments.broker}",
        machine=facts,
        stated={
            "broker": arguments.broker,
            "runs": arguments.runs,
            "form": arguments.form,
            "session_timeout_ms": Settings.model_fields["session_timeout_ms"].default,
            "seed": Workload("").seed,
        },
        runs=[*recoveries, *sharings],
        tables=[recovery_table(recoveries), sharing_table(sharings)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
