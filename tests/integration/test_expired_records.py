"""Records expire before a worker has read them: it folds nothing over the gap, names the offsets, and ends."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from models.settings import Settings
from tests.support.load import fill
from tests.support.produce import await_committed, delete_records, ends, make_topics
from tests.support.traffic import Traffic
from tests.support.verdict import events_stored
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings, worker

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.parametrize("any_broker", ["kafka"], indirect=True),  # the embedded broker deletes no records
]

NOW_MS = 1_790_000_000_000
RECORDS = 200
ENDS_WITHIN_S = 60.0


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path) -> Settings:
    return quick_settings(clickhouse, any_broker, tmp_path, windows="1s", partitions=1)


def test_a_worker_that_starts_behind_expired_records_names_them_and_a_new_version_goes_on(settings: Settings) -> None:
    traffic = Traffic(1, partitions=1)
    make_topics(settings)
    with worker(settings) as process:
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS, RECORDS))
        await_committed(settings, process)
        assert process.terminate() == 0
    begin = _end(settings)
    fill(settings.kafka_bootstrap, traffic.records(NOW_MS + 10_000, RECORDS))
    delete_records(settings, {0: begin + 50})
    stored = events_stored(settings)
    with worker(settings) as process:
        assert process.wait(ENDS_WITHIN_S) == 1
        assert _needed(process) == (begin, begin + 49)
    assert events_stored(settings) == stored, "nothing was folded over the gap"
    left = _end(settings) - begin - 50
    with worker(settings.model_copy(update={"fold_version": 2})) as process:
        eventually(lambda: process.status().get("records_total") == left, "what is left is folded")


def test_a_worker_whose_records_expire_while_it_is_frozen_names_them(settings: Settings) -> None:
    traffic = Traffic(2, partitions=1)
    make_topics(settings)
    with worker(settings) as process:
        fill(settings.kafka_bootstrap, traffic.records(NOW_MS, RECORDS))
        await_committed(settings, process)
        process.signal(signal.SIGSTOP)
        for step in range(1, 4):
            fill(settings.kafka_bootstrap, traffic.records(NOW_MS + step * 10_000, RECORDS))
        end = _end(settings)
        delete_records(settings, {0: end - 50})
        process.signal(signal.SIGCONT)
        assert process.wait(ENDS_WITHIN_S) == 1
        first, last = _needed(process)
        assert RECORDS <= first < last == end - 51, "it may have fetched some before it was frozen"


def _end(settings: Settings) -> int:
    """The log's end, of its one partition that holds anything."""
    return max(at.end for at in ends(settings).values())


def _needed(process: WorkerProcess) -> tuple[int, int]:
    """The offsets in the worker's last line."""
    said = process.output().splitlines()[-1]
    found = re.search(r"records (\d+)\.\.(\d+) are needed and the log no longer has them", said)
    assert found, process.output()[-2_000:]
    return int(found[1]), int(found[2])
