"""State and rows are a function of the log alone: not of chunks, hash seeds, restarts or how many processes fold it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chaos import scale
from tests.support.fold_digest import PARTITIONS

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RECORDS = int(scale.LONG_S * 100) or 1_200
TIMEOUT_S = 60 + scale.LONG_S * 10
ALL = tuple(range(PARTITIONS))


class Way(NamedTuple):
    """One way to fold the log."""

    processes: int
    chunk: int
    hash_seed: str
    restart: bool = False


STRAIGHT = Way(processes=1, chunk=1_000, hash_seed="0")
WAYS = (
    Way(processes=1, chunk=1, hash_seed="1"),
    Way(processes=4, chunk=7, hash_seed="31337"),
    Way(processes=2, chunk=64, hash_seed="4242", restart=True),
)


def test_snapshots_are_byte_identical_and_rows_equal_however_the_log_is_folded(figures: Callable[..., None]) -> None:
    expected = _fold(STRAIGHT)
    compared = sum(len(partition["snapshots"]) for partition in expected.values())
    assert compared > 2 * PARTITIONS
    for way in WAYS:
        assert _fold(way) == expected, way
    figures(records=RECORDS, ways=len(WAYS) + 1, snapshots=compared, differences=0)


def _fold(way: Way) -> dict[str, Any]:
    """Digests of all partitions, folded by `way.processes` processes that share them."""
    shares = [ALL[n :: way.processes] for n in range(way.processes)]
    found: dict[str, Any] = {}
    for share in shares:
        command = [
            *(sys.executable, "-m", "tests.support.fold_digest"),
            *("--seed", str(scale.SEED), "--records", str(RECORDS)),
            *("--partitions", ",".join(map(str, share)), "--chunk", str(way.chunk)),
            *(["--restart"] if way.restart else []),
        ]
        environment = os.environ | {"PYTHONHASHSEED": way.hash_seed}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_S, check=True, text=True
        )
        found |= json.loads(done.stdout)
    return found
