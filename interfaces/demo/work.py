"""The work the demo's agents do: real files of this Python's standard library, parsed, compressed, checked.

In: bundles of files. Out: parsed trees, compressed bytes, checksums. Never: a sleep or a made-up result.
"""

from __future__ import annotations

import ast
import hashlib
import lzma
import os
import random
import subprocess
import sys
import sysconfig
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interfaces.demo.plan import Compressor

BUNDLE_BYTES = 65_536  # tasks of one size: 5 to 50 ms each, so a second holds several
MIX_SEED = 1
BUNDLES_MAX = 120  # 7.5 MB of source: all in the page cache after the first round
FILE_BYTES_MIN, FILE_BYTES_MAX = 2_000, 40_000  # a bundle holds several files, none of them dominates
LEFT_OUT = frozenset({"site-packages", "test", "tests", "idlelib", "turtledemo", "__pycache__"})
CHECK_TIMEOUT_S = 20.0
# Runs in a sub-process of its own, as a tool of an agent would: unpacks a file and prints its checksum.
CHECK_CODE = """
import hashlib, importlib, sys
path, compressor = sys.argv[1:]
with open(path, "rb") as file:
    print(hashlib.sha256(importlib.import_module(compressor).decompress(file.read())).hexdigest())
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Some files of the standard library, about BUNDLE_BYTES together."""

    name: str
    files: tuple[Path, ...]


def bundles(root: Path | None = None) -> list[Bundle]:
    """The same bundles, in the same order, for every process of this machine."""
    library = root or Path(sysconfig.get_path("stdlib"))
    files = [
        path
        for path in sorted(library.rglob("*.py"))
        if not LEFT_OUT & set(path.relative_to(library).parts)
        and FILE_BYTES_MIN <= path.stat().st_size <= FILE_BYTES_MAX
    ]
    # Neighbours are alike (code tables, generated modules): mixed, every bundle is about as much work.
    random.Random(MIX_SEED).shuffle(files)
    made: list[Bundle] = []
    group: list[Path] = []
    size_bytes = 0
    for path in files:
        group.append(path)
        size_bytes += path.stat().st_size
        if size_bytes >= BUNDLE_BYTES:
            made.append(Bundle(f"bundle-{len(made):03d}", tuple(group)))
            group, size_bytes = [], 0
    return made[:BUNDLES_MAX]


def share(all_bundles: list[Bundle], *, index: int, of: int) -> Iterator[tuple[str, Bundle]]:
    """(task name, bundle) of one packer, round after round; equal in every configuration."""
    mine = all_bundles[index::of]
    turn = 0
    while mine:
        turn += 1
        for bundle in mine:
            yield f"{bundle.name}.{turn}", bundle


def samples(all_bundles: list[Bundle], *, of: int) -> Iterator[str]:
    """Task names for the checker: one of each packer in turn; equal in every configuration."""
    shares = [share(all_bundles, index=index, of=of) for index in range(of)]
    while True:
        for mine in shares:
            yield next(mine)[0]


def read(bundle: Bundle) -> bytes:
    """The content of the bundle's files."""
    return b"\n".join(path.read_bytes() for path in bundle.files)


def parse(bundle: Bundle) -> int:
    """Number of top-level statements. Raises SyntaxError for a file this Python cannot parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in the library's own sources
        return sum(len(ast.parse(path.read_bytes(), str(path)).body) for path in bundle.files)


def compress(content: bytes, compressor: Compressor, level: int) -> bytes:
    """The content packed by this compressor at this level."""
    if compressor == "lzma":
        return lzma.compress(content, preset=level)
    return zlib.compress(content, level)


def store(packed: bytes, content: bytes, name: str, directory: Path) -> Path:
    """Writes `<name>.<checksum>` completely or not at all, for the checker to find."""
    checksum = hashlib.sha256(content).hexdigest()
    path = directory / f"{name}.{checksum}.packed"
    temporary = directory / f"{name}.{checksum}.tmp"
    temporary.write_bytes(packed)
    os.replace(temporary, path)
    return path


def find_packed(directory: Path, name: str) -> Path | None:
    """What a packer stored under this name, or None while it has not."""
    return next(directory.glob(f"{name}.*.packed"), None)


def check(path: Path, compressor: Compressor) -> bool:
    """Unpacks in a sub-process and compares the checksum with the one in the name."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CHECK_CODE, str(path), compressor],
        capture_output=True,
        text=True,
        check=True,
        timeout=CHECK_TIMEOUT_S,
    )
    return done.stdout.strip() == path.name.split(".")[-2]
