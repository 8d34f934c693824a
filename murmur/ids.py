"""Random identifiers of activities, runs and producers.

In: the operating system's randomness. Out: 32 hexadecimal digits. Never: the same twice, also not after a fork.
"""

from __future__ import annotations

import os

ID_BYTES = 16  # 128 bits: no two of a swarm's activities collide by chance


def new_id() -> str:
    """What `uuid4().hex` gives, without the cost of importing uuid into the agent."""
    return os.urandom(ID_BYTES).hex()
