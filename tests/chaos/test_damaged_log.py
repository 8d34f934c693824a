"""A bit of the log turns over on the disk of Apache Kafka, and is turned back."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

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
FILLS = 5  # batches of many offsets
RECORDS = 100
BATCH_HEADER_BYTES = 61  # Kafka's record batch, version 2: what the checksum covers begins within it


def turn_a_bit(broker: ApacheKafka, segment: Path, chance: random.Random) -> None:
    """Turns one bit of the records of some batch; its header stays as it is, or the broker would not serve it."""
    data = bytearray(segment.read_bytes())
    starts = [0]
    while (end := starts[-1] + 12 + int.from_bytes(data[starts[-1] + 8 : starts[-1] + 12])) < len(data):
        starts.append(end)
    which = chance.randrange(len(starts))
    end = starts[which + 1] if which + 1 < len(starts) else len(data)
    data[chance.randrange(starts[which] + BATCH_HEADER_BYTES, end)] ^= 1 << chance.randrange(8)
    broker.stop()
    segment.write_bytes(data)
    broker.start()


def lag(worker: WorkerProcess, partition: int) -> int | None:
    """Records of the metrics topic that wait in this partition, as the worker says."""
    found = [p for p in worker.status()["partitions"] if p["topic"] == "swarm.metrics" and p["partition"] == partition]
    return found[0]["lag_records"] if found else None


def test_a_damaged_batch_holds_up_what_follows_it_in_its_partition_and_nothing_else(
    settings: Settings, figures: Callable[..., None]
) -> None:
    chance = random.Random(scale.SEED)
    with apache_kafka() as broker:
        settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap, "partitions": 2})
        traffic = Traffic(scale.SEED, partitions=2)
        with installation(broker, settings, workers=1) as running:
            worker = running.workers["worker-1"]
            worker.terminate()
            for n in range(FILLS):
                fill(broker.bootstrap, traffic.records(T0_MS + n * 60_000, RECORDS))
            (segment,) = broker.data.glob("log/swarm.metrics-0/*.log")
            whole = segment.read_bytes()
            turn_a_bit(broker, segment, chance)
            running.start("worker-1")
            told = "swarm.metrics[0] offset"
            eventually(lambda: told in (worker.status().get("error") or ""), "the damaged batch is named")
            assert worker.status()["state"] == "stalled"
            eventually(lambda: lag(worker, 1) == 0, "the other partition goes on")
            offset = int(worker.status()["error"].removeprefix(told).partition(":")[0])
            eventually(lambda: running.committed().get(0, 0) == offset, "what lies before it is committed")
            running.check_alive()
            broker.stop()
            segment.write_bytes(whole)
            broker.start()
            eventually(lambda: worker.status().get("ready"), "it goes on when the batch is whole")
            verdict = compare_when_drained(settings)
            running.check_alive()
            figures(events=verdict.events, damaged_at=offset, differences=0, drain_s=verdict.drain_s)
