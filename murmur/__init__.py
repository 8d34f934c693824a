"""Murmuration's client: what an agent imports to publish its telemetry.

In: calls from the agent's own threads or event loop. Out: records on `swarm.metrics` and `swarm.activities`.
Never: slows, blocks or crashes the agent for a transport failure; imports anything else of ours.

The names are resolved on first use, so that `import murmur` costs about a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from murmur.aio import AsyncPublisher
    from murmur.publisher import Publisher
    from murmur.security import Security
    from murmur.stats import Stats
    from murmur.validate import InvalidEventError

__all__ = ["AsyncPublisher", "InvalidEventError", "Publisher", "Security", "Stats"]
__version__ = "0.1.0"

_HOME = {
    "AsyncPublisher": "murmur.aio",
    "InvalidEventError": "murmur.validate",
    "Publisher": "murmur.publisher",
    "Security": "murmur.security",
    "Stats": "murmur.stats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'murmur' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
