"""A worker that is started again after a kill need not wait until its group has noticed the death."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import pytest

from models.settings import Settings, load
from streams.membership import MemberFile, Membership, leave_for_the_dead
from tests.support.brokers import free_port
from tests.support.produce import await_committed, make_topics, produce
from tests.support.traffic import Traffic
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, worker

pytestmark = [pytest.mark.integration]

# The longest session there is: who waits for its end fails the test. The embedded broker lets every first join wait for
# as long, and keeps a second name of each member that joins again: there the worker's own word must do.
SESSION_MS = {"kafka": 300_000, "embedded": 10_000}


@pytest.fixture
def settings(any_broker: str, clickhouse: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return clickhouse.model_copy(
        update={
            "kafka_bootstrap": any_broker,
            "home": tmp_path,
            "flush_interval_ms": 100,
            "snapshot_interval_ms": 200,
            "session_timeout_ms": SESSION_MS[request.node.callspec.params["any_broker"]],
            "app_id": f"murmur-{os.urandom(3).hex()}",
        }
    )


def assigned(one: WorkerProcess) -> set[str]:
    return set(one.status().get("assigned", []))


def test_a_worker_started_again_after_a_kill_does_not_wait_for_the_session_of_the_dead(settings: Settings) -> None:
    make_topics(settings)
    traffic = Traffic(3)
    produce(settings, traffic, 100, now_ms=int(time.time() * 1000))
    with worker(settings) as first:
        await_committed(settings, first)
        everything = assigned(first)
        first.kill()
    (settings.home / "run" / "worker-1.status.json").unlink()  # else the dead one's word would be taken for the next's
    produce(settings, traffic, 100, now_ms=int(time.time() * 1000))
    with worker(settings) as second:
        eventually(lambda: assigned(second) == everything, "it has all partitions")
        await_committed(settings, second)
        assert "goodbye_said" in second.output()


def test_who_lives_stays_and_gets_its_share_again(settings: Settings) -> None:
    make_topics(settings)
    with worker(settings, "alive") as alive, worker(settings, "mortal") as mortal:
        eventually(lambda: assigned(alive) and assigned(mortal) and not assigned(alive) & assigned(mortal), "shares")
        everything = assigned(alive) | assigned(mortal)
        mortal.kill()
        (settings.home / "run" / "mortal.status.json").unlink()
        with worker(settings, "mortal") as again:
            eventually(
                lambda: assigned(again) and assigned(alive) | assigned(again) == everything != assigned(alive),
                "both have their shares",
            )
        assert alive.process is not None
        assert alive.process.poll() is None
        assert "goodbye_said" not in alive.output()


def test_a_member_the_group_no_longer_has_is_forgotten(settings: Settings) -> None:
    make_topics(settings)
    with worker(settings) as one:
        eventually(lambda: assigned(one), "it is a member")
        file = MemberFile(settings.home, "worker-1")
        known = file.last()
        assert known is not None
        stranger = MemberFile(settings.home, "stranger")
        stranger.note(known.group, "nobody-1")
        asyncio.run(leave_for_the_dead(settings, stranger))
        assert stranger.last() is None
        assert file.last() == known
        assert one.status()["state"] != "stalled"


def test_without_a_broker_the_note_is_kept_for_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = MemberFile(tmp_path, "worker-1")
    file.note("murmur", "member-1")
    caplog.set_level(logging.WARNING)
    nobody = load(home=tmp_path, kafka_bootstrap=f"127.0.0.1:{free_port()}")
    asyncio.run(leave_for_the_dead(nobody, file))
    assert file.last() == Membership("murmur", "member-1")
    assert "the group waits for the session timeout" in caplog.text
