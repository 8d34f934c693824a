"""Questions to a broker that is away: asked again until it is back, and given up after a stated time."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from models.settings import Settings
from streams.log_probe import answered, positions, reader
from streams.topics import METRICS, BrokerAwayError, TopicError, partition_count
from tests.support.brokers import DEFAULT_TOPICS, EmbeddedBroker, acreate_topics, embedded_broker, topics_on

pytestmark = pytest.mark.integration


async def test_a_question_waits_for_a_broker_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    broker = EmbeddedBroker()
    settings = Settings(kafka_bootstrap=broker.bootstrap)
    asked = asyncio.ensure_future(answered(lambda: positions(settings, group="g"), within_s=60))
    try:
        with caplog.at_level(logging.WARNING, logger="streams.log_probe"):
            async with asyncio.timeout(30):
                while "broker_away" not in caplog.text:  # noqa: ASYNC110 - a log line offers no event
                    await asyncio.sleep(0.05)
        await asyncio.to_thread(broker.start)
        await acreate_topics(broker.bootstrap, DEFAULT_TOPICS, partitions=1)
        found = await asked
        assert {place: at.end for place, at in found.items()} == {(name, 0): 0 for name in DEFAULT_TOPICS}
    finally:
        asked.cancel()
        broker.stop()


async def test_and_is_given_up_after_the_stated_time() -> None:
    settings = Settings(kafka_bootstrap=EmbeddedBroker().bootstrap)
    with pytest.raises(BrokerAwayError, match="did not answer within 0 s"):
        await answered(lambda: positions(settings, group="g"), within_s=0)


async def test_a_question_that_is_cut_short_leaves_no_connection_behind() -> None:
    broker = EmbeddedBroker().start()
    settings = Settings(kafka_bootstrap=broker.bootstrap)

    async def ask() -> str:
        async with reader(settings):
            return "connected"

    def connections() -> list[object]:
        return [o for o in gc.get_objects() if isinstance(o, asyncio.Transport) and not o.is_closing()]

    try:
        before, turns, cut = len(connections()), 0, 0
        while True:  # the cut comes a turn of the loop later each time, until the question is through
            asking = asyncio.ensure_future(ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            (answer,) = await asyncio.gather(asking, return_exceptions=True)
            assert len(connections()) == before
            if answer == "connected":
                break
            turns, cut = turns + 1, cut + 1
        assert cut > 10
    finally:
        broker.stop()


def test_a_question_creates_no_topic() -> None:
    with embedded_broker([]) as bootstrap:
        settings = Settings(kafka_bootstrap=bootstrap)
        with pytest.raises(TopicError, match=r"swarm\.metrics does not exist"):
            asyncio.run(partition_count(settings, METRICS))
        assert topics_on(bootstrap) == []
