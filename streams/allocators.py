"""How a worker's memory allocators are set, so that what was freed is used again or goes back to the system.

In: nothing. Out: the process' allocators changed once, at its start; what they hold free given back, now and then.
Never: a setting that changes a result.

A flush makes large short-lived arrays on several threads. As they come, glibc gives each thread an arena of its own
and learns to keep ever larger blocks, and Arrow keeps a pool beside them: the same peak is then held several times.
Measured (2 M events of 100,000 series in bulk): 1,130 MiB of resident memory so; 885 MiB with these settings and
blocks from 1 MiB straight from the system, 927 MiB from 8 MiB. At 1 MiB every array of a flush is new pages, which
costs a fifth of the worker's CPU time: 1.6 s a million columnar events, 1.3 s at 8 MiB and at 32 MiB.

What is freed between two blocks in use stays with glibc, and over hours there is more and more of it: the arrays of
every flush leave other gaps. `give_back` returns those pages.
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
GIVE_BACK_INTERVAL_S: Final = 60.0  # one call takes 11-15 ms, at 15,000 events/s 44-59 of 470 MiB


def settle() -> None:
    """Sets the allocators. Elsewhere than on glibc only Arrow's."""
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES)


def give_back() -> None:
    """Returns every free page to the system. Holds up whoever allocates meanwhile; elsewhere than on glibc nothing."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))  # keeping no bytes at the end of the heap


def _of_glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """The function, when this process' allocator has it. Python's lock is free while it runs."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
