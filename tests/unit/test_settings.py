"""Settings: one place, clear precedence, every mistake at once, no secret on any screen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.settings import (
    Settings,
    SettingsError,
    environment_of,
    inherited_environment,
    load,
    parse_duration_ms,
    parse_windows,
)

SECRET = "canary-5f2d"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MURMUR_"):
            monkeypatch.delenv(name)


def written(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_win_over_the_environment_over_the_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "m.toml", 'partitions = 2\nreplication_factor = 2\napp_id = "file"\n')
    monkeypatch.setenv("MURMUR_REPLICATION_FACTOR", "3")
    monkeypatch.setenv("MURMUR_APP_ID", "environment")
    settings = load(path, app_id="flag")
    assert (settings.fold_version, settings.partitions) == (1, 2)
    assert (settings.replication_factor, settings.app_id) == (3, "flag")


def test_a_flag_that_was_not_given_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURMUR_PARTITIONS", "8")
    assert load(partitions=None).partitions == 8


def test_the_environment_may_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURMUR_CONFIG", str(written(tmp_path, "m.toml", "partitions = 7")))
    assert load().partitions == 7


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.toml", 'partitions = 6\nwindows = "5s"\nclickhouse_password = "p"\n'),
        ("m.yaml", "partitions: 6\nwindows: 5s\nclickhouse_password: p\n"),
        ("m.yml", "partitions: 6\nwindows: 5s\nclickhouse_password: p\n"),
        ("m.json", json.dumps({"partitions": 6, "windows": "5s", "clickhouse_password": "p"})),
        ("m", 'partitions = 6\nwindows = "5s"\nclickhouse_password = "p"\n'),
    ],
)
def test_toml_yaml_and_json_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    settings = load(written(tmp_path, name, text))
    assert (settings.partitions, settings.window_specs) == (6, ((5_000, 5_000),))
    assert settings.clickhouse_password.get_secret_value() == "p"


def test_every_mistake_is_told_at_once_one_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "m.toml", 'partitions = 0\npartition = 4\nwindows = "10s,7"\n')
    monkeypatch.setenv("MURMUR_FLUSH_INTERVAL_MS", "soon")
    with pytest.raises(SettingsError) as caught:
        load(path, topic_prefix="a b")
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: unknown setting partition; did you mean partitions?"
    assert sorted(line.split(":")[0] for line in lines[1:]) == [
        "MURMUR_FLUSH_INTERVAL_MS",
        "MURMUR_PARTITIONS",
        "MURMUR_TOPIC_PREFIX",
        "MURMUR_WINDOWS",
    ]
    assert "'7' is not a duration: write a whole number and ms, s, m or h, for example 10s" in str(caught.value)


def test_an_unknown_setting_alone_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"m\.toml: unknown setting colour$"):
        load(written(tmp_path, "m.toml", 'colour = "red"'))


@pytest.mark.parametrize("name", ["m.toml", "m.yaml", "m.json"])
def test_a_broken_file_is_one_line_without_its_content(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, f'clickhouse_password: "{SECRET}\n = [')
    with pytest.raises(SettingsError, match=f"{name}: not valid {path.suffix[1:]}: .*line") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("name", "text"), [("m.json", "[1]"), ("m.yaml", "just text"), ("m.yaml", "")])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(SettingsError, match="must hold one table of names and values"):
        load(written(tmp_path, name, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


def test_no_text_of_the_settings_shows_a_secret(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "m.toml", f'clickhouse_password = "{SECRET}"'))
    for text in (
        repr(settings),
        str(settings),
        f"{settings}",
        settings.model_dump_json(),
        repr(settings.model_dump()),
    ):
        assert SECRET not in text
    assert settings.clickhouse_password.get_secret_value() == SECRET


def test_a_secret_of_the_wrong_type_is_not_shown_by_its_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, "m.toml", f'clickhouse_password = ["{SECRET}"]'))
    assert str(caught.value).startswith("MURMUR_CLICKHOUSE_PASSWORD: ")
    assert SECRET not in str(caught.value)


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(home=tmp_path, clickhouse_password=SECRET, windows="5s,60s/10s", prices_file=tmp_path / "p.toml")
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_a_child_inherits_the_environment_with_changes_and_without_what_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("DROPPED", "1")
    environment = inherited_environment({"NEW": "2"}, without=("DROPPED",))
    assert (environment["KEPT"], environment["NEW"]) == ("1", "2")
    assert "DROPPED" not in environment


def test_settings_do_not_change_after_they_were_read() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.partitions = 5


def test_home_is_absolute_and_a_tilde_is_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert load(home="~/x").home == tmp_path / "x"
    assert load(home="here").state_dir == tmp_path / "here" / "state"


@pytest.mark.parametrize(("text", "ms"), [("1ms", 1), ("10s", 10_000), (" 2m ", 120_000), ("24h", 86_400_000)])
def test_a_duration_is_a_number_and_a_unit(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1.5s", "1 s", "1d", "10s ago", "１0s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration_ms(text)


def test_windows_are_tumbling_or_hopping_and_sorted_by_size() -> None:
    assert parse_windows("60s/10s, 1s,5m") == ((1_000, 1_000), (60_000, 10_000), (300_000, 300_000))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("500ms", "size must be between 1s and 24h"),
        ("25h", "size must be between 1s and 24h"),
        ("60s/7s", "the step must divide the size"),
        ("10s/20s", "the step must divide the size"),
        ("10s/0s", "the step must divide the size"),
        ("10s,10s/5s", "two windows of one size cannot be told apart"),
        ("", "between 1 and 4 are possible, got 0"),
        ("1s,2s,3s,4s,5s", "between 1 and 4 are possible, got 5"),
    ],
)
def test_windows_that_cannot_be_counted_right_are_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_windows(text)
    with pytest.raises(SettingsError, match=rule):
        load(windows=text)


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, ["MURMUR_KAFKA_SASL_USERNAME", "MURMUR_KAFKA_SASL_PASSWORD"]),
        ({"kafka_sasl_password": "x"}, ["MURMUR_KAFKA_SASL_PASSWORD"]),
        ({"kafka_ssl_ca_file": "ca.pem"}, ["MURMUR_KAFKA_SSL_CA_FILE"]),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_key_file": "k.pem"}, ["MURMUR_KAFKA_SSL_KEY_FILE"]),
        ({"kafka_security_protocol": "TLS"}, ["MURMUR_KAFKA_SECURITY_PROTOCOL"]),
    ],
)
def test_parts_of_kafka_access_that_do_not_fit_are_each_named(given: dict[str, str], named: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**given)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == named


def test_files_are_absolute_so_that_every_process_of_a_stack_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(prices_file="prices.toml", kafka_security_protocol="SSL", kafka_ssl_ca_file="ca.pem")
    assert settings.prices_file == tmp_path / "prices.toml"
    assert settings.kafka_ssl_ca_file == tmp_path / "ca.pem"
    assert environment_of(settings)["MURMUR_PRICES_FILE"] == str(tmp_path / "prices.toml")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"alert_channels": "slak"}, "MURMUR_ALERT_CHANNELS: slak: 'slak' is not one of .*; did you mean slack?"),
        ({"alert_channels": "console:hgh"}, "did you mean high?"),
        ({"alert_channels": "console,console:high"}, "console is named twice"),
        ({"alert_channels": "slack"}, "alert_channels names slack, which needs MURMUR_ALERT_SLACK_URL"),
        ({"alert_channels": "email", "alert_smtp_host": "mx"}, "which needs MURMUR_ALERT_EMAIL_FROM"),
        ({"alert_smtp_password": "p", "alert_smtp_security": "none"}, "would be sent in the clear"),
    ],
)
def test_a_channel_that_could_not_tell_anybody_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        load(**given)


def test_no_secret_of_a_channel_is_shown() -> None:
    names = ("alert_webhook_url", "alert_webhook_secret", "alert_slack_url", "alert_teams_url", "alert_smtp_password")
    settings = load(**dict.fromkeys(names, "s3cret"))
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()
