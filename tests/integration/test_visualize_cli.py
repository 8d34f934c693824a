"""`murmur visualize chart` as a user runs it, over rows in the real engine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.settings import environment_of
from sinks.clickhouse.client import connect
from tests.support.result_rows import T0, table
from tests.support.window_parts import window_row

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
KINDS = ("line", "heatmap", "histogram", "ecdf", "box", "scatter", "timeline", "graph", "cost")


def _row(number: int, kind: str, start_s: int, length_s: int, swarm: str = "s", **values: Any) -> dict[str, Any]:
    started = T0 + timedelta(seconds=start_s)
    return {
        "swarm_id": swarm,
        "kind": kind,
        "activity_id": f"{kind}-{number}",
        "run_id": "r1",
        "started_at": started,
        "ended_at": started + timedelta(seconds=length_s),
        "duration_ms": 1000.0 * length_s,
        "offset": number,
        **values,
    }


def _rows() -> list[dict[str, Any]]:
    rows = []
    for n, swarm in enumerate(("s", "other")):
        for i in range(24):
            priced = {"cost_usd": 0.01 * (i + 1), "cost_provenance": "estimated"}
            made = {"agent_id": f"a{i % 3}", "model": f"m{n}", "swarm": swarm}
            rows.append(
                _row(100 * n + i, "task", 10 * i, 5 + i * (n + 1), task_id=f"t{i}", success=1, **made, **priced)
            )
            rows.append(_row(200 + 100 * n + i, "model_call", 10 * i, 2, task_id=f"t{i}", **made, **priced))
    started = {"agent_id": "child", "parent_agent_id": "a0", "tool": "Read", "run_id": "r2"}
    rows += [_row(500 + i, "tool_call", 400 + i, 3, **started) for i in range(4)]
    told = {"agent_id": "a0", "from_agent_id": "a0", "to_agent_id": "a1", "message_type": "handoff"}
    rows += [_row(600 + i, "message", i, 0, **told) for i in range(7)]
    return rows


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    from tests.support.clickhouse import migrated_database

    windows = [
        window_row(
            [(float(10 + i), 1.0)],
            swarm_id="s",
            agent_id=f"a{i % 2}",
            metric="cpu_usage",
            unit="ratio",
            window_ms=10_000,
            window_start=T0 + timedelta(seconds=10 * i),
        )
        for i in range(12)
        if i not in (6, 7, 8)
    ]
    hourly = [
        window_row(
            [(float(hour % 24), 1.0), (float(hour % 24), 3.0)],
            swarm_id="long",
            agent_id="a0",
            metric="cpu_usage",
            unit="ratio",
            window_ms=10_000,
            window_start=T0 + timedelta(hours=hour),
        )
        for hour in range(120)
    ]
    ends = [_row(900 + i, "task", 3600 * hour, 5, "long", task_id=f"end-{i}") for i, hour in enumerate((0, 119))]
    runs = [{"swarm_id": "s", "run_id": "r1", "started_at": T0, "offset": 1}]
    with migrated_database() as settings:
        client = connect(settings)
        client.insert_arrow("activities", table("activities", _rows() + ends))
        client.insert_arrow("windows", table("windows", windows + hourly))
        client.insert_arrow("swarms", table("swarms", runs))
        client.close()
        yield {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment_of(settings)}


def _chart(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interfaces.cli.main", "visualize", "chart", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def _arguments(kind: str) -> list[str]:
    return [kind, "s", *(["--metric", "cpu_usage"] if kind == "line" else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_in_80_columns_and_as_a_page(
    environment: dict[str, str], tmp_path: Path, kind: str
) -> None:
    shown = _chart(environment, *_arguments(kind), "--format", "terminal")
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    page = tmp_path / "chart.html"
    made = _chart(environment, *_arguments(kind), "--out", str(page), "--theme", "dark")
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == str(page)
    text = page.read_text("utf-8")
    assert "<svg" in text
    assert "As a table" in text
    assert "SELECT" in text, "the query behind it"
    assert "@media all {" in text


def test_into_a_pipe_goes_svg_and_a_png_has_twice_its_pixels(environment: dict[str, str], tmp_path: Path) -> None:
    assert _chart(environment, "box", "s", "other").stdout.startswith("<svg ")
    picture = tmp_path / "box.png"
    assert _chart(environment, "box", "s", "other", "--out", str(picture)).returncode == 0
    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20], "big") == 2 * 460


def test_a_line_has_the_unit_of_its_events_and_leaves_the_gap_open(environment: dict[str, str]) -> None:
    shown = _chart(environment, "line", "s", "--metric", "cpu_usage", "--format", "terminal").stdout
    assert "s · CPU usage (%)" in shown
    assert "9 windows of 10 s" in shown
    assert "1 gap without a window left open" in shown.replace("\n", " ")


def test_a_heatmap_of_a_metric_has_each_agents_own_means(environment: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "heat.html"
    assert _chart(environment, "heatmap", "s", "--metric", "cpu_usage", "--out", str(page)).returncode == 0
    rows = re.findall(r"<tr><th scope=\"row\">2026-03-01 12:00:(\d\d)</th>(.*?)</tr>", page.read_text("utf-8"))
    assert len(rows) == 6
    assert "1,000 %" in rows[0][1], "10 as a ratio"


def test_a_heatmap_of_days_is_made_of_hours(environment: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "days.html"
    made = _chart(environment, "heatmap", "long", "--metric", "cpu_usage", "--out", str(page))
    assert made.returncode == 0, made.stderr
    text = page.read_text("utf-8")
    assert "hour_cells" in text
    assert "FROM v_hours" in text
    means = re.findall(
        r"<tr><th scope=\"row\">[^<]+</th><td>long</td><td>a0</td><td>([\d,]+) %</td><td>(\d+)</td>", text
    )
    assert [n for _, n in means] == ["6"] * 40, "three hours of two events each"
    assert means[0][0] == "100", "hours 0, 1 and 2 of the day"


def test_the_same_tasks_are_counted_as_in_a_comparison(environment: dict[str, str]) -> None:
    said = _chart(environment, "box", "s", "other", "--format", "terminal").stdout.replace("\n", " ")
    assert "s: median 16.5 s" in said
    assert "other: median 28.0 s" in said
    assert "24 tasks" in said


def test_a_filter_a_period_and_a_part_of_a_swarm_are_sides_too(environment: dict[str, str]) -> None:
    said = _chart(environment, "ecdf", "model=m0", "--filter", "agent=a0", "--format", "terminal").stdout
    assert "of 8 tasks" in said.replace("\n", " ")
    for kind in ("heatmap", "graph", "timeline"):
        part = _chart(environment, kind, "swarm=s,agent=a0", "--format", "terminal")
        assert part.returncode == 0, part.stderr
        assert "a1 │" not in part.stdout
    late = ("--from", "2026-03-01T12:02:00Z", "--to", "2026-03-01T12:03:00Z")
    assert "of 6 tasks" in _chart(environment, "ecdf", "s", *late, "--format", "terminal").stdout.replace("\n", " ")


def test_a_timeline_is_of_the_newest_run_unless_another_is_named(environment: dict[str, str]) -> None:
    assert "in run r1" in _chart(environment, "timeline", "s", "--format", "terminal").stdout
    other = _chart(environment, "timeline", "s", "--run", "r2", "--format", "terminal").stdout
    assert "in run r2" in other
    assert "child │" in other


def test_a_graph_tells_who_started_whom_and_who_handed_to_whom(environment: dict[str, str]) -> None:
    said = _chart(environment, "graph", "s", "--format", "terminal").stdout
    assert re.search(r"a0\n└─ child", said)
    assert re.search(r"a0 → a1 █+ 7 handoff", said)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ecdf", "nobody"), 1, "swarm nobody has no event"),
        (("ecdf", "s", "--metric", "speed"), 1, "has no metric 'speed'; known are task_success"),
        (("graph", "other"), 1, "nothing to draw: other has no activity that names a parent agent"),
        (("line", "model=m0"), 2, "windows are kept of whole swarms, and 'model=m0' is a part of one"),
        (("scatter", "s", "--metric", "task_duration"), 2, "takes two different measures of a task"),
        (("cost", "s", "--metric", "cost_usd"), 2, "chart cost takes no --metric"),
        (("timeline", "s", "other"), 2, "chart timeline draws one side"),
        (("box", "s", "--run", "r1"), 2, "--run belongs to chart timeline"),
        (("box", "s", "--out", "x.gif"), 2, "a name that ends in .svg, .png, .html, .txt"),
        (("box", "s", "--time-range", "soon"), 2, "write last-24h"),
    ],
)
def test_a_mistake_is_one_line(
    environment: dict[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = _chart(environment, *arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
