"""What every snapshot store promises: the directory, and the topic on each broker."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models.settings import Settings
from streams.snapshot_stores import snapshot_stores
from streams.snapshot_topic import CHUNK_BYTES_MAX, LOOK_BACK_RECORDS
from streams.snapshots import FORMAT, SnapshotError, SnapshotHeader, SnapshotStore, kept_snapshots
from streams.topics import STATE, ensure_topics, full_name
from tests.support.brokers import EmbeddedBroker, free_port
from tests.support.kafka import apache_kafka
from tests.support.logs import read_log
from tests.support.waiting import eventually

HEADER = SnapshotHeader(
    format=FORMAT, fold_version=1, config="c0ffee", log_id="log", topic="swarm.metrics", partition=1, next_offset=0
)
HOUR_S = 3_600.0


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    one = EmbeddedBroker().start()
    yield one.bootstrap
    one.stop()


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with apache_kafka({"log.cleaner.backoff.ms": "500"}) as node:  # looks for what can be compacted, else each 15 s
        yield node.bootstrap


@pytest.fixture(
    params=[
        "directory",
        pytest.param("embedded", marks=pytest.mark.integration),
        pytest.param("kafka", marks=[pytest.mark.integration, pytest.mark.kafka]),
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    changes: dict[str, Any] = {"home": tmp_path, "app_id": f"t{secrets.token_hex(4)}", "partitions": 2}
    if request.param == "directory":
        return Settings(**changes)
    bootstrap = request.getfixturevalue(request.param)
    settings = Settings(**changes, snapshot_store="kafka", kafka_bootstrap=bootstrap)
    asyncio.run(ensure_topics(settings))
    return settings


def store(settings: Settings, **header: object) -> SnapshotStore:
    """A store as a new process opens it: it remembers nothing."""
    return snapshot_stores(settings)(msgspec.structs.replace(HEADER, **header))


def offsets(settings: Settings) -> list[int]:
    """Every snapshot there is, newest first, as `newest` finds them one below the other."""
    found: list[int] = []
    bound: int | None = None
    while (snapshot := store(settings).newest(bound)) is not None:
        found.append(snapshot.header.next_offset)
        bound = snapshot.header.next_offset - 1
    return found


def tear(settings: Settings, next_offset: int) -> None:
    """The newest snapshot as a writer leaves it that dies half-way: the end of it is missing."""
    if settings.snapshot_store == "directory":
        (path,) = settings.state_dir.rglob(f"{next_offset:020d}.snap")
        path.write_bytes(path.read_bytes()[:-7])
        return
    send(settings, next_offset, "head", None)


def flip(settings: Settings, next_offset: int) -> None:
    """One bit of it turned over."""
    if settings.snapshot_store == "directory":
        (path,) = settings.state_dir.rglob(f"{next_offset:020d}.snap")
        data = bytearray(path.read_bytes())
    else:
        key = f"/{next_offset:020d}/0".encode()
        data = bytearray(next(r.value for r in topic(settings) if r.key.endswith(key)))
    data[len(data) // 2] ^= 4
    if settings.snapshot_store == "directory":
        path.write_bytes(data)
    else:  # within the snapshot's own records: a chunk, then its head again
        head = next(r.value for r in reversed(topic(settings)) if r.key.endswith(f"/{next_offset:020d}/head".encode()))
        send(settings, next_offset, "0", bytes(data))
        send(settings, next_offset, "head", head)


def topic(settings: Settings) -> list[Any]:
    return read_log(settings.kafka_bootstrap, full_name(settings, STATE))


def send(settings: Settings, next_offset: int, name: str, value: bytes | None) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
        await producer.start()
        key = f"1/swarm.metrics/1/log/{next_offset:020d}/{name}".encode()
        await producer.send_and_wait(full_name(settings, STATE), value, key=key, partition=1)
        await producer.stop()

    asyncio.run(run())


def test_what_was_saved_last_comes_back_in_a_new_process(settings: Settings) -> None:
    assert (store(settings).newest(), store(settings).any()) == (None, False)
    mine = store(settings)
    mine.save(b"older", 5)
    mine.save(b"newer", 10)
    snapshot = store(settings).newest()
    assert snapshot is not None
    assert (snapshot.state, snapshot.header) == (b"newer", msgspec.structs.replace(HEADER, next_offset=10))
    assert store(settings).any()


def test_offsets_are_compared_as_numbers_and_bounded_from_above(settings: Settings) -> None:
    mine = store(settings)
    for offset in (9, 10, 2**53):
        mine.save(str(offset).encode(), offset)
    newest = [store(settings).newest(at_most) for at_most in (None, 2**53 - 1, 10, 9)]
    assert [s.state for s in newest if s is not None] == [str(2**53).encode(), b"10", b"10", b"9"]
    assert store(settings).newest(8) is None


def test_a_state_larger_than_any_record_comes_back_whole(settings: Settings) -> None:
    state = random.Random(1).randbytes(2 * CHUNK_BYTES_MAX + 17)  # not compressible
    written = store(settings).save(state, 7)
    assert written > 2 * CHUNK_BYTES_MAX
    snapshot = store(settings).newest()
    assert snapshot is not None
    assert snapshot.state == state
    if settings.snapshot_store == "kafka":
        assert max(len(r.value) for r in topic(settings)) <= CHUNK_BYTES_MAX
        assert topic(settings)[-1].key.endswith(b"/head")


@pytest.mark.parametrize("damage", [tear, flip])
def test_a_torn_or_damaged_snapshot_is_passed_over_for_the_one_before(settings: Settings, damage: Any) -> None:
    mine = store(settings)
    mine.save(b"good" * 50, 5)
    mine.save(b"lost" * 50, 10)
    damage(settings, 10)
    snapshot = store(settings).newest()
    assert snapshot is not None
    assert snapshot.state == b"good" * 50
    store(settings).save(b"after", 11)  # and the next one is taken as if nothing had been
    after = store(settings).newest()
    assert after is not None
    assert after.state == b"after"


def test_only_damaged_snapshots_are_none_but_not_forgotten(settings: Settings) -> None:
    store(settings).save(b"lost" * 50, 5)
    flip(settings, 5)
    mine = store(settings)
    assert (mine.newest(), mine.any(), mine.corrupt) == (None, True, 1)


def test_another_configuration_is_refused_with_both_ways_out(settings: Settings) -> None:
    store(settings).save(b"state", 5)
    with pytest.raises(
        SnapshotError, match=r"c0ffee, now decaf.*Restore the settings, or set MURMUR_FOLD_VERSION to 2"
    ):
        store(settings, config="decaf").newest()


def test_another_fold_version_or_log_or_partition_or_database_has_its_own_place(settings: Settings) -> None:
    store(settings).save(b"state", 5)
    for other in (
        {"fold_version": 2, "config": "decaf"},
        {"log_id": "new"},
        {"partition": 3},
        {"topic": "t"},
        {"database_id": "17"},
    ):
        assert store(settings, **other).newest() is None
        assert not store(settings, **other).any()


def test_the_newest_few_are_kept_and_the_first_of_the_hour(settings: Settings) -> None:
    """Each by a process of its own: the archive must not live in a worker's memory."""
    for offset in range(1, 8):
        store(settings).save(b"state", offset)
    found = offsets(settings)
    # The hour may have turned over between two saves: then its first one is archived as well.
    assert (found[:3], found[-1]) == ([7, 6, 5], 1)
    assert len(found) <= 5


