"""`murmur compare swarms` and `murmur report generate` as a user runs them, over the real engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.settings import Settings, environment_of
from sinks.clickhouse.client import connect
from tests.support.result_rows import T0, table

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    from tests.support.clickhouse import migrated_database

    rng = np.random.default_rng(4)
    rows = [
        {
            "swarm_id": swarm,
            "activity_id": f"{swarm}-{i}",
            "task_id": f"task-{i}",
            "started_at": T0 + timedelta(seconds=i),
            "duration_ms": factor * float(rng.lognormal(6, 0.3)),
            "success": 1,
            "offset": i,
        }
        for swarm, factor in (("slow", 2.0), ("fast", 1.0))
        for i in range(40)
    ]
    with migrated_database() as settings:
        client = connect(settings)
        client.insert_arrow("activities", table("activities", rows))
        client.close()
        yield _environment(settings)


def _environment(settings: Settings) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", **environment_of(settings)}


def _murmur(environment: dict[str, str], *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interfaces.cli.main", *arguments]
    environment = {**environment, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_compare_prints_a_table_with_the_verdict_and_its_reason(environment: dict[str, str]) -> None:
    result = _murmur(environment, "compare", "swarms", "slow", "fast")
    assert result.returncode == 0, result.stderr
    assert "A = slow, B = fast" in result.stdout
    assert "task duration: worse: " in result.stdout
    assert "over the same 40 tasks" in result.stdout


def test_compare_as_json_has_the_documented_fields(environment: dict[str, str]) -> None:
    result = _murmur(environment, "compare", "swarms", "slow", "fast", "--format", "json")
    assert result.returncode == 0, result.stderr
    comparisons = {c["metric"]: c for c in json.loads(result.stdout)["comparisons"]}
    fields = [
        "metric",
        "unit",
        "a",
        "b",
        "n_a",
        "n_b",
        "paired",
        "mean_a",
        "mean_b",
        "ratio",
        "ratio_low",
        "ratio_high",
        "median_pair_ratio",
        "p50_a",
        "p50_b",
        "p95_a",
        "p95_b",
        "test",
        "p_value",
        "p_adjusted",
        "effect",
        "verdict",
        "why",
        "sql",
        "provenance",
    ]
    assert all(set(fields) <= set(c) for c in comparisons.values())
    assert comparisons["task_duration"]["ratio_low"] > 1.5
    assert json.loads(result.stdout)["success"][0]["n"] == 40


def test_compare_of_filters_as_markdown_is_a_report_about_the_sides(environment: dict[str, str]) -> None:
    sides = ("--a", "swarm=slow,status=completed", "--b", "swarm=fast,status=completed")
    result = _murmur(environment, "compare", "swarms", *sides, "--format", "markdown")
    assert result.returncode == 0, result.stderr
    assert "## swarm=slow,status=completed (A) against swarm=fast,status=completed (B)" in result.stdout
    assert "| task duration |" in result.stdout
    assert "observational: nobody drew lots" in result.stdout


def test_a_part_of_the_time_is_a_side(environment: dict[str, str]) -> None:
    moment = (T0 + timedelta(seconds=20)).isoformat().replace("+00:00", "Z")
    sides = ("--a", f"swarm=slow,from={moment}", "--b", f"swarm=slow,to={moment}")
    result = _murmur(environment, "compare", "swarms", *sides, "--format", "json")
    assert result.returncode == 0, result.stderr
    comparisons = {c["metric"]: c for c in json.loads(result.stdout)["comparisons"]}
    assert (comparisons["task_duration"]["n_a"], comparisons["task_duration"]["n_b"]) == (20, 20)
    assert comparisons["task_duration"]["paired"] is False


def test_generate_writes_the_files_and_prints_their_paths(environment: dict[str, str], tmp_path: Path) -> None:
    result = _murmur(
        environment,
        "report",
        "generate",
        "--swarm",
        "slow",
        "--swarm",
        "fast",
        "--kind",
        "executive",
        "--out",
        str(tmp_path),
    )
    assert result.returncode == 0, result.stderr
    paths = [Path(line) for line in result.stdout.split()]
    assert [p.suffix for p in paths] == [".html", ".md", ".json"]
    assert all(p.stat().st_size > 1_000 for p in paths)
    listed = json.loads(_murmur(environment, "report", "list", "--format", "json").stdout)
    assert listed[0]["formats"] == ["html", "json", "md"]
    shown = _murmur(environment, "report", "show", listed[0]["report_id"][:12], "--format", "json")
    assert shown.stdout == paths[2].read_text("utf-8")


def test_every_format_of_a_kind_is_written_and_shown_again_byte_for_byte(
    environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ("--swarm", "slow", "--kind", "technical", "--format", "html,md,json,csv,text,pdf")
    result = _murmur(environment, "report", "generate", *arguments, "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    paths = [Path(line) for line in result.stdout.split()]
    assert [p.suffix for p in paths] == [".html", ".md", ".json", ".csv", ".txt", ".pdf"]
    report_id = json.loads(paths[2].read_text("utf-8"))["report_id"]
    for name, path in zip(("html", "md", "json", "csv", "text", "pdf"), paths, strict=True):
        copy = tmp_path / "again"
        shown = _murmur(environment, "report", "show", report_id, "--format", name, "--out", str(copy))
        assert shown.returncode == 0, shown.stderr
        assert copy.read_bytes() == path.read_bytes()


def test_a_report_file_says_what_flags_say_and_flags_win(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "report.yaml"
    file.write_text("swarms: [slow, fast]\nkind: executive\nperiod: daily\ndate: '2026-03-01'\nformats: [json]\n")
    result = _murmur(
        environment, "report", "generate", "--from-file", str(file), "--out", str(tmp_path), "--title", "T"
    )
    assert result.returncode == 0, result.stderr
    made = json.loads(Path(result.stdout.strip()).read_text("utf-8"))
    assert (made["kind"], made["title"], made["config"]["swarms"]) == ("executive", "T", ["slow", "fast"])
    assert made["time_range"] == {"from": "2026-03-01T00:00:00.000Z", "to": "2026-03-02T00:00:00.000Z"}


def test_a_trend_asks_each_period_and_its_sql_runs_as_it_stands(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("--kind", "trend", "--period", "hourly", "--date", "2026-03-01T14", "--periods", "3")
    out = ("--format", "json", "--out", str(tmp_path))
    result = _murmur(environment, "report", "generate", "--swarm", "slow", *arguments, *out)
    assert result.returncode == 0, result.stderr
    made = json.loads(Path(result.stdout.strip()).read_text("utf-8"))
    (durations,) = [line for line in made["trend"] if line["metric"] == "task_duration"]
    assert [(p["period"], p["n"]) for p in durations["points"]] == [
        ("2026-03-01 12:00", 40),
        ("2026-03-01 13:00", 0),
        ("2026-03-01 14:00", 0),
    ]
    asked = made["queries"]["tasks_by_period"]
    rows = _murmur(environment, "sql", asked["sql"], "--format", "ndjson").stdout.splitlines()
    assert len(rows) == asked["rows"] == 40
    assert {json.loads(row)["period"] for row in rows} == {"2026-03-01 12:00"}


def test_a_schedule_is_kept_listed_carried_out_once_and_removed(environment: dict[str, str], tmp_path: Path) -> None:
    environment = {**environment, "MURMUR_HOME": str(tmp_path / "home")}
    arguments = ("--swarm", "slow", "--period", "hourly", "--at", "00:05", "--channel", "console", "--format", "text")
    added = _murmur(environment, "report", "schedule", "add", "mine", *arguments)
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("mine: the first report, about ")
    (row,) = json.loads(_murmur(environment, "report", "schedule", "list", "--format", "json").stdout)
    assert (row["name"], row["period"], row["at"], row["last_status"]) == ("mine", "hourly", "00:05", None)
    assert "mine" not in _murmur(environment, "report", "list").stdout
    once = _murmur(environment, "report", "schedule", "run", "--once")
    assert (once.returncode, once.stdout) == (0, ""), once.stderr
    assert _murmur(environment, "report", "schedule", "remove", "mine").returncode == 0
    assert json.loads(_murmur(environment, "report", "schedule", "list", "--format", "json").stdout) == []
    assert "there is no schedule 'mine'" in _murmur(environment, "report", "schedule", "remove", "mine").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("compare", "swarms", "slow", "nobody"), 1, "swarm nobody has no event in the database"),
        (("compare", "swarms", "slow", "slow"), 2, "two different swarms"),
        (("compare", "swarms", "slow", "fast", "--time-range", "soon"), 2, "write last-24h"),
        (("compare", "swarms", "slow", "swarm=slow"), 2, "are the same side"),
        (("compare", "swarms", "slow", "model="), 2, "is not key=value"),
        (
            ("compare", "swarms", "slow", "fast", "--filter", "team=x"),
            1,
            "slow, fast has no event that passes --filter",
        ),
        (("compare", "rank", *"abcdefghijk", "--format", "html"), 2, "at most 10 sides"),
        (("compare", "benchmark", "--baseline", "a", "--candidates", "a"), 2, "other than the baseline"),
        (("gate", "--baseline", "slow", "--candidate", "fast", "--allow", "0.5"), 2, "a ratio of at least 1"),
        (("gate", "--baseline", "slow", "--candidate", "nobody"), 2, "swarm nobody has no event"),
        (
            ("report", "generate", "--swarm", "slow", "--format", "docx"),
            2,
            "known formats are html, md, json, csv, text, pdf",
        ),
        (("report", "generate"), 2, "give --swarm ID"),
        (("report", "generate", "--swarm", "a", "--kind", "final"), 1, "has not said when it ran"),
        (("report", "generate", "--swarm", "a", "--period", "daily", "--date", "soon"), 2, "write 2026-03-01"),
        (("report", "generate", "--from-file", "no.yaml"), 2, "no.yaml: cannot be read"),
        (
            ("report", "schedule", "add", "x", "--swarm", "a", "--period", "daily", "--channel", "slack"),
            2,
            "MURMUR_ALERT_SLACK_URL",
        ),
        (
            ("report", "schedule", "add", "x", "--swarm", "a", "--period", "daily", "--channel", "pigeon"),
            2,
            "channels.0",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    environment: dict[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = _murmur(environment, *arguments)
    assert result.returncode == code
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
