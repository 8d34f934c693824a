"""How much every container below an object holds, found by walking it.

In: an object of the product. Out: path -> number of elements, of every dict, list, set, deque and array. Never: a list
of names that somebody has to keep up to date.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np

OURS = ("models", "streams", "sinks")


def container_sizes(root: object) -> dict[str, int]:
    """Sizes by path; what stands in a container is added up under `[]`."""
    sizes: Counter[str] = Counter()
    _walk(root, type(root).__name__, sizes, set())
    return dict(sizes)


def most(measured: list[dict[str, int]]) -> dict[str, int]:
    """The largest size of each path."""
    return {path: max(sizes.get(path, 0) for sizes in measured) for path in set().union(*measured)}


def _walk(thing: object, path: str, sizes: Counter[str], seen: set[int]) -> None:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        sizes[path] += thing.size
    elif isinstance(thing, dict | list | set | frozenset | deque | tuple):
        sizes[path] += len(thing)
        for part in thing.values() if isinstance(thing, dict) else thing:
            _walk(part, f"{path}[]", sizes, seen)
    elif type(thing).__module__.split(".")[0] in OURS:
        for name, value in _attributes(thing):
            _walk(value, f"{path}.{name}", sizes, seen)


def _attributes(thing: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(thing, name):
                yield name, getattr(thing, name)
