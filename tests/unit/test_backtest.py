"""`murmur backtest csv`: recorded series get the stream's scores; a file that breaks a rule is refused."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.backtest.scoring import ranked
from interfaces.backtest.table import BacktestError, read
from interfaces.cli.main import run
from models.anomaly import WindowPoint, new_scorer


def written(folder: Path, name: str, rows: list[str], head: str = "timestamp,value") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def scores(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def series(rows: int = 40) -> list[str]:
    return [f"2014-04-01 00:{i:02d}:00,{10 + i % 3}" for i in range(rows - 1)] + [
        f"2014-04-01 00:{rows - 1:02d}:00,900"
    ]


def test_each_row_gets_the_score_of_the_default_scorer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "in/deep/a.csv", series())
    assert run(["backtest", "csv", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert "1 files, 40 rows, 1 alarms; 0 files refused" in capsys.readouterr().out
    found = scores(tmp_path / "out/deep/a.csv")
    table = read(["timestamp,value", *series()], "a")
    scorer = new_scorer("value")
    for row, at_ms, (value,) in zip(found, table.at_ms, table.rows, strict=True):
        assert value is not None
        verdict = scorer.step(WindowPoint(at_ms, 60_000, 1, 1.0, value, value, value, 0.0, value))
        assert float(row["anomaly_score"]) == ranked(verdict.score or 0.0, verdict.alarm, 0.999)
        assert row["alarm"] == str(int(verdict.alarm))
    assert list(found[-1]) == ["timestamp", "value", "anomaly_score", "alarm"]
    assert (found[-1]["timestamp"], found[-1]["value"], found[-1]["alarm"]) == ("2014-04-01 00:39:00", "900", "1")


def test_several_metrics_are_joined_and_a_missing_value_is_a_gap(tmp_path: Path) -> None:
    rows = [f"{i * 60},{10 + i % 3},{'' if i == 20 else 5 + i % 2},7" for i in range(40)]
    written(tmp_path, "in/m.csv", rows, head="timestamp,cpu,memory,disk")
    assert run(["backtest", "csv", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    found = scores(tmp_path / "out/m.csv")
    assert len(found) == 40
    assert list(found[0]) == ["timestamp", "value", "anomaly_score", "alarm"]
    assert {row["value"] for row in found} == {""}
    assert all(0.0 <= float(row["anomaly_score"]) < 1.0 for row in found)


def test_a_fault_that_two_of_many_metrics_share_is_one_alarm_and_quiet_ones_are_none(tmp_path: Path) -> None:
    noise = random.Random(3)
    rows = []
    for i in range(600):
        fault = 12.0 if 500 <= i < 520 else 0.0
        values = [50 + noise.gauss(0, 1) + (fault if metric < 2 else 0.0) for metric in range(12)]
        rows.append(f"{i * 60}," + ",".join(f"{value:.4f}" for value in values))
    written(tmp_path, "in/m.csv", rows, head="timestamp," + ",".join(f"m{i}" for i in range(12)))
    assert run(["backtest", "csv", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    found = scores(tmp_path / "out/m.csv")
    assert [i for i, row in enumerate(found) if row["alarm"] == "1"] == [500]
    assert max(range(600), key=lambda i: float(found[i]["anomaly_score"])) == 500


@given(score=st.floats(0, 1 - 1e-12), other=st.floats(0, 1 - 1e-12))
def test_ranked_scores_keep_their_order_and_reach_the_bar_only_with_an_alarm(score: float, other: float) -> None:
    low, high = sorted((score, other))
    assert ranked(low, False, 0.999) <= ranked(high, False, 0.999) < 0.999
    assert ranked(high, True, 0.999) == high


@pytest.mark.parametrize(
    "text",
    [
        *("2014-04-01 00:00:00", "2014-04-01T00:00:00Z", "2014-04-01T02:00:00+02:00", "2014-04-01 00:00:00 UTC"),
        *("1396310400", "1396310400000", "1396310400000000", "1396310400000000000"),
    ],
)
def test_every_way_to_write_a_moment_means_the_same(text: str) -> None:
    assert read(["timestamp,value", f"{text},1"], "f").at_ms == [1_396_310_400_000]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "f:1: the head is nothing"),
        (["time,value"], "f:1: the head is time,value"),
        (["timestamp,value"], "f: no rows"),
        (["timestamp,value", "1,2,3"], "f:2: 3 cells where the head has 2"),
        (["timestamp,value", "soon,2"], "f:2: timestamp 'soon'"),
        (["timestamp,value", "1,much"], "f:2: value 'much'"),
        (["timestamp,value", "1,inf"], "f:2: value 'inf'"),
        (["timestamp,value", "1,1_0"], "f:2: value '1_0'"),
        (["timestamp;value", "1;2,5"], "f:2: value '2,5' is no finite number with a decimal point"),
        (["timestamp,label", "1,0"], "f:1: label is a label and no metric"),
        (["timestamp,value,", "1,2,3"], "f:2: value '3' stands in a column without a name"),
        (["timestamp,,value", "1,2,3"], "f:1: the head is timestamp,,value"),
        (["timestamp,value", "5,1", "5,1"], "f:3: 1 of 2 rows"),
        (["timestamp,value", "5,1", "4,1"], "f:3: 1 of 2 rows"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_its_line(lines: list[str], said: str) -> None:
    with pytest.raises(BacktestError) as error:
        read(lines, "f")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("lines", "metrics"),
    [
        (["timestamp;cpu;memory", "5;1;2"], ["cpu", "memory"]),
        (["TimeStamp\tcpu\tmemory", "5\t1\t2"], ["cpu", "memory"]),
        (['\ufeff"timestamp","cpu","memory"', '"5","1","2"'], ["cpu", "memory"]),
        (["timestamp, cpu, memory\r\n", "5, 1, 2\r\n"], ["cpu", "memory"]),
        (["timestamp,cpu,memory,", "5,1,2,"], ["cpu", "memory"]),
        (["timestamp,cpu,Label,memory,is_anomaly", "5,1,1,2,0"], ["cpu", "memory"]),
    ],
)
def test_other_separators_quotes_and_labels_leave_the_metrics_as_they_are(lines: list[str], metrics: list[str]) -> None:
    table = read(lines, "f")
    assert (table.metrics, table.at_ms, table.rows) == (metrics, [5_000], [[1.0, 2.0]])


def test_a_label_beside_one_metric_is_not_scored_and_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "in/plain.csv", series())
    written(
        tmp_path, "in/LABELLED.CSV", [f"{row},{int(i == 7)}" for i, row in enumerate(series())], "timestamp,v,label"
    )
    assert run(["backtest", "csv", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert "LABELLED.CSV:1: label left out" in capsys.readouterr().err
    assert scores(tmp_path / "out/LABELLED.CSV") == scores(tmp_path / "out/plain.csv")


def test_a_clock_that_was_put_back_is_scored_in_the_order_of_the_file_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "in/a.csv", [*[f"{i},1" for i in range(100)], "90,1", *[f"{i},1" for i in range(100, 110)]])
    assert run(["backtest", "csv", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert "a.csv:102: 1 rows" in capsys.readouterr().err
    assert len(scores(tmp_path / "out/a.csv")) == 111


def test_a_refused_file_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "in/bad.csv", ["1,x"])
    written(tmp_path, "in/good.csv", series())
    assert run(["backtest", "csv", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    assert "bad.csv:2: value 'x'" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.csv"]


@pytest.mark.parametrize(("folder", "out"), [("nothing", "out"), ("in", "in"), ("in", "in/out"), ("empty", "out")])
def test_folders_that_cannot_be_are_one_line_and_exit_code_2(
    tmp_path: Path, folder: str, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "in/a.csv", series())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as end:
        run(["backtest", "csv", str(tmp_path / folder), str(tmp_path / out)])
    assert end.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
