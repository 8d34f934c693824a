"""Faust, taught to deliver chunks and to commit what our checkpoints say.

In: Faust's fetched records. Out: one Faust event a chunk; commits of `checkpoints`. Never: commits past a checkpoint.

Faust's own per-record path costs about 80 µs a record, and its commit may run past an event in flight (its issue
606). Two public extension points (ConsumerScheduler, Schema) deliver a chunk as one event; three methods of its
consumer are overridden so that the committed offset is exactly the newest durable checkpoint. A contract test fails
when a new Faust version changes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, ClassVar, Final

import aiokafka
import faust
from aiokafka.errors import CorruptRecordException
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

from sinks.kafka.metadata import create_no_topics
from streams.damaged_batches import DamagedBatches
from streams.log_probe import readable_end
from streams.topics import FETCH_WAIT_MS

log = logging.getLogger(__name__)

POSITIONS_KNOWN_S: Final = 0.02  # a new assignment is read from where its offsets say, which takes a question or two


class RecordChunk:
    """Looks like one consumer record to Faust; its value is a list of records of one partition."""

    __slots__ = (
        "checksum",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(self, tp: TP, records: list[Any]) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = tp.topic, tp.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, last.timestamp_type
        self.headers: tuple[()] = ()
        self.key = self.checksum = None
        self.value = records
        self.serialized_key_size = self.serialized_value_size = 0


class ChunkScheduler(DefaultSchedulingStrategy):  # type: ignore[misc]  # Faust's types are not followed
    """Round-robin over partitions, a chunk at a time."""

    chunk_records_max: ClassVar[int] = 2_000  # set by build_app from the settings; Faust instantiates the class

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, RecordChunk]]:
        """One chunk of each partition in turn, so that no partition waits for another's backlog."""
        size = self.chunk_records_max
        waiting = {tp: iter([found[i : i + size] for i in range(0, len(found), size)]) for tp, found in records.items()}
        while waiting:
            for tp, chunks in list(waiting.items()):
                chunk = next(chunks, None)
                if chunk is None:
                    del waiting[tp]
                else:
                    yield tp, RecordChunk(tp, chunk)


class ChunkSchema(faust.Schema):  # type: ignore[misc]  # Faust's types are not followed
    """Hands the list of records to the agent untouched: decoding is the fold's."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class CheckpointConsumer(driver.Consumer):  # type: ignore[misc]  # Faust's types are not followed
    """Commits `checkpoints` (partition -> next offset to read) and nothing else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.checkpoints: dict[TP, int] = {}
        super().__init__(*args, **kwargs)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        return None

    def _new_offset(self, tp: TP) -> int | None:
        return self.checkpoints.get(tp)

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        return iter(list(self.checkpoints))

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        before = {tp: self._committed_offset[tp] for tp in offsets}
        done: bool = await super()._commit_offsets(offsets, start_new_transaction=start_new_transaction)
        if not done:  # Faust notes the offsets as committed all the same, and would not offer them again
            self._committed_offset.update(
                {tp: at for tp, at in before.items() if self._committed_offset[tp] == offsets[tp]}
            )
        return done

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return CheckpointThread(self, loop=self.loop, beacon=self.beacon)


class CheckpointThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust's types are not followed
    """Faust's consumer thread, which asks more often, and which neither a rebalance during a commit ends nor a damaged
    batch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.damaged: DamagedBatches[TP] = DamagedBatches()
        super().__init__(*args, **kwargs)

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust passes 1,500 and has no setting
        consumer._isolation_level = "read_committed"  # Faust passes it only with transactions of its own
        create_no_topics(consumer._client)
        return consumer

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's own
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        now_s = monotonic()
        self.damaged.keep(consumer.assignment())
        before = _positions(consumer, self.damaged.readable(active_partitions, now_s))
        if not before:  # to the client no partitions are all of them
            await asyncio.sleep(POSITIONS_KNOWN_S)
            return {}
        at_most = 1 if self.damaged.careful else max_records
        try:
            found: dict[TP, list[Any]] = await super()._fetch_records(consumer, set(before), timeout, at_most)
        except CorruptRecordException:
            for tp in _with_damage(consumer):
                if self.damaged.met(tp, before[tp], now_s):
                    log.error("damaged_batch partition=%s[%d] offset=%d", tp.topic, tp.partition, before[tp])
            # The client raises instead of handing out what it took from the answers before, of other partitions too.
            for tp in consumer.assignment() & before.keys():
                consumer.seek(tp, before[tp])
            return {}
        self.damaged.came(found, now_s)
        return found

    def highwater(self, tp: TP) -> int | None:
        """Offset after the last record that can be read: those of open transactions, and what follows them, cannot."""
        return readable_end(self._ensure_consumer(), tp)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Faust looks at the assignment before it hands the offsets to this thread. What a rebalance took away meanwhile
        # is the next owner's to commit; nothing left to commit is an error to the client and would end the thread.
        held = self.assignment()
        ours = {tp: offset for tp, offset in offsets.items() if tp in held}
        return bool(ours) and await super()._commit(ours)


def _positions(consumer: aiokafka.AIOKafkaConsumer, partitions: Iterable[TP]) -> dict[TP, int]:
    """Where each partition is read next. Those of which the client does not know it yet are left out, as it must be
    known before an answer is taken that may have to be taken again.
    """
    assignment = consumer._subscription.subscription.assignment
    states = {tp: assignment.state_value(tp) for tp in partitions}
    return {tp: state.position for tp, state in states.items() if state is not None and state.has_valid_position}


def _with_damage(consumer: aiokafka.AIOKafkaConsumer) -> list[TP]:
    """Partitions whose answer holds a damaged batch: the generator over its records has ended by raising."""
    answers = consumer._fetcher._records.items()
    iterators = {tp: getattr(getattr(a, "_partition_records", None), "_records_iterator", None) for tp, a in answers}
    return [tp for tp, records in iterators.items() if records is not None and records.gi_frame is None]


class EvenAssignor(PartitionAssignor):  # type: ignore[misc]  # Faust's types are not followed
    """Faust's own sharing-out, in which partitions stay where they are, without the standby copies we have no use for.

    With standby copies (Faust's default is one) a worker that comes to others gets nothing as long as none of these has
    more than its share rounded up: of four partitions two workers keep two each, and a third waits for ever.
    """

    def __init__(self, app: faust.App, replicas: int = 0) -> None:
        super().__init__(app, replicas=0)


class CheckpointTransport(driver.Transport):  # type: ignore[misc]  # Faust's types are not followed
    """Faust's aiokafka transport with our consumer."""

    Consumer = CheckpointConsumer
