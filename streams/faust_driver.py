"""Faust, taught to deliver chunks and to commit what our checkpoints say.

In: Faust's fetched records. Out: one Faust event a chunk; commits of `checkpoints`. Never: commits past a checkpoint.

Faust's own per-record path costs about 80 µs a record, and its commit may run past an event in flight (its issue
606). Two public extension points (ConsumerScheduler, Schema) deliver a chunk as one event; three methods of its
consumer are overridden so that the committed offset is exactly the newest durable checkpoint. A contract test fails
when a new Faust version changes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import aiokafka
import faust
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

from sinks.kafka.metadata import create_no_topics
from streams.log_probe import readable_end
from streams.topics import FETCH_WAIT_MS


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
    """Faust's consumer thread, which a rebalance during a commit does not end, and which asks more often."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust passes 1,500 and has no setting
        consumer._isolation_level = "read_committed"  # Faust passes it only with transactions of its own
        create_no_topics(consumer._client)
        return consumer

    def highwater(self, tp: TP) -> int | None:
        """Offset after the last record that can be read: those of open transactions, and what follows them, cannot."""
        return readable_end(self._ensure_consumer(), tp)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Faust looks at the assignment before it hands the offsets to this thread. What a rebalance took away meanwhile
        # is the next owner's to commit; nothing left to commit is an error to the client and would end the thread.
        held = self.assignment()
        ours = {tp: offset for tp, offset in offsets.items() if tp in held}
        return bool(ours) and await super()._commit(ours)


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
