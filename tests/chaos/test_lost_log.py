"""Apache Kafka comes back without the end of its log, as after an unclean leader election or a restored backup."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import installation
from tests.support.kafka import ApacheKafka, apache_kafka
from tests.support.load import fill
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

T0_MS = 1_790_000_000_000
ENDS_WITHIN_S = 90.0  # a client asks a broker that died again with growing pauses


def lose_half(broker: ApacheKafka) -> None:
    """Kills the broker, cuts the second half off every partition's log, and starts it again."""
    broker.kill()
    for segment in broker.data.glob("log/swarm.metrics-*/*.log"):
        segment.write_bytes(segment.read_bytes()[: segment.stat().st_size // 2])
        for index in segment.parent.glob("*.*index"):
            index.unlink()
    broker.start()


def last_words(worker: WorkerProcess) -> str:
    assert worker.wait(ENDS_WITHIN_S) == 1
    return worker.output()


def test_a_log_that_lost_its_end_stops_the_worker_before_it_folds_other_records(
    settings: Settings, figures: Callable[..., None]
) -> None:
    with apache_kafka() as broker:
        settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap, "partitions": 1})
        with installation(broker, settings, workers=1) as running:
            traffic = Traffic(scale.SEED, partitions=1)
            fill(broker.bootstrap, traffic.records(T0_MS, 600))
            verdict = compare_when_drained(settings)
            eventually(lambda: running.committed().get(0) == verdict.records, "everything is committed")
            worker = running.workers["worker-1"]
            lose_half(broker)
            assert "the log lost records" in last_words(worker)
            # More than was lost: the log is longer than before, and only its records tell.
            fill(broker.bootstrap, traffic.records(T0_MS + 60_000, 1_200))
            running.start("worker-1")
            assert "is not the one we folded" in last_words(worker)
            figures(records=verdict.records)
