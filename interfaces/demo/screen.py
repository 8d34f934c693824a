"""What a user sees while the demo runs: a live table on a terminal, plain lines in a pipe.

In: the swarm's state, anomalies. Out: text. Never: decides anything; writes control codes into a pipe.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from interfaces.demo.plan import FAULT_REPEATS, FAULTY, DemoPlan
from interfaces.demo.swarm import AgentState
from murmur.clock import now_ms

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

PLAIN_EVERY_S = 5.0  # between two progress lines in a pipe


class Screen:
    """`say` a line; `show` the progress."""

    def __init__(self) -> None:
        from rich.console import Console

        self.live_possible = sys.stdout.isatty()
        self.console = Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._plain_at_s = 0.0

    def say(self, text: str = "", *, style: str = "") -> None:
        """One line of text, exactly as given."""
        from rich.text import Text

        self.console.print(Text(text, style=style if self.live_possible else ""))

    @contextmanager
    def progress(self) -> Iterator[None]:
        """A place at the bottom of the terminal that `show` redraws."""
        if not self.live_possible:
            yield
            return
        from rich.live import Live

        with Live(console=self.console, refresh_per_second=4, transient=True) as self._live:
            try:
                yield
            finally:
                self._live = None

    def show(self, plan: DemoPlan, agents: Sequence[AgentState], worker: Mapping[str, Any]) -> None:
        """The state of this moment."""
        elapsed_s = (now_ms() - plan.start_at_ms) / 1000
        if self._live is not None:
            self._live.update(self._picture(plan, agents, worker, elapsed_s))
        elif elapsed_s >= self._plain_at_s:
            self._plain_at_s = max(0.0, elapsed_s) + PLAIN_EVERY_S
            self.say(self._line(plan, agents, worker, elapsed_s))

    def anomaly(self, row: Mapping[str, Any], *, of_the_fault: bool) -> None:
        """One line as it arrives."""
        from reports.numbers import quantity

        who = f"{row['swarm_id']}/{row['agent_id'] or '(swarm)'}"
        style = {"critical": "bold red", "high": "red", "medium": "yellow"}.get(str(row["severity"]), "")
        value, low, high = (quantity(row[k], row["unit"]) for k in ("value", "expected_low", "expected_high"))
        outside = bool(row["agent_id"]) and not row["expected_low"] <= row["value"] <= row["expected_high"]
        # A drift, or a rate, is odd with the windows before it, a swarm is odd in many series: then the range says
        # nothing and the reason does.
        what = f"{value}, expected {low} to {high}" if outside else row["reason"]
        text = f"  ! {row['severity']:<8} {who} {row['metric']} {what}"
        self.say(f"{text}   <- the injected fault" if of_the_fault else text, style=style)

    def _line(self, plan: DemoPlan, agents: Sequence[AgentState], worker: Mapping[str, Any], elapsed_s: float) -> str:
        tasks, acknowledged = _total(agents, "tasks"), _total(agents, "acknowledged")
        total_s = (plan.end_at_ms - plan.start_at_ms) / 1000
        if elapsed_s < 0:
            return f"  agents start in {-elapsed_s:.0f} s"
        counters = worker.get("counters", {})
        return (
            f"  {min(elapsed_s, total_s):3.0f} of {total_s:.0f} s   tasks {tasks:,}   "
            f"failed {_total(agents, 'failed'):,}   events acknowledged {acknowledged:,}   "
            f"windows closed {int(counters.get('windows_closed', 0)):,}"
        )

    def _picture(
        self, plan: DemoPlan, agents: Sequence[AgentState], worker: Mapping[str, Any], elapsed_s: float
    ) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("agent", "tasks", "failed", "ms a task", "memory MB", "events", ""):
            table.add_column(name, justify="left" if name in ("agent", "") else "right")
        for state in agents:
            line = state.line
            fault = (state.plan.swarm_id, state.plan.agent_id) == FAULTY and now_ms() >= plan.fault_at_ms
            task_ms, memory = line.get("task_ms"), line.get("memory_bytes")
            table.add_row(
                state.name,
                f"{line.get('tasks', 0):,}",
                f"{line.get('failed', 0):,}",
                "–" if task_ms is None else f"{task_ms:.1f}",
                "–" if memory is None else f"{memory / 1e6:.0f}",
                f"{line.get('acknowledged', 0):,}",
                f"does everything {FAULT_REPEATS} times, leaks" if fault else "",
                style="yellow" if fault else "",
            )
        return Group(table, Text(self._line(plan, agents, worker, elapsed_s).strip()))


def _total(agents: Sequence[AgentState], name: str) -> int:
    return sum(int(state.line.get(name, 0)) for state in agents)
