"""`murmur report schedule run` as an installation runs it: a process that is ended and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.settings import environment_of
from reports.request import request_of
from reports.schedule import Schedule
from reports.schedule_store import recent_occurrences, save_schedule
from sinks.clickhouse.client import connect
from tests.support.clickhouse import migrated_database
from tests.support.result_rows import table
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
RUN = (sys.executable, "-m", "interfaces.cli.main", "report", "schedule", "run")


def test_the_process_tells_what_is_due_once_ends_on_sigterm_and_has_its_home_alone(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    hour_end = now.replace(minute=0, second=0, microsecond=0)
    with migrated_database() as settings:
        client = connect(settings)
        rows = [
            {
                "swarm_id": "s",
                "activity_id": f"t{i}",
                "task_id": f"t{i}",
                "duration_ms": 5.0,
                "offset": i,
                "started_at": hour_end - timedelta(minutes=1 + i),
            }
            for i in range(3)
        ]
        client.insert_arrow("activities", table("activities", rows))
        created_ms = round(hour_end.timestamp() * 1000) - 1  # just before the last report was due
        request = request_of({"swarms": ["s"], "formats": ["text"]})
        schedule = Schedule(
            name="mine", request=request, period="hourly", at_minutes=0, channels=("console",), created_ms=created_ms
        )
        save_schedule(client, schedule, now_ms=created_ms)
        home = {"MURMUR_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        environment = {**environment_of(settings), **home}
        process = subprocess.Popen(RUN, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            eventually(lambda: [o for o in recent_occurrences(client, 10) if o.settled], "a report was told")
            second = subprocess.run(
                [*RUN, "--once"], env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            process.send_signal(signal.SIGTERM)
            told, logged = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0, logged
        assert "Traceback" not in logged
        assert "s: 3 task runs by 1 agent" in told
        assert second.returncode == 1
        assert "another `murmur report schedule run` works in" in second.stderr
        before = len(recent_occurrences(client, 10))
        again = subprocess.run(
            [*RUN, "--once"], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert again.returncode == 0, again.stderr
        ended_meanwhile = datetime.now(UTC).hour != now.hour  # then one more hour is due, rightly
        assert len(recent_occurrences(client, 10)) == before + ended_meanwhile
        assert told.count("s: 3 task runs") == 1
        client.close()
