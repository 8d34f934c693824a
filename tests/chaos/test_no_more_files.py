"""Workers may open no file and no connection for a while: the limit of open files is below what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from models.settings import Settings
from tests.chaos import scale
from tests.support.installation import Broker, Installation, installation
from tests.support.load import Load
from tests.support.traffic import Traffic
from tests.support.verdict import compare_when_drained
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not psutil.LINUX, reason="only Linux sets the limit of a process that runs"),
]

OPEN_FILES_MAX = 10  # less than a worker holds when it has done nothing yet
WORKERS = 2


def test_rows_equal_the_recount_after_workers_had_no_file_descriptors_left(
    broker: Broker, settings: Settings, figures: Callable[..., None]
) -> None:
    settings = settings.model_copy(update={"kafka_bootstrap": broker.bootstrap})
    with installation(broker, settings, workers=WORKERS) as running:
        with Load(broker.bootstrap, Traffic(scale.SEED).records, records_per_s=200) as load:
            load.keep_on(2)
            with _no_more_files(running):
                load.keep_on(scale.seconds(6))
                running.check_alive()
                for process in running.workers.values():
                    assert "Too many open files" in process.output()
            at = running.committed()
            eventually(lambda: running.committed() != at, "commits go on")
            eventually(lambda: all(w.status().get("ready") for w in running.workers.values()), "all are ready again")
        verdict = compare_when_drained(settings)
        figures(events=verdict.events, differences=0, drain_s=verdict.drain_s)
        running.check_alive()


@contextmanager
def _no_more_files(running: Installation) -> Iterator[None]:
    processes = [psutil.Process(w.process.pid) for w in running.workers.values() if w.process is not None]
    before = {process: process.rlimit(psutil.RLIMIT_NOFILE) for process in processes}
    for process, (_, hard) in before.items():
        process.rlimit(psutil.RLIMIT_NOFILE, (OPEN_FILES_MAX, hard))
    try:
        yield
    finally:
        for process, limit in before.items():
            if process.is_running():
                process.rlimit(psutil.RLIMIT_NOFILE, limit)
