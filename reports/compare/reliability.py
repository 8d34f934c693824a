"""How reliably a side solves its tasks: pass^k, the chance that k attempts at a task all succeed.

In: tasks with their repeats. Out: `Reliability`, one a side and k. Never: a k that some task was not tried often enough
for; a task counted more because it was tried more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

from reports.compare.success import wilson
from reports.queries.port import TaskRow

K_MAX: Final = 8  # the k that benchmarks of agents report goes no further


@dataclass(frozen=True, slots=True)
class Reliability:
    """`value` 0..1 with a 95 % interval. With one attempt at each task pass^1 is the success ratio."""

    side: str
    k: int
    value: float
    low: float
    high: float
    tasks: int
    attempts: int  # of all tasks together


def pass_hat_k(side: str, tasks: Sequence[TaskRow]) -> tuple[Reliability, ...]:
    """pass^1 .. pass^k, up to the fewest attempts at any task of the side (and K_MAX).

    Of n attempts at a task with c successes, C(c, k) / C(n, k) is the unbiased estimate. The interval is Wilson's over
    tasks: exact for one attempt each, and wider than needed where attempts are averaged.
    """
    own = [row for row in tasks if row.swarm_id == side and row.finished]
    if not own:
        return ()
    found = []
    for k in range(1, min(K_MAX, min(row.finished for row in own)) + 1):
        value = sum(comb(row.successes, k) / comb(row.finished, k) for row in own) / len(own)
        interval = wilson(value * len(own), len(own))
        assert interval is not None
        found.append(Reliability(side, k, value, *interval, len(own), sum(row.finished for row in own)))
    return tuple(found)
