"""The longest session that the settings allow is one a worker can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.settings import Settings
from tests.support.kafka import apache_kafka
from tests.support.waiting import eventually
from tests.support.workers import quick_settings, worker


@pytest.mark.integration
@pytest.mark.kafka
def test_a_worker_with_a_session_of_five_minutes_gets_its_partitions(clickhouse: Settings, tmp_path: Path) -> None:
    # The embedded broker lets the first join wait for as long as the session.
    with apache_kafka() as broker:
        settings = quick_settings(clickhouse, broker.bootstrap, tmp_path, session_timeout_ms=300_000)
        with worker(settings) as one:
            of_both_topics = 2 * settings.partitions
            eventually(lambda: len(one.status().get("assigned", [])) == of_both_topics, "all partitions are its own")
