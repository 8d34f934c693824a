"""A worker that was killed and starts again under its name waits for nobody's session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.errors import UnknownMemberIdError

from models.settings import Settings, load
from streams.membership import Member, Membership, leave
from tests.support.brokers import free_port
from tests.support.kafka import apache_kafka
from tests.support.produce import make_topics
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess, quick_settings, worker

pytestmark = pytest.mark.integration

SESSION_MS = 60_000  # what a start would wait for otherwise


@pytest.fixture
def settings(clickhouse: Settings, tmp_path: Path) -> Iterator[Settings]:
    with apache_kafka() as kafka:
        yield quick_settings(clickhouse, kafka.bootstrap, tmp_path, session_timeout_ms=SESSION_MS)


def noted(process: WorkerProcess) -> Member | None:
    path = process.settings.home / "run" / f"{process.name}.member.json"
    return msgspec.json.decode(path.read_bytes(), type=Member) if path.exists() else None


def member_of(process: WorkerProcess) -> Member:
    """Who a worker is in its group, as soon as it is ready and has noted it."""
    process.await_ready()
    eventually(lambda: noted(process), "it has noted who it is in the group")
    member = noted(process)
    assert member is not None
    return member


def ready_again(process: WorkerProcess) -> bool:
    """A status file outlives its process: only what the running one says counts."""
    assert process.process is not None
    status = process.status()
    return bool(status.get("ready")) and status["pid"] == process.process.pid


@pytest.mark.slow
def test_a_worker_that_was_killed_has_its_partitions_back_before_its_session_ends(settings: Settings) -> None:
    make_topics(settings)
    with worker(settings) as process:
        before = member_of(process)
        process.kill()
        killed_s = time.monotonic()
        process.start()
        eventually(lambda: ready_again(process), "it has its partitions back")
        assert time.monotonic() - killed_s < SESSION_MS / 1000
        eventually(lambda: noted(process) != before, "it is another member now")
        assert "member_ended" in process.output()
        assert process.terminate() == 0


@pytest.mark.slow
def test_a_worker_that_is_stopped_leaves_by_itself_and_no_note(settings: Settings) -> None:
    make_topics(settings)
    with worker(settings) as process:
        member = member_of(process)
        assert process.terminate() == 0
        assert noted(process) is None
        with pytest.raises(UnknownMemberIdError):
            asyncio.run(leave(settings, member))


async def test_a_start_fails_neither_without_a_note_nor_without_a_broker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(home=tmp_path, kafka_bootstrap=f"127.0.0.1:{free_port()}")
    membership = Membership(settings, "worker-1")
    await membership.end_last()
    assert caplog.text == ""
    membership.note("")
    assert not (tmp_path / "run").exists(), "not a member yet"
    membership.note("me")
    await Membership(settings, "worker-1").end_last()
    assert "member_not_ended" in caplog.text
    (tmp_path / "run" / "worker-1.member.json").write_bytes(b'{"group":')
    caplog.clear()
    await Membership(settings, "worker-1").end_last()
    assert caplog.text == ""


async def test_on_the_embedded_broker_nobody_leaves_for_another(
    broker: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    membership = Membership(load(home=tmp_path, kafka_bootstrap=broker), "worker-1")
    membership.note("me")
    with caplog.at_level("INFO", logger="streams.membership"):
        await membership.end_last()
    assert "member_" not in caplog.text
