"""Workers are killed, frozen past their session, stopped and started while events come in."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import Broker, Installation, installation
from tests.support.load import Load
from tests.support.straight import check_snapshots
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORDS_PER_S = 400  # about 4,000 events: the machine is busy starting workers


def test_rows_equal_the_recount_after_a_storm_of_kills(
    each_broker: Broker, settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": each_broker.bootstrap})
    duration_s = scale.seconds(9)
    with installation(each_broker, settings, workers=3) as running:
        with Load(each_broker.bootstrap, Traffic(scale.SEED).records, records_per_s=RECORDS_PER_S) as load:
            left_s = duration_s
            while left_s > 0:
                pause_s = chance.uniform(2, 5)
                load.keep_on(pause_s)
                left_s -= pause_s
                running.kill(chance.choice(sorted(running.workers)))
                running.sample_commits()
        _judge(running, figures)


def test_rows_equal_the_recount_after_rebalances_and_zombies(
    broker: Broker, settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    duration_s = scale.seconds(12)
    with installation(broker, settings, workers=2) as running:
        with Load(broker.bootstrap, Traffic(scale.SEED + 1).records, records_per_s=RECORDS_PER_S) as load:
            left_s = duration_s
            while left_s > 0:
                load.keep_on(5)
                left_s -= 5
                name = chance.choice(sorted(running.workers))
                if running.faults.get("stops", 0) > running.faults.get("zombies", 0):
                    _freeze_until_replaced(running, load, name)
                else:
                    running.stop(name)
                running.sample_commits()
        _judge(running, figures)


def _freeze_until_replaced(running: Installation, load: Load, name: str) -> None:
    """SIGSTOP until the others own every partition, then SIGCONT: it goes on as if nothing had happened."""
    frozen = running.workers[name]
    eventually(lambda: frozen.status().get("assigned"), f"{name} owns something")
    frozen.signal(signal.SIGSTOP)
    eventually(lambda: running.all_owned(without=name), f"{name} is replaced")
    load.keep_on(1)
    frozen.signal(signal.SIGCONT)
    running.count("zombies")


def _judge(running: Installation, figures: Callable[..., None]) -> None:
    verdict = compare_when_drained(running.settings)
    running.check_alive()
    figures(
        events=verdict.events,
        records=verdict.records,
        dead_letters=verdict.dead_letters,
        windows=verdict.windows,
        **running.faults,
        commits_checked=running.check_commits(verdict.recount),
        snapshots_checked=check_snapshots(running.settings, verdict.log),
        differences=0,
        drain_s=verdict.drain_s,
    )
