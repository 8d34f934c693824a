"""Events per second from the log to final rows, for the three wire forms, beside peers on the same records.

    make bench BENCH=ingest        python -m benchmarks.ingest [--events N] [--forms columns,array,single] [--runs N]

The log is filled first. Ours, with one worker and with two: from the moment the workers have their partitions to the
moment ClickHouse counts every event in raw and in window rows. Peers: from their first record to their last event, in
their own process, in memory. In each run every contestant has its turn, and every other run in the opposite order.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import machine
from benchmarks.ours import OurRun, measure
from benchmarks.peer import PEERS, Peer, PeerError, PeerRun, run, versions
from benchmarks.results import MIB, Table, publish, spread, verdict
from benchmarks.stack import TOPICS, Stack, add_arguments, running
from benchmarks.workload import COLUMNAR_FORMS, EVENTS_PER_BATCH, FORMS, Workload

PARTITIONS = 4
EVENTS = {"columns": 4_000_000, "mixed": 4_000_000, "array": 2_000_000, "single": 400_000}
PEER_EVENTS = 200_000  # the first of the same: 20 s of event time for single events, so that windows close
BUDGET_PER_S = {"columns": 1_000_000, "mixed": 1_000_000, "array": 400_000, "single": 100_000}
OURS = "Murmuration"
WORKERS = {OURS: 1, f"{OURS}, 2 workers": 2}  # a worker's Python keeps one core busy: `murmur up --workers 2`


class Turn(NamedTuple):
    """What one contestant did in one run; `error` says why it did nothing."""

    form: str
    number: int
    contestant: str
    ours: OurRun | None = None
    peer: PeerRun | None = None
    error: str = ""

    @property
    def done(self) -> OurRun | PeerRun:
        """The run; only of a turn without error."""
        done = self.ours or self.peer
        assert done is not None
        return done

    @property
    def per_s(self) -> float:
        return self.done.per_s


class Filled(NamedTuple):
    """The topics of one form. The peers' one holds the first of the same records: slower engines take longer."""

    log: str
    events: int
    share: str
    share_events: int


def prepare(stack: Stack, form: str, events: int, share_events: int) -> Filled:
    """Fills the form's topics."""
    load = Workload(form, PARTITIONS)
    filled = Filled(f"{form}.{TOPICS[0]}", events, f"{form}.peers", min(events, share_events))
    stack.create_topics([filled.log, f"{form}.{TOPICS[1]}", filled.share], partitions=PARTITIONS)
    stack.fill(load.records(events), filled.log)
    if form not in COLUMNAR_FORMS:  # which no peer but the roof reads
        stack.fill(load.records(filled.share_events), filled.share)
    return filled


def take_turns(stack: Stack, form: str, filled: Filled, number: int, peers: Sequence[Peer]) -> list[Turn]:
    """Every contestant once."""
    turns: list[Turn] = []
    contestants: list[str | Peer] = [*WORKERS, *peers]
    for contestant in contestants if number % 2 == 0 else reversed(contestants):
        if isinstance(contestant, str):
            settings = stack.fresh(topic_prefix=f"{form}.", partitions=PARTITIONS)
            done_by_us = measure(stack, settings, filled.events, workers=WORKERS[contestant])
            turns.append(Turn(form, number, contestant, ours=done_by_us))
        elif form in contestant.forms:
            whole = contestant.module == "bare"
            topic, events = (filled.log, filled.events) if whole else (filled.share, filled.share_events)
            try:
                done = run(contestant, stack, topic=topic, form=form, events=events)
                turns.append(Turn(form, number, contestant.name, peer=done))
            except PeerError as error:
                turns.append(Turn(form, number, contestant.name, error=str(error)))
        else:
            continue
        last = turns[-1]
        print(f"run {number + 1} {form}: {last.contestant} {last.error or f'{last.per_s:,.0f} events/s'}", flush=True)
    return turns


