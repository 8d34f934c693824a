"""The importers through the real broker, the real worker and the real ClickHouse engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from interfaces.importers.claude_code.discovery import transcripts
from interfaces.importers.claude_code.importer import chunks
from interfaces.importers.claude_flow import chunks as claude_flow_chunks
from interfaces.importers.claude_flow import metric_files
from interfaces.importers.pipeline import ImportFailedError, Summary, run_import
from models.settings import Settings
from sinks.clickhouse.client import connect
from tests.support.brokers import EmbeddedBroker, free_port
from tests.support.clickhouse import migrated_database
from tests.support.transcripts import Author, at_ms, tool_use, usage, write
from tests.support.waiting import eventually
from tests.support.workers import WorkerProcess

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.integration
real = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


@dataclass
class Pipeline:
    """Broker, worker and engine, with the broker replaceable: its log lives in memory."""

    settings: Settings
    broker: EmbeddedBroker
    worker: WorkerProcess
    client: Client

    def import_transcripts(self, *paths: Path, force: bool = False, now_ms: int | None = None) -> Summary:
        summary = Summary()
        source = chunks(transcripts(paths, defaults=[]), summary, now_ms=now_ms)
        return run_import(source, self.settings, summary, dry_run=False, force=force)

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        return list(self.client.query(query, parameters=parameters).result_rows)

    def wait(self, query: str, expected: Any, **parameters: Any) -> None:
        eventually(lambda: self.rows(query, **parameters)[0][0] == expected, within_s=120)

    def wait_until_folded(self, events: int) -> None:
        """Until the worker has taken in this many of the events sent since its broker started, and stored them."""
        eventually(lambda: self.worker.status().get("records_total", 0) >= events, within_s=120)
        eventually(lambda: self.worker.status().get("lag_records") == 0, within_s=120)

    def forget_the_log(self) -> None:
        """A new broker without any record, and a worker that reads from it."""
        self.worker.terminate()
        self.broker.stop()
        self.broker = EmbeddedBroker(self.broker.port).start()
        self.worker = WorkerProcess(self.settings).start()


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with migrated_database() as database:
        broker = EmbeddedBroker().start()
        settings = database.model_copy(update={"kafka_bootstrap": broker.bootstrap, "home": tmp_path / "home"})
        one = Pipeline(settings, broker, WorkerProcess(settings).start(), connect(settings))
        try:
            yield one
        finally:
            one.worker.close()
            one.broker.stop()
            one.client.close()


ACTIVITIES = "SELECT count() FROM v_activities"
METRICS = "SELECT count() FROM v_metrics"
TOKENS = """
SELECT count(), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
       sum(cache_write_5m_tokens + cache_write_1h_tokens), uniqExact(swarm_id)
