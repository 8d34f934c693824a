"""ClickHouse away, slow, silent, answering nonsense, refusing single rows: rows are late, never lost or doubled."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.chaos import scale
from tests.support.installation import Broker, Installation, installation
from tests.support.load import Load
from tests.support.logs import read_log
from tests.support.oracle import recount
from tests.support.proxies import HttpProxy, Mode, http_proxy
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORDS_PER_S = 300
LATENCY_S = 2.0
RSS_MAX_MB = 400
HIT_WITHIN_S = 60.0  # a worker that waits tries again after 30 s at the latest
DRAIN_S = 120.0  # the pause of 30 s comes on top of the work
# The driver waits 120 s for an answer before it gives up: silence needs a long run.
SHORT = (Mode.AMBIGUOUS, Mode.TORN, Mode.UNAVAILABLE)
FAULTS = (*SHORT, Mode.BLACK_HOLE) if scale.LONG_S > 300 else SHORT
# Rows the table is made to refuse: all events of every 397th record of a partition. Few, because each costs the sink
# dozens of inserts until it stands alone.
REFUSED_EVERY, REFUSED_FIRST, REFUSED_PARTITION = 397, 5, 1


def test_rows_equal_the_recount_after_every_fault_of_the_store(
    broker: Broker, settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    _refuse_rows(settings)
    faults = ["refused", "SLOW", *(mode.name for mode in FAULTS)]
    each_s = scale.seconds(5) / len(faults)
    rss_bytes = 0
    with (
        http_proxy(settings.clickhouse_url) as proxy,
        installation(broker, settings, workers=2, clickhouse_url=proxy.url) as running,
        Load(broker.bootstrap, Traffic(scale.SEED + 2).records, records_per_s=RECORDS_PER_S) as load,
    ):
        load.keep_on(1)
        for fault in chance.sample(faults, len(faults)):
            _inject(proxy, fault, load, each_s)
            running.sample_commits()
            running.check_alive()
            rss_bytes = max(rss_bytes, *running.rss_bytes().values())
        load.stop()
        _judge(running, proxy, rss_bytes, figures)


def _inject(proxy: HttpProxy, fault: str, load: Load, duration_s: float) -> None:
    """One fault for a while, and until it has hit an insert."""
    before = proxy.hits[fault]
    if fault == "refused":
        proxy.refuse()
        load.keep_on(duration_s)
        proxy.accept()
        return
    if fault == "SLOW":
        proxy.latency_s = LATENCY_S
    else:
        proxy.mode = Mode[fault]
    load.keep_on(duration_s)
    eventually(lambda: proxy.hits[fault] > before, f"{fault} hits an insert", within_s=HIT_WITHIN_S)
    proxy.mode, proxy.latency_s = Mode.PASS, 0.0


def _refuse_rows(settings: Settings) -> None:
    client = connect(settings)
    refused = f"partition = {REFUSED_PARTITION} AND offset % {REFUSED_EVERY} = {REFUSED_FIRST}"
    client.command(f"ALTER TABLE metrics ADD CONSTRAINT refused_by_the_test CHECK NOT ({refused})")
    client.close()


def _judge(running: Installation, proxy: HttpProxy, rss_bytes: int, figures: Callable[..., None]) -> None:
    log = read_log(running.settings.kafka_bootstrap, "swarm.metrics")
    events = recount(log, (), running.settings.future_skew_ms).events
    rejected = frozenset(
        place for place in events if place[0] == REFUSED_PARTITION and place[1] % REFUSED_EVERY == REFUSED_FIRST
    )
    assert rejected
    verdict = compare_when_drained(running.settings, rejected=rejected, within_s=DRAIN_S)
    assert rss_bytes < RSS_MAX_MB * 2**20
    figures(
        events=verdict.events,
        records=verdict.records,
        rows_refused=len(rejected),
        **{f"{name.lower()}_inserts" if name != "refused" else "refusals": n for name, n in sorted(proxy.hits.items())},
        commits_checked=running.check_commits(verdict.recount, rejected),
        differences=0,
        rss_max_mb=rss_bytes >> 20,
        drain_s=verdict.drain_s,
    )
