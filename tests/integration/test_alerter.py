"""The alerter on a real broker and the real engine: fires, survives kill -9, obeys, and no dead channel holds it up."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from models.settings import Settings
from tests.support.alerters import AlerterProcess, alerter, alerts_in, publish_windows, rules_file
from tests.support.brokers import free_port
from tests.support.commands import answer_of, run_murmur
from tests.support.logs import read_log
from tests.support.receivers import HttpReceiver, http_receiver
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration]
S = 1_000


def grid_ms() -> int:
    """A multiple of 10 s, some minutes ago, but not so long that a series counts as without data."""
    now_ms = int(time.time() * 1000)
    return now_ms - now_ms % 10_000 - 150 * S


@pytest.fixture
def receiver() -> Any:
    with http_receiver() as found:
        yield found


@pytest.fixture
def settings(broker: str, clickhouse: Settings, tmp_path: Path, receiver: HttpReceiver) -> Settings:
    return clickhouse.model_copy(
        update={
            "kafka_bootstrap": broker,
            "home": tmp_path,
            "partitions": 2,
            "alert_rules_file": rules_file(tmp_path, {"for": "10s"}),
            "alert_channels": "webhook",
            "alert_webhook_url": SecretStr(receiver.url),
        }
    )


def publish(settings: Settings, *rows: tuple[int, float], swarm: str = "s1") -> None:
    asyncio.run(publish_windows(settings, *rows, swarm=swarm))


def events(settings: Settings) -> list[str]:
    return [row["event"] for row in alerts_in(settings)]


def bodies(receiver: HttpReceiver) -> list[str]:
    return [body["event"] for _, _, body in receiver.requests]


def test_an_alert_is_in_the_table_on_the_topic_and_told_once(settings: Settings, receiver: HttpReceiver) -> None:
    at = grid_ms()
    with alerter(settings) as process:
        publish(settings, *((at + i * 10 * S, mean) for i, mean in enumerate([0.0, 0.5, 0.5, 0.5, 0.0, 0.0])))
        eventually(lambda: events(settings)[-1:] == ["resolved"], "resolved")
        eventually(lambda: len(receiver.requests) == 2, "told twice: firing, resolved")
        assert process.terminate() == 0
    rows = alerts_in(settings)
    assert [(r["event"], r["state"]) for r in rows] == [
        ("pending", "pending"),
        ("firing", "firing"),
        ("resolved", "resolved"),
    ]
    assert {(r["rule"], r["swarm_id"], r["bound"]) for r in rows} == {("errors", "s1", 0.1)}
    assert int(rows[1]["at"].timestamp() * 1000) == at + 20 * S
    assert bodies(receiver) == ["firing", "resolved"]
    on_topic = [json.loads(record.value) for record in read_log(settings.kafka_bootstrap, "swarm.alerts")]
    assert sorted(r["seq"] for r in on_topic) == [1, 2, 3]
    assert {r["alert_id"] for r in on_topic} == {rows[0]["alert_id"]}
    sent = alerts_in(settings, "SELECT status, event FROM v_alert_messages ORDER BY at")
    assert [(r["status"], r["event"]) for r in sent] == [("delivered", "firing"), ("delivered", "resolved")]


@pytest.mark.parametrize("store", ["directory", "kafka"])
def test_kill_and_restart_in_the_middle_of_an_alert_loses_nothing_and_tells_nobody_twice(
    settings: Settings, receiver: HttpReceiver, store: str
) -> None:
    settings = settings.model_copy(update={"snapshot_store": store})
    at = grid_ms()
    story = [(at + i * 10 * S, mean) for i, mean in enumerate([0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.7, 0.7, 0.0, 0.0])]
    process = AlerterProcess(settings).start().await_ready()
    try:
        for number, row in enumerate(story):
            publish(settings, row)
            if number == 1:  # pending: killed before it fires
                eventually(lambda: events(settings) == ["pending"], "pending is stored")
            if number == 2:  # firing: killed between the table and whatever came next
                eventually(lambda: "firing" in events(settings), "firing is stored")
            if number in (1, 2, 4, 8):
                process.kill()
                process.start().await_ready()
        eventually(lambda: events(settings).count("resolved") == 2, "both ended")
        eventually(lambda: Counter(bodies(receiver))["resolved"] >= 2, "told of both ends")
    finally:
        process.kill()
    lives: dict[str, list[str]] = {}
    for row in alerts_in(settings):
        lives.setdefault(row["alert_id"], []).append(row["event"])
    assert list(lives.values()) == [["pending", "firing", "resolved"]] * 2
    keys = [headers["idempotency-key"] for _, headers, _ in receiver.requests]
    assert len(set(keys)) == 4, "two alerts, two messages each; one that is told again has the same key"


def test_acknowledge_silence_and_resolve_are_carried_out_and_shown(settings: Settings, receiver: HttpReceiver) -> None:
    at = grid_ms()
    with alerter(settings):
        publish(settings, *((at + i * 10 * S, 0.5) for i in range(4)))
        eventually(lambda: "firing" in events(settings), "fires")
        (listed,) = answer_of(run_murmur(settings, "alerts", "list", "--format", "json"))
        assert (listed["state"], listed["severity"], listed["rule"]) == ("firing", "warning", "errors")
        done = run_murmur(settings, "alerts", "ack", listed["alert_id"][:6], "--note", "on it", "--by", "ann")
        assert (done.returncode, done.stdout) == (0, f"{listed['alert_id']} acknowledged\n"), done.stderr
        again = run_murmur(settings, "alerts", "ack", listed["alert_id"])
        assert again.returncode == 1
        assert "is acknowledged: only firing can be acknowledged" in again.stderr
        shown = answer_of(run_murmur(settings, "alerts", "show", listed["alert_id"], "--format", "json"))[0]
        assert [(h["event"], h["by"], h["reason"]) for h in shown["history"]][-1] == ("acknowledged", "ann", "on it")
        assert run_murmur(settings, "alerts", "silence", "--match", "swarm=s2", "--for", "1h").returncode == 0
        publish(settings, *((at + i * 10 * S, 0.9) for i in range(4, 8)), swarm="s2")
        quiet = "SELECT * FROM v_alert_history WHERE swarm_id = 's2' AND event = 'firing'"
        eventually(lambda: alerts_in(settings, quiet), "recorded in silence")
        assert alerts_in(settings, quiet)[0]["silenced"] == 1
        done = run_murmur(settings, "alerts", "resolve", listed["alert_id"])
        assert done.returncode == 0, done.stderr
        status = answer_of(run_murmur(settings, "alerts", "status", "--format", "json"))[0]
        assert (status["state"], [s["match"] for s in status["silences"]]) == ("running", [{"swarm": "s2"}])
        (summed,) = answer_of(run_murmur(settings, "alerts", "summary", "--format", "json"))
        assert (summed["fired"], summed["acknowledged"], summed["silenced"], summed["resolved"]) == (2, 1, 1, 1)
    assert all(body["group"] == {"swarm": "s1"} for _, _, body in receiver.requests)


def test_a_dead_channel_holds_nobody_up_and_what_it_missed_is_shown(settings: Settings, receiver: HttpReceiver) -> None:
    both = settings.model_copy(
        update={
            "alert_channels": "slack,webhook",
            "alert_slack_url": SecretStr(f"http://127.0.0.1:{free_port()}/s3cret"),
            "alert_retry_budget_ms": 1_000,
        }
    )
    at = grid_ms()
    with alerter(both) as process:
        publish(both, *((at + i * 10 * S, mean) for i, mean in enumerate([0.5, 0.5, 0.5, 0.0, 0.0])))
        eventually(lambda: bodies(receiver) == ["firing", "resolved"], "the living channel is told")
        eventually(lambda: process.status().get("messages_undelivered") == {"slack": 2}, "counted")
        lost = "SELECT * FROM v_alert_messages WHERE status = 'undelivered'"
        eventually(lambda: len(alerts_in(both, lost)) == 2, "visible")
        assert process.status()["messages_delivered"] == {"webhook": 2}
        assert "not delivered to slack" in run_murmur(both, "alerts", "summary").stderr
        assert "s3cret" not in process.output()
    assert {row["channel"] for row in alerts_in(both, lost)} == {"slack"}


def test_clickhouse_away_delays_rows_and_not_the_page(settings: Settings, receiver: HttpReceiver) -> None:
    away = settings.model_copy(update={"clickhouse_url": f"http://127.0.0.1:{free_port()}"})
    at = grid_ms()
    with alerter(away) as process:
        publish(away, *((at + i * 10 * S, 0.5) for i in range(4)))
        eventually(lambda: bodies(receiver) == ["firing"], "told without the table")
        eventually(lambda: "clickhouse" in process.status()["problems"], "and the status says why rows wait")
        process.kill()
    with alerter(settings):
        eventually(lambda: events(settings) == ["pending", "firing"], "stored after a restart")
    assert len({h["idempotency-key"] for _, h, _ in receiver.requests}) == 1


def test_a_second_alerter_of_a_home_and_a_wrong_rule_file_are_refused_in_one_line(settings: Settings) -> None:
    with alerter(settings):
        done = run_murmur(settings, "alerts", "run")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "already runs" in done.stderr
    wrong = settings.home / "wrong.yaml"
    wrong.write_text("rules: [{name: a, kind: treshold}]")
    done = run_murmur(settings, "alerts", "run", alert_rules_file=str(wrong))
    assert done.returncode == 2
    assert "did you mean threshold?" in done.stderr
