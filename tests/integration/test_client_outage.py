"""The publisher while the broker is away, frozen, or back: nothing blocks, and every event is accounted for.

The embedded broker forgets its log when it stops, so exactness is shown with a broker that starts late, and with
one that is frozen (SIGSTOP) and thawed: its log then holds resent records, which carry the stamp of the first send.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from murmur import AsyncPublisher, Publisher, Stats
from tests.support.brokers import EmbeddedBroker, acreate_topics, create_topics, topics_on
from tests.support.logs import aread_log, read_log
from tests.support.waiting import eventually
from tests.support.wire import events_of, without_resends

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
METRICS = "swarm.metrics"
EMIT_MS_MAX = (
    400  # a single emit() on a machine with two busy cores; a blocked one waits for a request's 500 ms at least
)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """Not started yet: its port refuses connections."""
    broker = EmbeddedBroker()
    yield broker
    broker.stop()


def arrived(bootstrap: str) -> Counter[float]:
    return _values(without_resends(read_log(bootstrap, METRICS)))


def _values(records: list[Any]) -> Counter[float]:
    return Counter(event["value"] for record in records for event in events_of(record))


def start(broker: EmbeddedBroker) -> None:
    broker.start()
    create_topics(broker.bootstrap, [METRICS])


def connected(broker: EmbeddedBroker, **options: Any) -> Publisher:
    """A publisher whose first event, of value 0, the freshly started broker has acknowledged."""
    start(broker)
    publisher = Publisher(broker.bootstrap, swarm_id="s", batch_age_ms=20, **options)
    publisher.emit("x", 0.0)
    assert publisher.flush(20)
    return publisher


def adds_up(stats: Stats) -> bool:
    return stats.emitted + stats.recovered == stats.acknowledged + stats.dropped + stats.buffered + stats.spool_events


def test_without_a_spool_the_oldest_are_dropped_with_an_exact_count(broker: EmbeddedBroker) -> None:
    publisher = Publisher(broker.bootstrap, swarm_id="s", buffer_events_max=1_000, batch_age_ms=20)
    publisher.emit("x", 0.0)
    eventually(lambda: publisher.stats().last_error != "")
    for i in range(1, 5_000):
        publisher.emit("x", float(i))
    before = publisher.stats()
    assert adds_up(before)
    assert before.dropped_buffer_full >= 3_000
    start(broker)
    assert publisher.flush(30)
    after = publisher.stats()
    assert publisher.close()
    assert after.dropped == after.dropped_buffer_full
    assert after.acknowledged == 5_000 - after.dropped_buffer_full
    got = arrived(broker.bootstrap)
    assert sum(got.values()) == after.acknowledged
    assert set(range(4_000, 5_000)) <= set(got)  # the newest thousand stayed
    assert max(got.values()) == 1


def test_with_a_spool_nothing_is_lost_while_the_broker_is_away(broker: EmbeddedBroker, tmp_path: Path) -> None:
    publisher = Publisher(broker.bootstrap, swarm_id="s", batch_age_ms=20, spool_dir=tmp_path)
    for i in range(20_000):
        publisher.emit("x", float(i))
    eventually(lambda: publisher.stats().spool_events > 5_000)
    assert publisher.stats().dropped == 0
    start(broker)
    assert publisher.flush(30)
    stats = publisher.stats()
    assert publisher.close()
    assert (stats.acknowledged, stats.dropped, stats.spool_events) == (20_000, 0, 0)
    assert arrived(broker.bootstrap) == Counter(float(i) for i in range(20_000))
    assert list(tmp_path.iterdir()) == []


def test_the_spool_outlives_the_process_and_leaves_oldest_first(broker: EmbeddedBroker, tmp_path: Path) -> None:
    script(
        f"""
from murmur import Publisher
p = Publisher({broker.bootstrap!r}, swarm_id="s", spool_dir={str(tmp_path)!r})
for i in range(3000):
    p.emit("x", float(i))
