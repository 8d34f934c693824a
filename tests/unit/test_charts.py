"""Charts as a reader finds them: gaps open, what is left out said, data never markup, the same bytes each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from reports.analysis.correlation import correlations
from reports.charts import graph as graphs
from reports.charts import heatmap as heatmaps
from reports.charts import line, svg, theme
from reports.charts import timeline as timelines
from reports.charts.box import OUTLIERS_MAX, box
from reports.charts.cost import cost_by_model
from reports.charts.distribution import Distribution, quantile
from reports.charts.ecdf import STEPS_MAX, ecdf
from reports.charts.graph import AGENTS_MAX, graph
from reports.charts.heatmap import bucket_ms, heatmap
from reports.charts.histogram import bin_edges, counted, histogram
from reports.charts.line import over_time
from reports.charts.scales import DAY_MS, fitting
from reports.charts.scatter import POINTS_MAX, points_of, scatter
from reports.charts.timeline import timeline
from reports.config import ReportConfig
from reports.pictures import Drawn, pictures, task_values
from reports.queries.clickhouse import BARS_MAX
from reports.queries.port import BarRow, CellRow, LinkRow, TaskRow, TimeRange, WindowRow
from reports.render.view import CHART_ROWS_MAX, Chart
from tests.golden.recorded import SWARMS, T0_MS, RecordedReader

EVER = TimeRange()
READER = RecordedReader()
TASKS = READER.tasks(SWARMS, EVER).rows
EVIL = 'a<script>"&\x1b[31m'


def _line() -> Chart | None:
    windows = READER.windows(SWARMS, ("task_duration",), EVER).rows
    return over_time(windows, READER.anomalies(SWARMS, EVER, 9).rows, "task_duration")


MAKERS: dict[str, Callable[[], Chart | None]] = {
    "line": _line,
    "ecdf": lambda: ecdf(task_values(SWARMS, TASKS)),
    "histogram": lambda: histogram(task_values(SWARMS, TASKS)),
    "box": lambda: box(task_values(SWARMS, TASKS)),
    "scatter": lambda: scatter(points_of(SWARMS, TASKS, "task_duration", "cost_usd"), ()),
    "heatmap": lambda: heatmap(READER.cells(SWARMS, "task_duration", EVER, 10_000).rows, "task_duration", 10_000),
    "timeline": lambda: timeline(READER.bars(SWARMS, "run-1", EVER).rows),
    "graph": lambda: graph(READER.links(SWARMS, EVER).rows),
    "cost": lambda: cost_by_model(READER.cost_by_model(SWARMS, EVER).rows),
}


def _made(chart: Chart | None) -> Chart:
    assert chart is not None
    return chart


@pytest.mark.parametrize("kind", MAKERS)
def test_a_chart_is_well_formed_named_described_and_comes_out_the_same(kind: str) -> None:
    chart = _made(MAKERS[kind]())
    root = ElementTree.fromstring(chart.svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == chart.title
    assert root.findtext(f"{space}desc") == chart.description
    assert chart.table is not None
    assert all(len(row) == len(chart.table.columns) for row in chart.table.rows)
    assert chart.svg == _made(MAKERS[kind]()).svg
    inks = set(re.findall(r"#[0-9a-f]{6}", chart.svg))
    assert inks <= set(theme.DARK), "every ink has its like in the dark"


@pytest.mark.parametrize("kind", MAKERS)
def test_no_word_of_a_chart_leaves_the_picture(kind: str) -> None:
    root = ElementTree.fromstring(_made(MAKERS[kind]()).svg)
    for node in root.iter("{http://www.w3.org/2000/svg}text"):
        words, x = node.text or "", float(node.attrib["x"])
        wide = svg.text_px(words)
        left = {"start": x, "middle": x - wide / 2, "end": x - wide}[node.attrib["text-anchor"]]
        assert left >= -1, words
        assert left + wide <= theme.WIDTH_PX + 1, words


@pytest.mark.parametrize("kind", ["line", "ecdf", "histogram", "box", "scatter", "heatmap"])
def test_every_axis_says_its_unit(kind: str) -> None:
    chart = _made(MAKERS[kind]())
    assert re.search(r">[^<]*(task duration|event time) \((s|UTC)[^<]*\)<", chart.svg)


def _windows(starts_s: list[int], mean: float = 100.0) -> list[WindowRow]:
    return [WindowRow("s", "m", 10_000, T0_MS + 1000 * s, 3, mean, 2 * mean, "ms") for s in starts_s]


def test_a_line_stops_at_a_gap_and_says_so() -> None:
    chart = _made(over_time(_windows([0, 10, 20, 60, 70, 80]), (), "m"))
    lines = re.findall(r'data-s="mean"', chart.svg)
    assert len(lines) == 2
    assert "1 gap without a window left open" in chart.description


def test_a_source_slower_than_the_window_has_its_pace_and_no_gaps() -> None:
    chart = _made(over_time(_windows([0, 30, 60, 90, 120]), (), "m"))
    assert len(re.findall(r'data-s="mean"', chart.svg)) == 1
    assert "gap" not in chart.description


def test_a_window_between_two_gaps_is_a_dot_and_not_lost() -> None:
    chart = _made(over_time(_windows([0, 10, 20, 300, 600, 610, 620]), (), "m"))
    alone = [d for d in re.findall(r'd="(M[^"]+)"[^>]*data-s="mean"', chart.svg) if d.count("L") == 1]
    assert any(d[1:].split("L")[0] == d[1:].split("L")[1] for d in alone)


def test_a_long_distribution_is_thinned_over_its_whole_range_and_says_so() -> None:
    values = {"s": [float(i) for i in range(1, 5_001)]}
    chart = _made(ecdf(Distribution("m", "m", "ms", "task", values)))
    assert f"{STEPS_MAX} steps drawn of s 5,000" in chart.description
    drawn = re.findall(r'class="line" d="([^"]+)"', chart.svg)[0]
    assert drawn.count("L") <= 2 * STEPS_MAX
    assert "5,000" in str(chart.table)


def test_quantiles_are_those_of_the_facts() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 2.5
    assert quantile([7], 0.95) == 7


def test_every_value_is_in_one_bin() -> None:
    values = [float(v) for v in (1, 1, 2, 3, 900, 1000)]
    edges = bin_edges(values, fitting(values, 0, 1, unit="ms"))
    assert sum(counted(values, edges)) == len(values)
    assert sum(counted([5.0, 5.0], bin_edges([5.0, 5.0], fitting([5.0], 0, 1, unit="ms")))) == 2


def test_a_box_says_how_many_values_lie_beyond_and_how_many_of_them_are_drawn() -> None:
    values = [float(v % 10 + 1) for v in range(400)] + [1000.0 + v for v in range(OUTLIERS_MAX + 5)]
    chart = _made(box(Distribution("m", "m", "ms", "task", {"s": values})))
    assert f"{OUTLIERS_MAX + 5} beyond the whiskers ({OUTLIERS_MAX} furthest drawn)" in chart.description
    assert chart.svg.count("<circle") == OUTLIERS_MAX


def test_a_side_without_values_is_named_and_not_drawn_as_zero() -> None:
    chart = _made(box(Distribution("m", "m", "ms", "task", {"a": [1.0, 2.0], "b": []})))
    assert "b: nothing measured" in chart.description
    assert box(Distribution("m", "m", "ms", "task", {"b": []})) is None


def test_a_scatter_says_spearmans_rho_with_its_interval_of_each_side() -> None:
    found = [
        one for side in SWARMS for one in correlations(side, TASKS) if {one.x, one.y} == {"task_duration", "cost_usd"}
    ]
    chart = _made(scatter(points_of(SWARMS, TASKS, "task_duration", "cost_usd"), found))
    for side in SWARMS:
        assert re.search(rf"{side}: Spearman's rho -?[\d.]+ \[-?[\d.]+, -?[\d.]+\]", chart.description)


def test_a_scatter_of_very_many_tasks_keeps_both_ends_and_says_how_many_are_drawn() -> None:
    rows = [_task(str(i), 1.0 + i, 1 + i % 7) for i in range(POINTS_MAX * 3)]
    chart = _made(scatter(points_of(("s",), rows, "task_duration", "cost_usd"), ()))
    assert chart.svg.count('class="mark"') == POINTS_MAX
    assert f"{POINTS_MAX} of {POINTS_MAX * 3:,} tasks drawn" in chart.description
    assert f'"{0}: ' in chart.svg
    assert f'"{POINTS_MAX * 3 - 1}: ' in chart.svg


def _task(name: str, duration_ms: float, cost_usd: float) -> TaskRow:
    measured = ("measured",)
    tokens = (None, None, None, None)
    return TaskRow("s", name, True, 1, 1, 1, 1, duration_ms, cost_usd, *tokens, measured, measured)


def test_swarms_of_different_times_have_cells_as_fine_as_their_own_time() -> None:
    hour = DAY_MS // 24
    apart = [(0, hour), (90 * DAY_MS, 90 * DAY_MS + hour)]
    assert bucket_ms(apart) == bucket_ms([(0, hour)])
    assert bucket_ms([(0, hour), (hour // 2, 2 * hour)]) == bucket_ms([(0, 2 * hour)])


def test_a_cell_without_a_value_is_left_empty() -> None:
    cells = [CellRow("s", "a", T0_MS, 1, 5.0, "ms"), CellRow("s", "b", T0_MS + 60_000, 1, 9.0, "ms")]
    chart = _made(heatmap(cells, "m", 60_000))
    assert chart.svg.count("<rect") == 2


def test_a_graph_of_agents_that_started_each_other_in_a_circle_shows_each_once() -> None:
    links = [LinkRow("s", a, b, "started", 1) for a, b in (("x", "y"), ("y", "z"), ("z", "x"))]
    chart = _made(graph(links))
    assert [chart.svg.count(f">{name}<") for name in "xyz"] == [1, 1, 1]


def test_a_graph_of_too_many_agents_keeps_the_busiest_and_counts_the_others() -> None:
    links = [LinkRow("s", "main", f"agent-{i}", "started", 1000 - i) for i in range(AGENTS_MAX + 9)]
    chart = _made(graph(links))
    assert f"{AGENTS_MAX + 10} agents" in chart.description
    assert f"the {AGENTS_MAX} with the most links are drawn" in chart.description
    assert ">agent-0<" in chart.svg


def test_of_very_many_pairs_the_busiest_are_drawn_and_the_table_has_all() -> None:
    links = [LinkRow("s", f"a{i}", f"a{j}", "handoff", 1 + 10 * i + j) for i in range(8) for j in range(8) if i != j]
    chart = _made(graph(links))
    assert chart.svg.count("data-v=") == graphs.ARCS_MAX
    assert f"the {graphs.ARCS_MAX} busiest of 56 pairs are drawn" in chart.description
    assert chart.table is not None
    assert len(chart.table.rows) == 56


def test_the_order_in_which_links_arrive_changes_nothing() -> None:
    links = READER.links(SWARMS[:1], EVER).rows
    assert _made(graph(links)).svg == _made(graph(links[::-1])).svg


def test_a_timeline_of_part_of_a_run_says_so_and_crosses_what_failed() -> None:
    bars = [BarRow("s", "r", "task", "a", "t", status, T0_MS, T0_MS + 5, 900) for status in ("failed", "completed")]
    chart = _made(timeline(bars))
    assert "of 900 with an end" in chart.description
    assert "1 failed" in chart.description
    assert chart.svg.count("M-4,-4L4,4") == 1


def test_a_table_beside_a_chart_has_a_bound_and_names_what_it_leaves_out() -> None:
    chart = _made(over_time(_windows([10 * i for i in range(CHART_ROWS_MAX + 50)]), (), "m"))
    assert chart.table is not None
    assert len(chart.table.rows) == CHART_ROWS_MAX
    assert chart.table.note == f"{CHART_ROWS_MAX} of {CHART_ROWS_MAX + 50} rows; the query gives all"


def test_the_largest_charts_there_can_be_leave_a_page_below_two_megabytes() -> None:
    swarms = [f"a-swarm-with-a-long-name-{i}" for i in range(6)]
    agents = [f"an-agent-with-a-long-name-{i}" for i in range(60)]
    metrics = ["task_duration", "response_time", "cpu_usage", "memory_usage"]
    windows = [
        WindowRow(s, m, 10_000, T0_MS + 10_000 * i, 3, 100.0 + i % 13, 200.0 + i % 17, "ms")
        for m in metrics
        for s in swarms
        for i in range(line.WINDOWS_OF_CHART_MAX // 6)
    ]
    cells = [CellRow(s, a, T0_MS + 60_000 * i, 3, 7.0 + i, "ms") for s in swarms for a in agents for i in range(48)]
    tasks = [replace(_task(f"task-{i}", 1.0 + i, 1 + i % 7), swarm_id=s) for s in swarms for i in range(2_000)]
    links = [LinkRow(s, a, b, "handoff", 3) for s in swarms for a in agents for b in agents]
    bars = [
        BarRow(
            swarms[0], "r", "tool_call", agents[i % 60], "a-tool", "completed", T0_MS + 50 * i, T0_MS + 90 * i, 9_999
        )
        for i in range(BARS_MAX)
    ]
    config = ReportConfig(swarms=tuple(swarms), kind="technical")
    data = Drawn((), (), tasks, windows, (), metrics, (), cells, 60_000, links, bars)
    charts = pictures(config, data)
    assert {c.name for c in charts} >= {"durations", "box", "scatter", "timeline", "graph", "heatmap"}
    tables = [cell for c in charts if c.table for row in c.table.rows for cell in row]
    markup = len("<td></td>")
    size = sum(len(c.svg) + 2 * len(c.description) for c in charts) + sum(len(cell) + markup for cell in tables)
    print(f"{size:,} bytes of charts and their tables")
    assert size < 1_600_000, "what else a report holds is a few hundred kilobytes"


def test_data_in_names_is_text_everywhere() -> None:
    links = [LinkRow(EVIL, EVIL, "b", EVIL, 1), LinkRow(EVIL, EVIL, "b", "started", 1)]
    bars = [BarRow(EVIL, EVIL, "task", EVIL, EVIL, EVIL, T0_MS, T0_MS + 5, 1)]
    cells = [CellRow(EVIL, EVIL, T0_MS, 1, 5.0, "ms")]
    drawn = [graph(links), timeline(bars), heatmap(cells, "m", 1000)]
    drawn += [box(Distribution("m", EVIL, "ms", "task", {EVIL: [1.0, 2.0]}))]
    for chart in drawn:
        ElementTree.fromstring(_made(chart).svg)
        assert "<script" not in _made(chart).svg
        assert "\x1b" not in _made(chart).svg


def test_the_page_about_charts_names_the_limits_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "charts.md").read_text("utf-8")
    for words in (
        f"{line.WINDOWS_MAX:,} windows a line, {line.WINDOWS_OF_CHART_MAX:,} a chart",
        f"a gap is {line.GAP_FACTOR} times",
        f"{line.SWARMS_MAX} swarms or sides, {heatmaps.SWARMS_MAX} of a heatmap or graph",
        f"{STEPS_MAX} steps",
        f"{POINTS_MAX} points of a scatter",
        f"{OUTLIERS_MAX} dots",
        f"{heatmaps.AGENTS_MAX} agents of a heatmap, {timelines.AGENTS_MAX} of a timeline, {AGENTS_MAX} of a graph",
        f"{graphs.ARCS_MAX} pairs of a graph",
        f"{heatmaps.COLUMNS_MAX} stretches",
        f"{BARS_MAX} activities",
        f"{CHART_ROWS_MAX} rows of a chart's table",
    ):
        assert f"| {words}" in page, words


def test_a_picture_by_itself_has_its_size_its_ground_and_the_inks_of_its_theme() -> None:
    chart = _made(MAKERS["box"]())
    light, dark, auto = (svg.themed(chart.svg, chosen) for chosen in ("light", "dark", "auto"))
    for made in (light, dark, auto):
        root = ElementTree.fromstring(made)
        assert root.attrib["width"] == str(theme.WIDTH_PX)
    assert theme.INK in light
    assert theme.INK not in dark
    assert theme.DARK[theme.PAGE] in dark
    assert "prefers-color-scheme: dark" in auto
    assert svg.to_png(dark)[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_time_axis_over_midnight_says_the_date_where_it_changes_and_its_labels_keep_apart() -> None:
    midnight = 1_772_409_600_000  # 2026-03-02T00:00:00Z
    rows = [
        WindowRow("careful", "m", 10_000, midnight + 10_000 * i, 8, 1_000.0 + i, 1_400.0 + i) for i in range(-15, 15)
    ]
    chart = _made(over_time(rows, (), "m"))
    (axis,) = re.findall(r'<g class="x-axis">(.*?)</g>', chart.svg)
    labels = re.findall(r'<text x="([\d.]+)"[^>]*>([^<]+)</text>', axis)
    assert [words for _, words in labels if "Mar" in words] == ["Mar 1 23:58:00", "Mar 2 00:00:00"]
    edges = [(float(x) - svg.text_px(words) / 2, float(x) + svg.text_px(words) / 2) for x, words in labels]
    assert all(one[1] < other[0] for one, other in pairwise(edges))