def peers_table(form: str, turns: Sequence[Turn]) -> Table:
    """Everybody's events per second, and ours divided by theirs in the same run."""
    mine = [t for t in turns if t.form == form]
    ours = {t.number: t.ours for t in mine if t.contestant == OURS and t.ours}
    rows = []
    for name, does in _told():
        found = [t for t in mine if t.contestant == name]
        done = [t for t in found if not t.error]
        if found and not done:
            rows.append([name, "", f"did not run: {found[0].error}", "", "", "", "", does])
        if not done:
            continue
        if len(done) < len(found):
            does += f"; void in {len(found) - len(done)} of {len(found)} runs"
        each = [t.done for t in done]
        cpu = [_cpu(e) for e in each]
        rss = [(e.worker_peak_rss_bytes if isinstance(e, OurRun) else e.peak_rss_bytes) / MIB for e in each]
        rows.append(
            [
                name,
                f"{max(e.events for e in each):,}",
                spread(t.per_s for t in done),
                "" if name == OURS else spread((ours[t.number].per_s / t.per_s for t in done), ".2f"),
                spread(cpu, ".1f"),
                "" if name == OURS else spread((_cpu(t.done) / _cpu(ours[t.number]) for t in done), ".2f"),
                spread(rss),
                does,
            ]
        )
    head = ["", "events", "events/s", "ours / theirs", "CPU s a million", "their CPU / ours"]
    head += ["peak RSS MiB", "does"]
    note = (
        "CPU is that of the processes that compute: our workers, the peer. ClickHouse's share stands in the last "
        "table. Ratios are to one worker of ours."
    )
    return Table(f"{form}: events per second", head, rows, note)


def _cpu(done: OurRun | PeerRun) -> float:
    """CPU seconds of the process that computes, a million events."""
    return (done.worker_cpu_s if isinstance(done, OurRun) else done.cpu_s) * 1e6 / done.events


def _told() -> list[tuple[str, str]]:
    does = "windows 10s and 60s, percentiles, scores, raw and window rows in ClickHouse"
    return [*((name, does) for name in WORKERS), *((p.name, p.does) for p in PEERS)]


def ours_table(turns: Sequence[Turn]) -> Table:
    """Where our CPU, memory and bytes go."""
    rows = []
    for form, (name, workers) in itertools.product(FORMS, WORKERS.items()):
        runs = [t.ours for t in turns if (t.form, t.contestant) == (form, name) and t.ours]
        if not runs:
            continue

        def million(name: str, runs: list[OurRun] = runs) -> str:
            return spread((getattr(r, name) * 1e6 / r.events for r in runs), ".2f")

        def mib(name: str, runs: list[OurRun] = runs) -> str:
            return spread((getattr(r, name) / MIB for r in runs), ".0f")

        rows.append(
            [
                form,
                str(workers),
                verdict(statistics.median(r.per_s for r in runs), BUDGET_PER_S[form], at_least=True),
                *(million(f"{part}_cpu_s") for part in ("worker", "clickhouse", "broker")),
                *(mib(f"{part}_peak_rss_bytes") for part in ("worker", "clickhouse", "broker")),
                f"{runs[-1].window_rows:,}",
                spread((r.metrics_bytes / r.events for r in runs), ".1f"),
                f"{runs[-1].snapshot_bytes:,}",
                spread(r.lag_records_at_end for r in runs),
            ]
        )
    head = [
        "form",
        "workers",
        "budget events/s",
        *(f"{p} CPU s a million" for p in ("workers", "ClickHouse", "broker")),
    ]
    head += [f"{p} peak RSS MiB" for p in ("workers", "ClickHouse", "broker")]
    head += ["window rows", "raw bytes an event, unmerged", "snapshot bytes", "lag in records at the end"]
    return Table("Ours in parts", head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, help="events a form; default: " + str(EVENTS))
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--peer-events", type=int, default=PEER_EVENTS, help="of them, read by the slower peers")
    parser.add_argument("--no-peers", action="store_true", help="only ours and the roof")
    add_arguments(parser, runs=3)
    arguments = parser.parse_args()
    peers = [p for p in PEERS if not arguments.no_peers or p.module == "bare"]
    facts = machine.facts()
    turns: list[Turn] = []
    with running(arguments.broker) as stack:
        forms = arguments.forms.split(",")
        events = {f: -(-(arguments.events or EVENTS[f]) // EVENTS_PER_BATCH) * EVENTS_PER_BATCH for f in forms}
        filled = {form: prepare(stack, form, events[form], arguments.peer_events) for form in forms}
        for number in range(arguments.runs):
            for form in forms:
                turns += take_turns(stack, form, filled[form], number, peers)
    publish(
        f"ingest-{arguments.broker}",
        machine=facts,
        stated={
            "broker": arguments.broker,
            "runs": arguments.runs,
            "partitions": PARTITIONS,
            "seed": Workload("").seed,
            "peers": versions(),
        },
        runs=turns,
        tables=[*(peers_table(form, turns) for form in forms), ours_table(turns)],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
