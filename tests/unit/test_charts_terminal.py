"""Charts of characters: they fit the terminal, show the same, and obey no control character."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reports.charts import terminal, words
from reports.charts.distribution import Distribution
from reports.charts.scatter import points_of
from reports.pictures import task_values
from reports.queries.port import BarRow, CellRow, LinkRow, TimeRange, WindowRow
from tests.golden.recorded import SWARMS, T0_MS, RecordedReader

EVER = TimeRange()
READER = RecordedReader()
TASKS = READER.tasks(SWARMS, EVER).rows
WINDOWS = READER.windows(SWARMS, ("task_duration",), EVER).rows
ANOMALIES = READER.anomalies(SWARMS, EVER, 9).rows
DURATIONS = task_values(SWARMS, TASKS)
LONG = "a-name-that-is-far-longer-than-any-column-of-a-terminal-has-room-for"

MAKERS: dict[str, Callable[[int], str]] = {
    "line": lambda width: words.line(WINDOWS, ANOMALIES, "task_duration", width),
    "ecdf": lambda width: words.ecdf(DURATIONS, width),
    "histogram": lambda width: words.histogram(DURATIONS, width),
    "box": lambda width: words.box(DURATIONS, width),
    "scatter": lambda width: words.scatter(points_of(SWARMS, TASKS, "task_duration", "cost_usd"), width),
    "heatmap": lambda width: words.heatmap(
        READER.cells(SWARMS, "task_duration", EVER, 10_000).rows, "task_duration", 10_000, width
    ),
    "timeline": lambda width: words.timeline(READER.bars(SWARMS, "run-1", EVER).rows, width),
    "graph": lambda width: words.graph(READER.links(SWARMS, EVER).rows, width),
    "cost": lambda width: words.cost(READER.cost_by_model(SWARMS, EVER).rows, width),
}


@pytest.mark.parametrize("width", [terminal.WIDTH_MIN, 80, terminal.WIDTH_MAX])
@pytest.mark.parametrize("kind", MAKERS)
def test_no_line_is_wider_than_the_terminal(kind: str, width: int) -> None:
    lines = MAKERS[kind](width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) >= 2


def test_long_names_leave_room_for_what_they_name() -> None:
    made = [
        words.box(Distribution("m", LONG, "ms", "task", {LONG: [1.0, 2.0]}), 80),
        words.graph([LinkRow(LONG, LONG, LONG + "b", "handoff", 3)], 80),
        words.timeline([BarRow(LONG, "r", "task", LONG, LONG, "completed", T0_MS, T0_MS + 5, 1)], 80),
        words.heatmap([CellRow(LONG, LONG, T0_MS, 1, 5.0, "ms")], "m", 1000, 80),
    ]
    assert all(len(line) <= 80 for text in made for line in text.splitlines())
    assert all("…" in text for text in made)
    assert "█" in made[1]
    assert "█" in made[2]


def test_control_characters_of_data_are_shown_and_not_obeyed() -> None:
    text = words.graph([LinkRow("s\x1b[31m", "a\nb", "c\r", "handoff\x07", 3)], 80)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b[31m" in text


def test_an_anomaly_and_both_lines_have_marks_of_their_own() -> None:
    text = words.line(WINDOWS, ANOMALIES, "task_duration", 80)
    legend = [line for line in text.splitlines() if "mean" in line and "p95" in line]
    assert "▲ anomaly" in legend[1]
    assert "anomaly" not in legend[0]
    assert text.count("▲") == 1 + 3


def test_a_gap_of_a_line_stays_empty() -> None:
    rows = [WindowRow("s", "m", 10_000, T0_MS + 1000 * s, 3, 5.0, 5.0, "ms") for s in (0, 10, 20, 80, 90, 100)]
    drawn = next(line for line in words.line(rows, (), "m", 80).splitlines() if "○" in line and "│" in line)
    cells = drawn.split("│")[1]
    assert len(cells) == 80 - drawn.index("│") - 1
    assert " " * 30 in cells.strip(), "60 of 100 seconds are a gap"


def test_the_darkest_cell_is_the_highest_value_and_a_missing_one_is_blank() -> None:
    cells = [CellRow("s", "a", T0_MS + 60_000 * i, 1, value, "ms") for i, value in ((0, 1.0), (2, 5.0))]
    row = words.heatmap(cells, "m", 60_000, 80).splitlines()[1].split("│")[1]
    third = len(row) // 3
    assert set(row[: third - 1]) == {"·"}
    assert set(row[third + 1 : 2 * third - 1]) == {" "}
    assert set(row[2 * third + 1 :].rstrip()) == {"█"}


def test_an_agent_stands_below_and_further_in_than_the_one_that_started_it() -> None:
    links = [LinkRow("s", a, b, "started", 1) for a, b in (("main", "lead"), ("lead", "one"), ("lead", "two"))]
    assert words.graph(links, 80).splitlines()[1:] == ["main", "└─ lead", "   ├─ one", "   └─ two"]


def test_messages_of_one_pair_are_one_bar_with_each_type_named() -> None:
    links = [LinkRow("s", "a", "b", "handoff", 3), LinkRow("s", "a", "b", "question", 1)]
    assert words.graph(links, 80).splitlines()[-1].endswith("█ 3 handoff, 1 question")


def test_a_bar_is_as_long_as_its_share_to_an_eighth_of_a_column() -> None:
    full, half, none = terminal.bars([("a", 8, "8"), ("b", 4, "4"), ("c", 0, "0")], width=41)
    assert full.count("█") == 2 * half.count("█") == 36
    assert none == "c  0"


def test_a_line_over_midnight_says_the_date_where_it_changes() -> None:
    shift_ms = 43_200_000 - 150_000  # noon plus this: five minutes around midnight
    moved = [replace(row, window_start_ms=row.window_start_ms + shift_ms) for row in WINDOWS]
    for width in (terminal.WIDTH_MIN, 80):
        labels = words.line(moved, (), "task_duration", width).splitlines()[-2]
        assert "Mar 2 00:0" in labels
        assert labels.count("Mar 2") == 1
    assert "Mar" not in words.line(WINDOWS, (), "task_duration", 80)


def test_a_tree_of_agents_draws_its_lines_past_younger_siblings() -> None:
    started = (("main", "a"), ("a", "a1"), ("main", "b"))
    links = [LinkRow("s", source, target, "started", 1) for source, target in started]
    assert words.graph(links, 80).splitlines()[1:] == ["main", "├─ a", "│  └─ a1", "└─ b"]


def test_the_key_of_a_timeline_names_only_what_is_seen() -> None:
    bars = [BarRow("s", "r", "task", "a", "t", "completed", T0_MS, T0_MS + 9_000, 1)]
    assert words.timeline(bars, 80).splitlines()[-1] == "█ task"
    bars.append(BarRow("s", "r", "tool_call", "b", "search", "completed", T0_MS, T0_MS + 9_000, 1))
    assert words.timeline(bars, 80).splitlines()[-1] == "█ task   ░ call"