assert not p.close(0.5)
s = p.stats()
assert (s.spool_events, s.dropped, s.buffered) == (3000, 0, 0), s
"""
    )
    broker.start()
    create_topics(broker.bootstrap, [METRICS], partitions=1)
    with Publisher(broker.bootstrap, swarm_id="s", spool_dir=tmp_path) as heir:
        heir.emit("x", 3_000.0)
        assert heir.flush(30)
        stats = heir.stats()
    assert (stats.recovered, stats.emitted, stats.acknowledged) == (3_000, 1, 3_001)
    events = [e["value"] for r in without_resends(read_log(broker.bootstrap, METRICS)) for e in events_of(r)]
    assert events == [float(i) for i in range(3_001)]


def test_a_process_killed_while_it_replays_its_spool_is_continued_without_loss_or_double(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    script(
        f"""
from murmur import Publisher
p = Publisher({broker.bootstrap!r}, swarm_id="s", spool_dir={str(tmp_path)!r}, batch_events_max=5)
for i in range(20000):
    p.emit("x", float(i))
p.close(0.3)
assert p.stats().spool_events == 20000
"""
    )
    broker.start()
    create_topics(broker.bootstrap, [METRICS])
    victim = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
import time
from murmur import Publisher
p = Publisher({broker.bootstrap!r}, swarm_id="s", spool_dir={str(tmp_path)!r})
p.emit("x", -1.0, timestamp_ms=1)  # invalid on purpose: it only starts the delivery
while p.stats().acknowledged == 0:
    time.sleep(0.001)
print("replaying", flush=True)
time.sleep(60)
""",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"replaying\n"
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)
    victim.stdout.close()
    with Publisher(broker.bootstrap, swarm_id="s", spool_dir=tmp_path) as heir:
        heir.emit("x", 20_000.0)
        assert heir.flush(30)
        assert heir.stats().recovered > 0
    assert arrived(broker.bootstrap) == Counter(float(i) for i in range(20_001))
    assert list(tmp_path.iterdir()) == []


def test_emit_never_blocks_while_the_broker_is_frozen_and_resends_keep_their_stamp(
    broker: EmbeddedBroker,
) -> None:
    publisher = connected(broker, request_timeout_ms=500)
    broker.pause()
    slowest_s = 0.0
    for i in range(1, 5_000):
        started_s = time.perf_counter()
        publisher.emit("x", float(i))
        slowest_s = max(slowest_s, time.perf_counter() - started_s)
    eventually(lambda: publisher.stats().retried_records > 0)
    assert slowest_s * 1000 < EMIT_MS_MAX
    assert publisher.flush(0.05) is False
    broker.resume()
    assert publisher.flush(30)
    stats = publisher.stats()
    assert publisher.close()
    assert (stats.acknowledged, stats.dropped) == (5_000, 0)
    assert arrived(broker.bootstrap) == Counter(float(i) for i in range(5_000))


