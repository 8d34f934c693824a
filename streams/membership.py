"""Takes a worker that was killed out of its group, so that nobody waits for its session to time out.

In: the note a worker keeps of its own membership. Out: a request to leave, in the name of the dead one.
Never: removes a member whose process may live: the caller holds its name, which the kernel frees with the process.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from models.settings import Settings
from sinks.kafka.starting import question_client
from streams.status import write_status

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS: Final = 5_000  # a broker that needs longer: the session times out meanwhile


class Member(msgspec.Struct, frozen=True):
    """How a group's coordinator knows a worker."""

    group: str
    member_id: str


class Membership:
    """The note of one worker name. `<home>/run/<name>.member.json`"""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._path = settings.home / "run" / f"{name}.member.json"
        self._noted: Member | None = None

    def note(self, member_id: str) -> None:
        """Keeps who we are in the group, when that has changed. Raises OSError."""
        member = Member(self._settings.consumer_group, member_id)
        if member_id and member != self._noted:
            write_status(self._path, msgspec.to_builtins(member))
            self._noted = member

    def left(self) -> None:
        """Forgets the note: this worker has left its group by itself. Raises OSError."""
        self._path.unlink(missing_ok=True)

    async def end_last(self) -> None:
        """Leaves the group for the process that had this name before and was killed; says so. Never fails."""
        member = self._last()
        if member is None:
            return
        try:
            if await _lets_anybody_leave(self._settings):
                return
            await leave(self._settings, member)
        except UnknownMemberIdError:
            return  # it left by itself, or its session is over
        except (KafkaError, OSError) as error:
            log.warning("member_not_ended group=%s %r: its session has to time out", member.group, error)
        else:
            log.info("member_ended group=%s member=%s", member.group, member.member_id)

    def _last(self) -> Member | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Member)
        except (OSError, msgspec.DecodeError):
            return None  # none was there, or it died while it wrote: its session times out


async def _lets_anybody_leave(settings: Settings) -> bool:
    """Whether the coordinator is one that does not look at who leaves, as the embedded broker's: a member that leaves
    while others join has been seen to stop such a group for good.
    """
    try:
        await leave(settings, Member("murmur-nobody", "nobody"))
    except KafkaError:
        return False
    return True


async def leave(settings: Settings, member: Member) -> None:
    """Has the coordinator remove the member. Raises KafkaError: UnknownMemberIdError when it knows no such member."""
    async with question_client(settings, request_timeout_ms=REQUEST_TIMEOUT_MS) as client:
        node = await client.coordinator_lookup(CoordinationType.GROUP, member.group)
        request = LeaveGroupRequest(member.group, member.member_id)
        answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
    if answer.error_code:
        raise for_code(answer.error_code)
