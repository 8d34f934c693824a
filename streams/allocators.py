"""How a worker's memory allocators are set, so that what was freed is used again or goes back to the system.

In: nothing. Out: the process' allocators changed, once, at its start. Never: a setting that changes a result.

A flush makes large short-lived arrays on several threads. As they come, glibc gives each thread an arena of its own
and learns to keep ever larger blocks, and Arrow keeps a pool beside them: the same peak is then held several times.
Measured (2 M events of 100,000 series in bulk): 1,130 MiB of resident memory so; 885 MiB with these settings and
blocks from 1 MiB straight from the system, 927 MiB from 8 MiB. At 1 MiB every array of a flush is new pages, which
costs a fifth of the worker's CPU time: 1.6 s a million columnar events, 1.3 s at 8 MiB and at 32 MiB.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import pyarrow as pa

# malloc.h of glibc
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8

ARENAS: Final = 2  # one for the folding thread, one for those that write
MMAP_FROM_BYTES: Final = 8 << 20  # such blocks come from the system and go back to it at once; also ends the learning


def settle() -> None:
    """Sets the allocators. Elsewhere than on glibc only Arrow's."""
    pa.set_memory_pool(pa.system_memory_pool())
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES)
