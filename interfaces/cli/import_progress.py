"""The progress bar of an import: bytes read, then events acknowledged by the broker.

In: counts. Out: one bar on stderr when that is a terminal, nothing otherwise. Never: writes to stdout.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


SHOWN_EVERY_BYTES = 65_536  # a line at a time would cost more than reading it


class ImportProgress:
    """A context manager; `read` and `published` may be called as often as the source likes."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._unshown_bytes = 0
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ImportProgress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._tasks["reading"] = self._bar.add_task("reading", total=max(self._total_bytes, 1))
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def read(self, byte_count: int) -> None:
        """Notes bytes of the files that were read."""
        self._unshown_bytes += byte_count
        if self._bar is not None and self._unshown_bytes >= SHOWN_EVERY_BYTES:
            self._bar.advance(self._tasks["reading"], self._unshown_bytes)
            self._unshown_bytes = 0

    def published(self, what: str, done: int, total: int) -> None:
        """Notes how far one kind of records is on its way to the broker."""
        if self._bar is None:
            return
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)
