"""Somebody moves the offsets that the group has committed, while no worker runs: ahead, back, anywhere."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import Installation, installation
from tests.support.kafka import apache_kafka
from tests.support.load import Load, fill
from tests.support.produce import ends
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

WORKERS = 2
ROUND_S = 4.0
UNSEEN_RECORDS = 100  # that are in the log before anybody moves its offsets, and that no worker has read


def test_rows_equal_the_recount_after_somebody_moved_the_committed_offsets(
    settings: Settings, chance: random.Random, figures: Callable[..., None]
) -> None:
    moves: list[Callable[[int, int], int]] = [
        lambda _earliest, end: end,  # "skip what is old": behind records that nobody has folded
        lambda earliest, _end: earliest,  # "read all again"
        chance.randint,
    ]
    moves += [chance.randint] * int(scale.LONG_S // 30)
    traffic = Traffic(scale.SEED)
    with apache_kafka() as broker:  # the embedded broker takes no commit from outside a group
        settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
        with installation(broker, settings, workers=WORKERS) as running:
            for move in moves:
                with Load(broker.bootstrap, traffic.records, records_per_s=200) as load:
                    load.keep_on(ROUND_S)
                _stop_all(running)
                fill(broker.bootstrap, traffic.records(int(time.time() * 1000), UNSEEN_RECORDS))
                moved = {place: move(log.earliest, log.end) for place, log in ends(settings).items()}
                asyncio.run(_commit(settings, moved))
                running.count("moves")
                for name in running.workers:
                    running.start(name)
                running.await_ready()
            verdict = compare_when_drained(settings)
            figures(events=verdict.events, differences=0, drain_s=verdict.drain_s, **running.faults)
            running.check_alive()


def _stop_all(running: Installation) -> None:
    for process in running.workers.values():
        assert process.terminate() == 0, process.output()[-2_000:]


async def _commit(settings: Settings, offsets: Mapping[tuple[str, int], int]) -> None:
    """As kafka-consumer-groups --reset-offsets does: a group without members takes a commit from anyone."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, group_id=settings.consumer_group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = {TopicPartition(*place): at for place, at in offsets.items()}
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()
