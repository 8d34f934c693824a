"""`murmur alerts` without any server: rules, check, mistakes of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from interfaces.cli import main
from tests.support.alerters import rules_file


def run(*args: str) -> int:
    try:
        return main.run(args)
    except SystemExit as end:
        return int(end.code or 0)


def test_the_built_in_rules_are_printed_as_a_file_that_passes_its_own_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("alerts", "rules", "--yaml") == 0
    path = tmp_path / "rules.yaml"
    path.write_text(capsys.readouterr().out)
    assert run("alerts", "check", str(path)) == 0
    assert capsys.readouterr().out == f"{path}: {len(yaml.safe_load(path.read_text())['rules'])} rules, no mistake\n"


def test_the_rules_in_use_are_those_of_the_settings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MURMUR_ALERT_RULES_FILE", str(rules_file(tmp_path, {"name": "mine"})))
    assert run("alerts", "rules", "--format", "csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["rule", "mine"]


def test_every_mistake_of_a_file_is_a_line_on_stderr_and_the_exit_code_is_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = rules_file(tmp_path, {"name": "a"})
    path.write_text("rules:\n  - {name: a, kind: treshold}\n  - {name: b, kind: threshold}\n")
    assert run("alerts", "check", str(path)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 5
    assert all(line.startswith(f"murmur: {path}:") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("silence",), "give either --match (once or more) or --end"),
        (("silence", "--match", "swram=x"), "write label=pattern, with a label of rule, swarm"),
        (("silence", "--match", "swarm=x", "--for", "2"), "'2' is not a duration"),
        (("silence", "--match", "swarm=x", "--for", "90d"), "at most 30d"),
        (("test", "slack"), "slack: not in MURMUR_ALERT_CHANNELS (console)"),
    ],
)
def test_a_wrong_command_line_says_what_to_write(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("alerts", *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_test_message_reaches_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("alerts", "test", "console") == 0
    out = capsys.readouterr().out
    assert "[TEST] info: Murmuration can reach console" in out
    assert out.endswith("console took the test message\n")


def test_a_status_without_an_alerter_says_how_to_start_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("alerts", "status", "--home", str(tmp_path)) == 1
    assert "`murmur up` starts one, or `murmur alerts run`" in capsys.readouterr().err
