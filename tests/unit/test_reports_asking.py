"""Questions of a report are asked side by side, and a refused report leaves none behind."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from reports.asking import QUESTIONS_AT_ONCE, Compared, side_by_side
from reports.build import UnknownSwarmError, build_report
from reports.config import ReportConfig
from reports.queries.port import Result, SwarmRow, TimeRange
from tests.golden.recorded import SWARMS, RecordedReader

MEETING_TIMEOUT_S = 30.0


class Meeting(RecordedReader):
    """Answers tasks and calls only once both have been asked."""

    def __init__(self) -> None:
        self._both = threading.Barrier(QUESTIONS_AT_ONCE, timeout=MEETING_TIMEOUT_S)

    def tasks(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[Any]:
        self._both.wait()
        return super().tasks(swarm_ids, time)

    def calls(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[Any]:
        self._both.wait()
        return super().calls(swarm_ids, time)


def test_a_question_does_not_wait_for_the_one_before_it() -> None:
    with side_by_side() as pool:
        found = Compared.ask(pool, Meeting(), SWARMS, TimeRange()).input()
    assert list(found.tasks) == list(RecordedReader().tasks(SWARMS, TimeRange()).rows)
    assert list(found.queries) == ["tasks", "calls", "agent_metrics"]


class Empty(RecordedReader):
    """Knows no swarm."""

    def swarms(self, swarm_ids: Sequence[str], time: TimeRange) -> Result[SwarmRow]:
        return self._result("swarms", ())


def test_a_refused_report_leaves_no_question_behind() -> None:
    with pytest.raises(UnknownSwarmError):
        build_report(Empty(), ReportConfig(swarms=SWARMS), with_charts=True)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("question")]


def test_an_error_of_a_question_is_the_error_of_the_report() -> None:
    class Broken(RecordedReader):
        def dead_letters(self) -> Result[Any]:
            raise ConnectionError("ClickHouse http://h:8123 is away")

    with pytest.raises(ConnectionError, match="is away"):
        build_report(Broken(), ReportConfig(swarms=SWARMS), with_charts=False)
