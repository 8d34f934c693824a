"""`murmur` and `python -m murmur`: the command line when the application is there, else one line that says how.

In: the process arguments. Out: an exit code. Never: a traceback for a missing application.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

LIGHT_CLIENT = (
    "murmur: this install is the light client (from murmur import Publisher). The command line runs from a "
    "checkout of Murmuration: clone the repository and run `make demo`, or `pip install -e '.[server,embedded]'` in it."
)


def main() -> None:
    """Entry point of the `murmur` script."""
    if not _has_command_line():
        print(LIGHT_CLIENT, file=sys.stderr)  # noqa: T201 -- the one line a user of the light client must see
        raise SystemExit(1)
    from importlib import import_module

    import_module("interfaces.cli.main").main()


def _has_command_line() -> bool:
    # A user's own `interfaces` package must not be mistaken for ours, and ours needs its CLI library.
    try:
        return find_spec("interfaces.cli.main") is not None and find_spec("typer") is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
