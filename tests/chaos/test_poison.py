"""Bad input slows the worker no more than in proportion, and never stops it."""

from __future__ import annotations

import gzip
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos import scale
from tests.support.clickhouse import migrated_database
from tests.support.installation import Broker, installation
from tests.support.load import Sent, fill
from tests.support.traffic import Traffic
from tests.support.verdict import Verdict, compare_when_drained, events_stored
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RATIOS = (0.0, 0.01, 0.2)
# Records folded, stored and dead-lettered per second of CPU, of those of the clean log. The short form takes half a
# second of CPU: the dear records and the noise of a busy machine weigh more there.
SHARE_MIN = 0.8 if scale.LONG else 0.6
RECORDS = int(scale.LONG_S * 500) or 4_000
JSON = ("content-type", b"application/json")
# The dear ones: each costs a worker that is not careful far more than it costs its sender.
DEAR: tuple[Sent, ...] = (
    (0, [JSON, ("content-encoding", b"gzip")], gzip.compress(bytes(100_000_000))),
    (1, [], b"[" * 100_000),
    (2, [], b"\xff" * 9_000_000),
    (3, [], b'{"swarm_id": "s", "metric": "m", "value": NaN, "timestamp": 1}'),
    (3, [], b'{"swarm_id": "s", "metric": "m", "value": 1e999, "timestamp": 1}'),
)


def test_poison_is_dead_lettered_one_by_one_and_costs_no_more_than_its_share(
    broker: Broker, tmp_path: Path, figures: Callable[..., None]
) -> None:
    told, clean = [], 0.0
    for ratio in RATIOS:
        rate, verdict = _run(broker, tmp_path / f"{ratio:g}", ratio)
        clean = clean or rate
        told.append((ratio, rate / clean, verdict))
    figures(
        events=sum(verdict.events for _, _, verdict in told),
        dead_letters=sum(verdict.dead_letters for _, _, verdict in told),
        differences=0,
        clean_records_per_cpu_s=int(clean),
        **{f"at_{ratio:.0%}_poison": f"{share:.2f}" for ratio, share, _ in told[1:]},
    )
    for ratio, share, _ in told:
        assert share >= SHARE_MIN, f"{ratio:.0%} poison: {share:.2f} of the clean run"


def _run(broker: Broker, home: Path, ratio: float) -> tuple[float, Verdict]:
    """Records per second of the worker's CPU time, from the log to acknowledged rows, and the verdict."""
    with migrated_database() as database:
        settings = database.model_copy(
            update={
                "kafka_bootstrap": broker.bootstrap,
                "home": home,
                "topic_prefix": f"p{ratio:g}-",
                "app_id": f"p{ratio:g}",
                "windows": "1s,10s",
                "session_timeout_ms": 6_000,
            }
        )
        with installation(broker, settings, workers=1) as running:
            worker = running.workers["worker-1"].process
            assert worker is not None
            topic = f"{settings.topic_prefix}swarm.metrics"
            warm = fill(broker.bootstrap, _warm_up(), topic=topic)
            eventually(lambda: events_stored(settings), "the worker is warm")
            before_s = _cpu_s(worker.pid)
            records = fill(broker.bootstrap, _records(ratio), topic=topic)
            eventually(lambda: _drained(running.workers["worker-1"].status(), warm + records), "all is folded")
            spent_s = _cpu_s(worker.pid) - before_s  # before the verdict: a worker that waits has timers that cost
            verdict = compare_when_drained(settings)
            running.check_alive()
            assert running.workers["worker-1"].status()["pid"] == worker.pid
    return records / spent_s, verdict


def _warm_up() -> Iterator[Sent]:
    """Valid records of every form, so that no run pays for what happens once."""
    return Traffic(scale.SEED + 9, poison_ratio=0.0).records(int(time.time() * 1000), 200)


def _records(ratio: float) -> Iterator[Sent]:
    """The same valid records whatever the ratio, with poison between them."""
    now_ms = int(time.time() * 1000)
    valid = Traffic(scale.SEED, poison_ratio=0.0).records(now_ms, RECORDS)
    poison = itertools.chain(DEAR, Traffic(scale.SEED, poison_ratio=1.0).records(now_ms, int(RECORDS * ratio)))
    if not ratio:
        yield from valid
        return
    every = max(1, int(1 / ratio))
    for n, record in enumerate(valid):
        yield record
        if n % every == 0:
            yield from itertools.islice(poison, 1)
    yield from poison


def _drained(status: dict[str, Any], records: int) -> bool:
    """Whether the worker says that it has folded and stored this many records."""
    return bool(status.get("records_total") == records and status["lag_records"] == 0)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
