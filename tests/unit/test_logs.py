"""Logs: a flood of one line is cut short and counted, everything else is written."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from models.clock import ManualClock
from streams.logs import RATE_INTERVAL_S, RATE_LINES_MAX, RateLimit, configure

INTERVAL_MS = int(RATE_INTERVAL_S * 1000)


class Bench:
    """A logger that writes to memory behind the limit."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.text = io.StringIO()
        self._logger = logging.Logger("bench")
        handler = logging.StreamHandler(self.text)
        handler.addFilter(RateLimit(self.clock))
        self._logger.addHandler(handler)

    def flood(self, count: int) -> None:
        for number in range(count):
            self._logger.error("broker %s is away: %d", "b", number)

    def other(self) -> None:
        self._logger.error("another line")

    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_lines_of_a_flood_are_written_and_the_rest_is_not(bench: Bench) -> None:
    bench.flood(100)
    assert bench.lines() == [f"broker b is away: {n}" for n in range(RATE_LINES_MAX)]


def test_a_flood_at_one_place_silences_no_other_place(bench: Bench) -> None:
    bench.flood(100)
    bench.other()
    assert bench.lines()[-1] == "another line"


def test_the_next_interval_starts_with_how_many_were_left_out(bench: Bench) -> None:
    bench.flood(RATE_LINES_MAX + 7)
    bench.clock.advance(INTERVAL_MS)
    bench.flood(2)
    assert bench.lines()[RATE_LINES_MAX:] == [
        "broker b is away: 0 [7 such lines left out before]",
        "broker b is away: 1",
    ]


def test_an_interval_without_a_flood_says_nothing(bench: Bench) -> None:
    bench.flood(RATE_LINES_MAX)
    bench.clock.advance(INTERVAL_MS)
    bench.flood(1)
    assert bench.lines()[-1] == "broker b is away: 0"


def test_the_interval_does_not_slide(bench: Bench) -> None:
    for _ in range(60):
        bench.flood(1)
        bench.clock.advance(INTERVAL_MS // 30)
    assert 2 * RATE_LINES_MAX <= len(bench.lines()) <= 2 * RATE_LINES_MAX + 1


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    noisy = [logging.getLogger(n) for n in ("aiokafka", "faust", "mode", "asyncio")]
    handlers, level, levels = root.handlers[:], root.level, [one.level for one in noisy]
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for one, was in zip(noisy, levels, strict=True):
        one.setLevel(was)


def test_libraries_speak_up_from_warning_on_and_we_from_the_chosen_level(root: logging.Logger) -> None:
    configure("debug")
    assert root.level == logging.DEBUG
    assert len(root.handlers) == 1
    assert logging.getLogger("aiokafka").level == logging.WARNING
    configure("error")
    assert logging.getLogger("aiokafka").level == logging.ERROR
    assert len(root.handlers) == 1
