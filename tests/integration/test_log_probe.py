"""Questions to a broker that is away: asked again until it is back, and given up after a stated time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from models.settings import Settings
from streams.log_probe import answered, positions
from streams.topics import BrokerAwayError
from tests.support.brokers import DEFAULT_TOPICS, EmbeddedBroker, acreate_topics

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
