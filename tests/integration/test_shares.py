"""Which worker of a group gets how many partitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.settings import Settings
from tests.support.brokers import EmbeddedBroker
from tests.support.installation import installation
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PARTITIONS = 4  # of which two workers have two each, so that none has more than its share rounded up


def test_a_worker_that_comes_to_others_gets_partitions_while_there_are_enough(
    clickhouse: Settings, tmp_path: Path
) -> None:
    broker = EmbeddedBroker().start()
    own = {"kafka_bootstrap": broker.bootstrap, "home": tmp_path, "partitions": PARTITIONS, "session_timeout_ms": 6_000}
    try:
        with installation(broker, clickhouse.model_copy(update=own), workers=2) as running:
            eventually(running.shared_out, "two workers have two partitions of each topic")
            running.start("worker-3")
            eventually(running.shared_out, "all three have some", within_s=60)
            assert sorted(map(len, running.assigned().values())) == [2, 2, 4]
    finally:
        broker.stop()