def test_two_workers_that_overlap_leave_a_valid_snapshot(settings: Settings) -> None:
    one, two = store(settings), store(settings)
    for offset in (10, 20, 30):
        one.save(b"%d" % offset, offset)
        two.save(b"%d" % offset, offset)  # the same prefix of the log, so the same state
    one.save(b"zombie", 25)
    snapshot = store(settings).newest()
    assert snapshot is not None
    assert snapshot.state == b"30"


def test_a_snapshot_far_from_the_end_of_its_topic_is_found(settings: Settings) -> None:
    """Other places share the topic's partition: a busy one must not hide the state of a silent one."""
    store(settings).save(b"mine", 5)
    if settings.snapshot_store == "kafka":
        _push_away(settings, records=LOOK_BACK_RECORDS[0] + 50)
    else:
        for offset in range(100):
            store(settings, topic="swarm.activities").save(b"other", offset)
    snapshot = store(settings).newest()
    assert snapshot is not None
    assert snapshot.state == b"mine"


def _push_away(settings: Settings, *, records: int) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
        await producer.start()
        for i in range(records):
            key = f"1/swarm.activities/1/log/{i:020d}/0".encode()
            await producer.send(full_name(settings, STATE), b"of another place", key=key, partition=1)
        await producer.stop()

    asyncio.run(run())