def test_a_broker_killed_midway_loses_nothing_that_was_not_acknowledged_before(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    publisher = connected(broker, request_timeout_ms=500, spool_dir=tmp_path)
    for i in range(1, 1_000):
        publisher.emit("x", float(i))
    assert publisher.flush(20)
    first_log = arrived(broker.bootstrap)
    broker.kill()
    for i in range(1_000, 21_000):
        publisher.emit("x", float(i))
    eventually(lambda: publisher.stats().spool_events > 0)
    start(broker)  # the same port, an empty log
    assert publisher.flush(30)
    stats = publisher.stats()
    assert publisher.close()
    assert (stats.acknowledged, stats.dropped) == (21_000, 0)
    assert first_log + arrived(broker.bootstrap) == Counter(float(i) for i in range(21_000))


def test_a_broker_that_comes_back_without_its_topics_gets_no_record_before_they_exist(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """The broker would make the topic its own way for a client that allows it, or lose what comes before the topic."""
    publisher = connected(broker, request_timeout_ms=1_000, spool_dir=tmp_path)
    broker.kill()
    for i in range(1, 2_000):
        publisher.emit("x", float(i))
    eventually(lambda: "no broker answers" in publisher.stats().last_error)
    broker.start()
    eventually(lambda: "does not exist" in publisher.stats().last_error)
    assert publisher.stats().acknowledged == 1
    assert topics_on(broker.bootstrap) == []
    create_topics(broker.bootstrap, [METRICS])
    assert publisher.flush(30)
    stats = publisher.stats()
    assert publisher.close()
    assert (stats.acknowledged, stats.dropped) == (2_000, 0)
    assert arrived(broker.bootstrap) == Counter(float(i) for i in range(1, 2_000))


def test_closing_while_the_broker_is_frozen_keeps_its_deadline_and_counts_what_it_leaves(
    broker: EmbeddedBroker,
) -> None:
    publisher = connected(broker)
    broker.pause()
    for i in range(100):
        publisher.emit("x", float(i))
    started_s = time.monotonic()
    assert publisher.close(0.5) is False
    assert time.monotonic() - started_s < 4.0
    stats = publisher.stats()
    assert (stats.emitted, stats.acknowledged, stats.dropped_closed) == (101, 1, 100)
    assert adds_up(stats)


def test_an_outage_writes_one_line_to_the_agents_log(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    publisher = Publisher(broker.bootstrap, swarm_id="s", batch_age_ms=20, request_timeout_ms=200)
    publisher.emit("x", 1.0)
    eventually(lambda: publisher.stats().retried_records >= 4)
    publisher.close(0.1)
    assert [record.name for record in caplog.records] == ["murmur"]
    assert broker.bootstrap in caplog.records[0].getMessage()
    assert broker.bootstrap in publisher.stats().last_error


def test_a_full_spool_drops_the_oldest_with_an_exact_count(broker: EmbeddedBroker, tmp_path: Path) -> None:
    publisher = Publisher(
        broker.bootstrap,
        swarm_id="s",
        wire="json-array",
        batch_age_ms=10,
        batch_events_max=50,
        spool_dir=tmp_path,
        spool_bytes_max=1 << 16,
    )
    for i in range(10_000):
        publisher.emit("x", float(i))
    eventually(lambda: publisher.stats().dropped_spool_full > 0 and publisher.stats().buffered <= 10_000)
    start(broker)
    assert publisher.flush(30)
    stats = publisher.stats()
    assert publisher.close()
    assert stats.acknowledged + stats.dropped_spool_full == 10_000
    assert stats.dropped == stats.dropped_spool_full
    got = arrived(broker.bootstrap)
    assert sum(got.values()) == stats.acknowledged
    assert 9_999.0 in got


def test_a_spool_that_cannot_be_written_is_said_and_the_events_stay_in_memory(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a directory")
    publisher = Publisher(broker.bootstrap, swarm_id="s", batch_age_ms=10, spool_dir=tmp_path / "file" / "spool")
    for i in range(10_000):
        publisher.emit("x", float(i))
    eventually(lambda: "spool" in publisher.stats().last_error)
    start(broker)
    assert publisher.flush(30)
    assert publisher.close()
    assert (publisher.stats().acknowledged, publisher.stats().dropped) == (10_000, 0)
    assert arrived(broker.bootstrap) == Counter(float(i) for i in range(10_000))


async def test_the_async_publisher_spools_on_close_and_recovers(broker: EmbeddedBroker, tmp_path: Path) -> None:
    first = AsyncPublisher(broker.bootstrap, swarm_id="s", spool_dir=tmp_path)
    for i in range(700):
        first.emit("x", float(i))
    assert await first.aclose(0.3) is False
    assert first.stats().spool_events == 700
    broker.start()
    await acreate_topics(broker.bootstrap, [METRICS])
    async with AsyncPublisher(broker.bootstrap, swarm_id="s", spool_dir=tmp_path) as second:
        assert await second.flush(30)
        until_recovered = second.stats()
        second.emit("x", 700.0)
        assert await second.flush(30)
    assert until_recovered.dropped == 0
    assert second.stats().acknowledged == 701
    assert _values(without_resends(await aread_log(broker.bootstrap, METRICS))) == Counter(float(i) for i in range(701))


def script(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
