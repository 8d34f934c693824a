"""The place a worker had in its consumer group, so that whoever starts next under its name need not wait for its end.

In: member ids from each rebalance, the file of the last one. Out: a group without the member that died.
Never: takes a living worker out of its group: a name belongs to one process (streams/worker_name.py), so a member noted
under a name we hold is dead or was ours; waits for a broker: without an answer the session timeout does the same later.

A worker that was killed says no goodbye. Its group waits for it until its session is over, and a rebalance that is
under way by then waits once more: 15 to 20 s in which nobody reads. Kafka lets anybody who may read in the group say
goodbye for a member (LeaveGroup).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Final

import msgspec
from aiokafka.errors import KafkaError, NoError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from models.settings import Settings
from sinks.kafka.starting import ask_coordinator

log = logging.getLogger(__name__)

ANSWER_S: Final = 5.0  # a coordinator that is there answers in milliseconds


class Membership(msgspec.Struct, frozen=True):
    """Who was a member of what."""

    group: str
    member_id: str


class MemberFile:
    """`<home>/run/<name>.member.json`."""

    def __init__(self, home: Path, name: str) -> None:
        self._path = home / "run" / f"{name}.member.json"
        self._noted: Membership | None = None

    def note(self, group: str, member_id: str) -> None:
        """Remembers the place for who comes after us; one that cannot be written costs the next start its wait."""
        membership = Membership(group, member_id)
        if membership == self._noted or not member_id:
            return
        tmp = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            tmp.write_bytes(msgspec.json.encode(membership))
            tmp.replace(self._path)
            self._noted = membership
        except OSError as error:
            log.warning("member_not_noted %s", error)

    def last(self) -> Membership | None:
        """What was noted last; None when nothing was, or it cannot be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Membership)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("member_not_read path=%s %s", self._path, error)
            return None

    def forget(self) -> None:
        """There is nobody left to say goodbye for."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


async def leave_for_the_dead(settings: Settings, file: MemberFile) -> None:
    """Takes the last member of this name out of its group. Only while this process holds the name."""
    last = file.last()
    if last is None:
        return
    try:
        async with asyncio.timeout(ANSWER_S):
            answer = await ask_coordinator(settings, last.group, LeaveGroupRequest(last.group, last.member_id))
        error = for_code(answer.error_code)
        if error not in (NoError, UnknownMemberIdError):
            raise error
    except (KafkaError, OSError, TimeoutError) as error:
        log.warning("goodbye_not_said group=%s error=%r; the group waits for the session timeout", last.group, error)
        return
    file.forget()
    if error is NoError:  # the embedded broker says so also of a member it does not know
        log.info("goodbye_said group=%s member=%s", last.group, last.member_id)
