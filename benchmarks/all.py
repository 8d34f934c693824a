"""Every benchmark, one after the other, for a page of figures from one quiet machine.

    make bench BENCH=all BENCH_FLAGS=--write

In: the flags that every benchmark has, handed on. Out: their tables. Never: two at a time; stops at the first failure.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = ("emit", "ingest", "freshness", "page", "recovery", "scale", "storage")


def main() -> None:
    for name in NAMES:
        print(f"\n== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False)
        if done.returncode:
            raise SystemExit(f"{name} ended with {done.returncode}")


if __name__ == "__main__":
    main()
