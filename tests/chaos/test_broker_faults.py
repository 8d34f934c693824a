"""The broker is frozen, or killed and started again with its log, while events come in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import Broker, Installation, installation
from tests.support.kafka import ApacheKafka
from tests.support.load import Load
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORDS_PER_S = 300
OUTAGE_S = 8.0  # longer than the session timeout: the group falls apart
READY_WITHIN_S = 15.0  # after the broker is back
LOG_LINES_MAX_PER_OUTAGE = 150  # of one worker: clients complain dozens of times a second unless they are held back


def test_rows_equal_the_recount_after_the_broker_was_away(
    each_broker: Broker, settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": each_broker.bootstrap})
    # The embedded broker forgets its log when it ends, so it is only frozen.
    kinds = ["killed", "frozen"] if isinstance(each_broker, ApacheKafka) else ["frozen"]
    slowest_s = 0.0
    with (
        installation(each_broker, settings, workers=2) as running,
        Load(each_broker.bootstrap, Traffic(scale.SEED + 3).records, records_per_s=RECORDS_PER_S) as load,
    ):
        end_s = time.monotonic() + scale.seconds(1)
        while time.monotonic() < end_s or not running.faults:
            load.keep_on(chance.uniform(2, 4))
            kind = kinds[sum(running.faults.values()) % len(kinds)]
            slowest_s = max(slowest_s, _outage(running, load, kind))
            running.sample_commits()
        load.stop()
        verdict = compare_when_drained(settings)
        lines = max(w.output().count("\n") for w in running.workers.values()) / sum(running.faults.values())
        assert lines < LOG_LINES_MAX_PER_OUTAGE
        figures(
            events=verdict.events,
            records=verdict.records,
            **running.faults,
            commits_checked=running.check_commits(verdict.recount),
            differences=0,
            ready_after_s=slowest_s,
            log_lines_per_outage=int(lines),
            drain_s=verdict.drain_s,
        )


def _outage(running: Installation, load: Load, kind: str) -> float:
    """One outage; returns the seconds from the broker's return until every partition is folded again."""
    broker = running.broker
    if kind == "killed":
        broker.kill()
        load.keep_on(OUTAGE_S)
        broker.start()
    else:
        broker.pause()
        load.keep_on(OUTAGE_S)
        broker.resume()
    running.count(kind)
    back_s, before = time.monotonic(), load.acknowledged
    eventually(lambda: load.acknowledged > before, "the log takes records again")
    running.folds_on()  # what was folded until now does not count
    eventually(lambda: running.all_owned() and running.folds_on(), "records are folded again")
    took_s = time.monotonic() - back_s
    assert took_s < READY_WITHIN_S, f"{took_s:.1f} s after the broker was back"
    running.check_alive()
    return took_s
