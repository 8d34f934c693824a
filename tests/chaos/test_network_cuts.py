"""A worker loses the network to the broker while ClickHouse stays reachable: it goes on, and does not know.

Packets vanish in one direction or both, without a reset or a close. Its group gives its partitions to others; it folds
and stores what it had fetched beside them, until the network is back.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from models.settings import Settings
from tests.chaos import scale
from tests.support.cable import Cable, cabled_kafka
from tests.support.installation import Installation, installation
from tests.support.load import Load, fill
from tests.support.straight import check_snapshots
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

WORKERS = ("worker-1", "worker-2", "worker-3")
RECORDS_PER_S = 150
BURST_RECORDS = 2_000  # just before a cut: the worker has fetched more than it has folded when it becomes a zombie
WITHIN_SESSION_S = (1.0, 3.0)  # the session is 6 s
BEYOND_S = (1.0, 4.0)  # on top of the time until others own everything
MINUTES_S = 150.0  # longer than any question to the broker waits
HEALED_WITHIN_S = 60.0
LOG_LINES_MAX_PER_CUT = 150


@dataclass(frozen=True)
class Form:
    """One way to lose the network."""

    name: str
    requests: bool = True
    answers: bool = True
    reset: bool = False  # healed by resetting the connections, not by letting what they held through
    within_session: bool = False  # nobody takes over
    for_minutes: bool = False


SHORT = (Form("both_lost"), Form("answers_lost", requests=False), Form("healed_by_reset", reset=True))
LONG = (*SHORT, Form("requests_lost", answers=False), Form("within_session", within_session=True))
MINUTES = Form("for_minutes", for_minutes=True)
FORMS = (*LONG, MINUTES) if scale.LONG_S > 300 else LONG if scale.LONG else SHORT


def test_rows_equal_the_recount_after_workers_lost_the_network_to_the_broker(
    settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    slowest_s, folded_cut_off = 0.0, 0
    with cabled_kafka(WORKERS) as (broker, cables):
        settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
        addresses = {name: cable.address for name, cable in cables.items()}
        traffic, bursts = Traffic(scale.SEED + 4), Traffic(scale.SEED + 5)
        with installation(broker, settings, workers=len(WORKERS), bootstraps=addresses) as running:
            with Load(broker.bootstrap, traffic.records, records_per_s=RECORDS_PER_S) as load:
                end_s = time.monotonic() + scale.seconds(1)
                forms: list[Form] = []
                while time.monotonic() < end_s or sum(running.faults.values()) < len(FORMS):
                    forms = forms or chance.sample(FORMS, len(FORMS))
                    load.keep_on(chance.uniform(1, 2))
                    name = chance.choice(WORKERS)
                    fill(broker.bootstrap, bursts.records(int(time.time() * 1000), BURST_RECORDS))
                    folded_cut_off += _cut(running, cables[name], load, name, forms.pop(), chance)
                    slowest_s = max(slowest_s, _healed(running, name))
                    running.sample_commits()
            verdict = compare_when_drained(running.settings)
            running.check_alive()
            lines = max(w.output().count("\n") for w in running.workers.values()) / sum(running.faults.values())
            figures(
                events=verdict.events,
                records=verdict.records,
                dead_letters=verdict.dead_letters,
                windows=verdict.windows,
                **running.faults,
                events_folded_while_cut_off=folded_cut_off,
                commits_checked=running.check_commits(verdict.recount),
                snapshots_checked=check_snapshots(running.settings, verdict.log),
                differences=0,
                back_after_s=slowest_s,
                log_lines_per_cut=int(lines),
                drain_s=verdict.drain_s,
            )
            assert folded_cut_off > 0, "no worker was a zombie"
            assert lines < LOG_LINES_MAX_PER_CUT


def _cut(running: Installation, cable: Cable, load: Load, name: str, form: Form, chance: random.Random) -> int:
    """One cut of one worker, healed; returns the events it folded while it was cut off."""
    worker = running.workers[name]
    cable.cut(requests=form.requests, answers=form.answers)
    cut_s, before = time.monotonic(), int(worker.status().get("events_total") or 0)
    if form.within_session:
        load.keep_on(chance.uniform(*WITHIN_SESSION_S))
    else:
        eventually(lambda: running.all_owned(without=name), f"{name}, {form.name}, is replaced")
        running.sample_commits()
        load.keep_on(chance.uniform(*BEYOND_S))
    if form.for_minutes:
        load.keep_on(cut_s + MINUTES_S - time.monotonic())
        assert worker.status()["state"] == "stalled", "it says that the broker is away"
    folded = int(worker.status().get("events_total") or 0) - before
    cable.heal(reset=form.reset)
    running.count(form.name)
    print(f"{form.name} {name} {time.monotonic() - cut_s:.1f} s folded {folded} held {cable.held}")
    return folded


def _healed(running: Installation, name: str) -> float:
    """Seconds until no worker is half-alive: each owns its share alone, and the one that was cut off folds again."""
    healed_s = time.monotonic()
    within_s = HEALED_WITHIN_S
    eventually(running.shared_out, "every worker has its share again", within_s=within_s)
    worker = running.workers[name]
    records = int(worker.status()["records_total"])
    eventually(lambda: worker.status()["records_total"] > records, f"{name} folds again", within_s=within_s)
    running.check_alive()
    return time.monotonic() - healed_s
