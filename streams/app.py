"""The Faust app: source topics in chunks, one agent a topic, timers, and the engine behind them.

In: settings, an engine. Out: a `faust.App` ready to start. Never: a side effect at import, an exception that leaves
an agent: Faust would count the failed chunk as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

import faust
from aiokafka import TopicPartition
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from models.codecs.records import RawRecord
from models.settings import Settings
from models.tls import kafka_tls
from streams.containers import CHUNKS_BUFFERED_MAX
from streams.damaged_batches import LOOK_AGAIN_S
from streams.engine import Engine, Partition
from streams.faust_driver import (
    CheckpointConsumer,
    CheckpointThread,
    CheckpointTransport,
    ChunkScheduler,
    ChunkSchema,
    EvenAssignor,
)
from streams.log_probe import answered, first_record, log_ends, reader
from streams.status import Transport
from streams.topics import SOURCE_TOPICS, full_name
from streams.whole_read import READABLE_WITHIN_S

TICK_S: Final = 0.05  # how late a due flush may start: small against the smallest flush interval
ADOPT_S: Final = 0.5  # how soon a newly assigned partition is looked after
COMMIT_INTERVAL_S: Final = 0.5  # commits only report progress; the truth is the snapshot
FETCH_BYTES_MAX: Final = 4 * 1024 * 1024  # prefetched a partition; must hold at least one largest record
POLL_INTERVAL_MAX_S: Final = 3_600.0  # longest sink outage before the group would evict a worker that waits
HEARTBEAT_MAX_S: Final = 3.0  # a member learns of a rebalance by its next heartbeat, however long its session is
REQUEST_TIMEOUT_MIN_S: Final = 90.0  # Faust's own; it refuses a session that is longer than a request may take
JOIN_SPARE_S: Final = 10.0  # a join is answered when all others have joined or their sessions are over
PROBE_TIMEOUT_S: Final = 30.0
BROKER_BACK_S: Final = 120.0  # a probe waits this long for a broker that is away; then the worker starts again
METADATA_AGE_MAX_MS: Final = (
    15_000  # how soon partitions added to a topic are noticed; the client's default is 5 minutes
)


class TransportError(Exception):
    """Faust, or the thread of its consumer, has ended; one line with the reason."""


def build_app(settings: Settings, engine: Engine) -> faust.App:
    """An app that is not started yet."""
    ChunkScheduler.chunk_records_max = settings.chunk_records_max
    session_s = settings.session_timeout_ms / 1000
    app = faust.App(
        settings.consumer_group,
        broker=[f"kafka://{address}" for address in settings.kafka_bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        ConsumerScheduler=ChunkScheduler,
        PartitionAssignor=EvenAssignor,
        store="memory://",
        datadir=str(settings.home / "faust"),
        web_enabled=False,
        topic_disable_leader=True,
        broker_session_timeout=session_s,
        broker_rebalance_timeout=session_s,
        broker_request_timeout=max(REQUEST_TIMEOUT_MIN_S, session_s + JOIN_SPARE_S),
        broker_heartbeat_interval=min(session_s / 5, HEARTBEAT_MAX_S),
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_max_poll_records=settings.poll_records_max,
        broker_max_poll_interval=POLL_INTERVAL_MAX_S,
        consumer_max_fetch_size=FETCH_BYTES_MAX,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_AGE_MAX_MS,
        stream_buffer_maxsize=CHUNKS_BUFFERED_MAX,
        stream_wait_empty=False,
        autodiscover=False,
        loghandlers=[],
    )
    app.transport = CheckpointTransport(app.conf.broker_consumer, app)
    port = FaustLog(app, settings)
    for name in SOURCE_TOPICS:
        topic = app.topic(full_name(settings, name), schema=ChunkSchema())
        app.agent(topic, name=f"fold-{name}")(_agent(engine, port))
    app.timer(TICK_S)(_timer(engine))
    app.timer(ADOPT_S)(_adopter(app, engine, port))
    _connect_rebalance(app, engine)
    return app


def _credentials(settings: Settings) -> faust.types.auth.CredentialsT | None:
    """The settings in Faust's own words."""
    context = kafka_tls(settings)
    if settings.kafka_security_protocol.startswith("SASL_"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


class FaustLog:
    """`LogPort` over Faust's consumer."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    @property
    def checkpoints(self) -> MutableMapping[Any, int]:
        """The offsets Faust may commit."""
        consumer: CheckpointConsumer = self._app.consumer
        return consumer.checkpoints

    def key(self, partition: Partition) -> TP:
        """Faust's name of a partition."""
        return TP(partition.topic, partition.number)

    async def seek(self, partition: Partition, offset: int) -> None:
        """Continues reading at `offset`."""
        await self._app.consumer.seek_wait({self.key(partition): offset})

    async def earliest(self, partition: Partition) -> int:
        """Offset of the oldest record the log still has."""
        tp = self.key(partition)
        found = await answered(lambda: self._app.consumer.earliest_offsets(tp), within_s=BROKER_BACK_S)
        return int(found[tp])

    async def end(self, partition: Partition) -> int | None:
        """Offset the next record will get, as the last fetch said; None before the first.

        Not the end-offsets request: the embedded broker answers it with the start of its last batch.
        """
        return log_end(self._app, self.key(partition))

    async def end_now(self, partition: Partition) -> int:
        """Offset the next record will get, through a connection of its own: the highest of two answers, as one that
        was made while records are being appended may be older than they are."""
        place = TopicPartition(partition.topic, partition.number)

        async def look() -> int:
            async with reader(self._settings) as consumer:
                return (await log_ends(consumer, [place]))[place]

        first = await answered(look, within_s=BROKER_BACK_S)
        await asyncio.sleep(READABLE_WITHIN_S)
        return max(first, await answered(look, within_s=BROKER_BACK_S))

    async def first_at(self, partition: Partition, offset: int) -> RawRecord | None:
        """Reads one record at or after `offset` through a connection of its own; None: none up to the end."""
        found = await self._probe(partition, offset)
        if found is None or found.offset != offset:  # a record that is just being appended may not be readable yet
            await asyncio.sleep(READABLE_WITHIN_S)
            found = await self._probe(partition, offset)
        return found

    async def _probe(self, partition: Partition, offset: int) -> RawRecord | None:
        topic, number = partition.topic, partition.number
        return await answered(
            lambda: first_record(self._settings, topic, number, offset, timeout_s=PROBE_TIMEOUT_S),
            within_s=BROKER_BACK_S,
        )


def transport_failure(app: faust.App, starting: asyncio.Future[None]) -> TransportError | None:
    """What ended Faust; None while it lives. It only logs a crash, and its timers stop without a word.

    `starting`: the task of `app.start()`.
    """
    reason: BaseException | None = None
    if starting.done() and not starting.cancelled():
        reason = starting.exception()
    for service in (app, app.consumer, app.consumer._thread):
        if service.crashed:
            reason = reason or service.crash_reason
    if reason is None:
        return None
    return TransportError(f"the Kafka consumer ended and must be started again: {' '.join(repr(reason).split())}")


def log_end(app: faust.App, tp: TP) -> int | None:
    """Offset after the last readable record, as the last fetch said; None before it, and of a partition revoked."""
    try:
        end: int | None = app.consumer.highwater(tp)
    except AssertionError:  # how the client says that a partition is not ours; a rebalance may take one at any time
        return None
    return end


def committed_offset(app: faust.App, tp: TP) -> int | None:
    """Faust's own note of the committed offset; None: the group never committed."""
    offset: int | None = app.consumer._committed_offset.get(tp)
    return offset


def member_id(app: faust.App) -> str:
    """How the group's coordinator knows this worker; empty before it has joined."""
    try:
        coordinator = app.consumer._thread._ensure_consumer()._coordinator
    except ConsumerNotStarted:
        return ""
    return str(coordinator.member_id) if coordinator is not None else ""


def damage(app: faust.App) -> dict[TP, int]:
    """Partition -> offset of the record batch that cannot be read, and nothing behind it."""
    thread: CheckpointThread | None = app.consumer._thread
    return thread.damaged.certain if thread is not None else {}


def damage_told(app: faust.App) -> str | None:
    """The same in one line, with what to do; None: every batch is whole."""
    if not (found := damage(app)):
        return None
    places = ", ".join(f"{tp.topic}[{tp.partition}] offset {offset}" for tp, offset in sorted(found.items()))
    return (
        f"{places}: the record batch does not fit its checksum (damaged on the broker's disk, or on the way), and "
        f"nothing behind it is read. It is fetched again every {LOOK_AGAIN_S:g} s; let a whole replica lead"
    )


def chunks_buffered(app: faust.App) -> dict[str, int]:
    """Chunks that wait for each source topic's agent inside Faust."""
    return {
        topic: actor.stream.channel.queue.qsize()
        for agent in app.agents.values()
        for actor in agent._actors
        for topic in agent.channel.topics
    }


def transport_of(app: faust.App, engine: Engine) -> Transport:
    """What Faust knows of the partitions we hold; of one that is only kept in memory it knows nothing."""
    transport = Transport(buffered=chunks_buffered(app))
    for tp in assignment(app):
        partition = Partition(tp.topic, tp.partition)
        transport.assigned.append(f"{tp.topic}[{tp.partition}]")
        for known, offset in (
            (transport.ends, log_end(app, tp)),
            (transport.committed, committed_offset(app, tp)),
        ):
            if offset is not None and partition in engine.workers:
                known[partition] = offset
    return transport


def assignment(app: faust.App) -> list[TP]:
    """The partitions this worker owns, in order; none before the consumer has started."""
    try:
        return sorted(app.consumer.assignment())
    except ConsumerNotStarted:
        return []


def _agent(engine: Engine, port: FaustLog) -> Any:
    async def fold_chunks(stream: Any) -> None:
        async for event in stream.noack().events():
            if engine.failed.is_set():
                continue
            message = event.message
            records = [RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in event.value]
            try:
                await engine.deliver(Partition(message.topic, message.partition), records, port)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # anything: it must not reach Faust, and it must end the worker
                engine.fail(error)

    return fold_chunks


def _adopter(app: faust.App, engine: Engine, port: FaustLog) -> Any:
    async def adopt() -> None:
        if app.rebalancing or engine.failed.is_set():
            return
        try:
            for tp in app.consumer.assignment():
                committed = committed_offset(app, tp)
                await engine.adopt(Partition(tp.topic, tp.partition), committed or 0, port)
        except Exception as error:  # as in the agents: it must not reach Faust
            engine.fail(error)

    return adopt


def _timer(engine: Engine) -> Any:
    async def tick() -> None:
        engine.tick()

    return tick


def _connect_rebalance(app: faust.App, engine: Engine) -> None:
    """A checkpoint belongs to one assignment: one left from an earlier one would set the group's offset back."""

    def forget(partitions: Iterable[TP]) -> None:
        for tp in partitions:
            app.consumer.checkpoints.pop(tp, None)

    async def revoked(_app: Any, revoked: Any, **_: Any) -> None:
        await engine.revoke([Partition(tp.topic, tp.partition) for tp in revoked])
        forget(revoked)  # after the last flush, which makes a checkpoint itself

    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        forget(assigned)  # made by a chunk that was still being folded when its partition was revoked

    # weak=False: the signals must keep these closures alive.
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_partitions_assigned.connect(assigned, weak=False)
