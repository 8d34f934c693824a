"""When a consumer group has its partitions, as the broker says: the moment from which a worker could read.

In: a group's name. Out: its members, once it is stable. Never: believes a worker's own status, which is a second old.
"""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from models.settings import Settings
from tests.support.workers import WorkerProcess

LOOK_EVERY_S = 0.02
WITHIN_S = 120.0  # a join takes up to the session timeout, twice when a dead member must be waited for


def members_when_stable(
    settings: Settings, *workers: WorkerProcess, without: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Returns the member ids as soon as each worker is one, and none is `without` (those of killed workers)."""
    return asyncio.run(_wait(settings, workers, without))


async def _wait(settings: Settings, workers: tuple[WorkerProcess, ...], without: frozenset[str]) -> frozenset[str]:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + WITHIN_S
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        while loop.time() < deadline_s:
            found = await _members(admin, settings.app_id)
            if len(found) == len(workers) and not found & without:
                return found
            for worker in workers:
                if worker.process is not None and worker.process.poll() is not None:
                    raise RuntimeError(f"{worker.name} ended: {worker.output()[-2_000:]}")
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await admin.close()
    raise TimeoutError(f"group {settings.app_id} was not stable within {WITHIN_S:g} s")


async def _members(admin: AIOKafkaAdminClient, group: str) -> frozenset[str]:
    """Members of the stable group; none while it is anything else."""
    try:
        (answer,) = await admin.describe_consumer_groups([group])
    except KafkaError:
        return frozenset()  # its coordinator is not there yet
    (found,) = answer.groups
    error, _name, state, _kind, _protocol, members = found[:6]
    return frozenset(m[0] for m in members) if not error and state == "Stable" else frozenset()
