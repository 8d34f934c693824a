"""The publisher's loop gives every socket back, also one whose peer takes nothing any more."""

from __future__ import annotations

import asyncio
import socket

from murmur.loop import PublisherLoop

MORE_THAN_BUFFERS_HOLD = b"x" * (32 << 20)


def test_a_connection_whose_peer_is_frozen_is_cut_when_the_loop_settles() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # accepts by its backlog, and never reads
        loop = PublisherLoop()
        opened: list[socket.socket] = []

        async def write() -> None:
            transport, _ = await loop.create_connection(asyncio.Protocol, *frozen.getsockname())
            opened.append(transport.get_extra_info("socket"))
            transport.write(MORE_THAN_BUFFERS_HOLD)
            transport.close()

        loop.run_until_complete(write())
        assert opened[0].fileno() >= 0, "closing waits for what was written"
        loop.run_until_complete(loop.settle())
        assert opened[0].fileno() == -1
        loop.close()