@pytest.mark.integration
@pytest.mark.kafka
@pytest.mark.slow
def test_what_is_kept_is_still_whole_after_the_broker_has_compacted_the_topic(kafka: str, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, app_id=f"t{secrets.token_hex(4)}", snapshot_store="kafka", kafka_bootstrap=kafka, partitions=2
    )
    asyncio.run(_make_topic_that_compacts_at_once(settings))
    chance, mine = random.Random(1), store(settings)
    states = {offset: chance.randbytes(CHUNK_BYTES_MAX + 9) for offset in range(1, 31)}
    for offset, state in states.items():
        mine.save(state, offset)
    written = 3 * len(states)  # two chunks and a head each; the broker may have begun to compact already

    def compacted() -> bool:
        # The segment in use is never compacted: a new record closes it. A small one: what is written here must not
        # keep the cleaner from what was written before.
        _push_away(settings, records=1)
        return sum(b"swarm.metrics" in r.key for r in topic(settings)) < written / 2

    eventually(compacted, "replaced snapshots are gone")
    found = offsets(settings)
    assert (found[:3], found[-1]) == ([30, 29, 28], 1)
    for offset in found:
        snapshot = store(settings).newest(offset)
        assert snapshot is not None
        assert snapshot.state == states[offset]


async def _make_topic_that_compacts_at_once(settings: Settings) -> None:
    eager = {"segment.bytes": "1048576", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    configs = {"cleanup.policy": "compact", "delete.retention.ms": "0", **eager}
    await admin.create_topics([NewTopic(full_name(settings, STATE), 2, 1, topic_configs=configs)])
    await admin.close()


def test_a_store_that_cannot_be_reached_is_an_error_the_worker_survives(settings: Settings) -> None:
    if settings.snapshot_store == "directory":
        settings.state_dir.parent.mkdir(parents=True, exist_ok=True)
        settings.state_dir.write_text("a file where the folder should be")
        away = store(settings)
    else:
        away = store(settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{free_port()}"}))
    with pytest.raises(OSError, match=r"state"):
        away.save(b"state", 5)


def test_one_snapshot_an_hour_stays_for_two_days() -> None:
    every_10_minutes = {n: n * 600.0 for n in range(6 * 24 * 4)}  # four days
    kept = kept_snapshots(every_10_minutes, newest=3)
    newest = max(every_10_minutes)
    assert {newest, newest - 1, newest - 2} <= kept
    archived = sorted(kept - {newest, newest - 1, newest - 2})
    assert {b - a for a, b in pairwise(archived)} == {6}
    age_s = (newest - archived[0]) * 600.0
    assert 47 * HOUR_S <= age_s <= 48 * HOUR_S
    assert len(kept) <= 3 + 48


def test_what_is_archived_stays_the_same_while_new_snapshots_come() -> None:
    saved: dict[int, float] = {}
    ever: set[int] = set()
    for n in range(6 * 10):
        saved[n] = n * 600.0
        saved = {offset: saved[offset] for offset in kept_snapshots(saved, newest=2)}
        ever |= set(saved)
    assert {n for n in saved if n % 6 == 0} == set(range(0, 60, 6))
