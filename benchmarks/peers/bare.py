"""The roof: records read by aiokafka and decoded by our decoder, nothing else.

In: the task. Out: how many events were decoded. Never: a consumer group, a window, a sink.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.peers.protocol import Progress, task
from models.codecs import RawRecord, decode_metrics

FETCH_BYTES_MAX = 4 << 20  # as our worker
POLL_RECORDS_MAX = 2_000  # as our worker's chunk


async def main() -> None:
    """Reads every partition from its beginning."""
    asked = task()
    progress = Progress(asked.events)
    consumer = AIOKafkaConsumer(  # without a group it is given every partition of the topic
        asked.topic,
        bootstrap_servers=asked.bootstrap,
        group_id=None,
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while progress.left > 0:
        for batch in (await consumer.getmany(timeout_ms=1_000, max_records=POLL_RECORDS_MAX)).values():
            progress.start()
            progress.left -= decode_metrics([RawRecord(r.offset, r.timestamp, r.headers, r.value) for r in batch]).n
    progress.finish()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