FROM v_activities WHERE kind = 'model_call' AND parent_agent_id = ''
"""


@real
@pytest.mark.slow
def test_the_real_transcripts_give_their_truths_once_however_often_they_are_imported(pipeline: Pipeline) -> None:
    sessions = DATA / "claude_code" / "sessions"
    truths = json.loads((DATA / "claude_code" / "truths.json").read_text())
    first = pipeline.import_transcripts(sessions)
    assert first.published == first.found_total == 10_558
    pipeline.wait(ACTIVITIES, first.published)
    pipeline.wait_until_folded(first.records)

    true = truths["true"]
    assert pipeline.rows(TOKENS) == [
        (
            truths["calls"],
            true["input_tokens"],
            true["output_tokens"],
            true["cache_read_input_tokens"],
            true["cache_creation_input_tokens"],
            truths["sessions"],
        )
    ]
    tools = "FROM v_activities WHERE kind = 'tool_call' AND parent_agent_id = ''"
    assert pipeline.rows(f"SELECT count(), countIf(status = 'failed'), countIf(duration_ms IS NULL) {tools}") == [
        (truths["tool_calls"], truths["tool_errors"], 0)
    ]
    agents = "SELECT uniqExact(swarm_id, agent_id) FROM v_activities WHERE parent_agent_id = 'main'"
    assert pipeline.rows(agents) == [(truths["subagents"],)]
    assert pipeline.rows("SELECT count() FROM v_dead_letters") == [(0,)]
    metrics = pipeline.rows(METRICS)

    again = pipeline.import_transcripts(sessions)
    assert (again.published, again.unchanged) == (0, first.published)

    forced = pipeline.import_transcripts(sessions, force=True)
    assert forced.published == first.published
    pipeline.wait_until_folded(first.records + forced.records)
    assert pipeline.rows(ACTIVITIES) == [(first.published,)]
    assert pipeline.rows(METRICS) == metrics, "the worker remembers the ids"

    pipeline.forget_the_log()
    after = pipeline.import_transcripts(sessions)
    assert (after.published, after.unchanged) == (0, first.published)


@real
@pytest.mark.slow
def test_claude_flows_samples_are_stored_once(pipeline: Pipeline) -> None:
    files = metric_files(DATA / "claude_flow")

    def run() -> Summary:
        summary = Summary()
        return run_import(claude_flow_chunks(files, summary), pipeline.settings, summary, dry_run=False, force=False)

    first = run()
    pipeline.wait("SELECT uniqExact(swarm_id, event_id) FROM v_metrics WHERE event_id != ''", first.found["metric"])
    pipeline.wait("SELECT count() FROM v_activities", first.found["task"])
    canopy = "SELECT count() FROM v_metrics WHERE swarm_id = 'canopy-compiler' AND metric = 'memory_usage_ratio'"
    assert pipeline.rows(canopy) == [(1301,)]
    again = run()
    assert (again.published, again.unchanged) == (0, first.found_total)


def test_a_transcript_that_grew_adds_what_is_new_and_completes_what_was_open(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    main = Author("growing")
    main.user(0)
    main.assistant(1, "m1", tool_use("t1"), usage=usage(output=5))
    main.result(2, "t1")
    main.assistant(3, "m2", tool_use("t2"), usage=usage(output=6))
    path = write(tmp_path / "growing.jsonl", main.lines)
    first = pipeline.import_transcripts(path, now_ms=at_ms(4))
    assert first.published == 3  # the session, the first call, its tool call
    pipeline.wait(ACTIVITIES, 3)

    main.result(5, "t2")
    main.assistant(6, "m3", usage=usage(output=7))
    write(path, main.lines)
    second = pipeline.import_transcripts(path, now_ms=at_ms(10_000))
    assert (second.published, second.changed, second.unchanged) == (4, 1, 2)
    pipeline.wait(ACTIVITIES, 6)
    pipeline.wait("SELECT status FROM v_activities WHERE kind = 'session'", "completed")
    pipeline.wait("SELECT sum(output_tokens) FROM v_activities WHERE kind = 'model_call'", 18)
    pipeline.wait("SELECT count() FROM v_metrics WHERE metric = 'model_call_duration'", 3)


def test_a_resumed_copy_of_a_session_that_is_stored_already_is_left_where_it_is(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    first = Author("first")
    first.user(0)
    first.assistant(1, "m1", usage=usage(output=5))
    write(tmp_path / "first.jsonl", first.lines)
    pipeline.import_transcripts(tmp_path)
    pipeline.wait(ACTIVITIES, 2)

    # The original went on after it was resumed, so that the copy now looks like the older of the two.
    resumed = Author("resumed")
    resumed.lines = [{**line, "sessionId": "resumed"} for line in first.lines]
    resumed.user(100)
    resumed.assistant(101, "m2", usage=usage(output=6))
    first.user(200)
    first.assistant(201, "m3", usage=usage(output=7))
    write(tmp_path / "first.jsonl", first.lines)
    write(tmp_path / "resumed.jsonl", resumed.lines)
    summary = pipeline.import_transcripts(tmp_path)
    assert summary.elsewhere == 1
    pipeline.wait("SELECT count() FROM v_activities WHERE kind = 'model_call'", 3)
    pipeline.wait("SELECT sum(output_tokens) FROM v_activities", 18)


def test_servers_that_are_away_are_one_line_and_nothing_is_reported_as_published(tmp_path: Path) -> None:
    main = Author("s1")
    main.user(0)
    main.assistant(1, "m1")
    path = write(tmp_path / "s1.jsonl", main.lines)
    settings = Settings(
        kafka_bootstrap=f"127.0.0.1:{free_port()}", clickhouse_url=f"http://127.0.0.1:{free_port()}", home=tmp_path
    )
    for force, named in ((False, "ClickHouse"), (True, "Kafka")):
        summary = Summary()
        with pytest.raises(ImportFailedError, match=named) as error:
            run_import(chunks([path], summary, now_ms=None), settings, summary, dry_run=False, force=force)
        assert "\n" not in str(error.value)
        assert summary.published == 0
