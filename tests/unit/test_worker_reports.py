"""What is believed of a worker's own words: its process must live, and its file must be fresh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.identity import ProcessId
from infra.local.layout import Layout
from infra.local.probes import worker_is_ready
from infra.local.worker_reports import worker_reports
from models.clock import SystemClock


def _said(pid: int, state: str, *, age_ms: int = 0, error: str | None = None) -> str:
    written_ms = SystemClock().now_ms() - age_ms
    return json.dumps({"pid": pid, "state": state, "updated_at_ms": written_ms, "error": error})


def test_a_worker_is_ready_only_by_its_own_word(tmp_path: Path) -> None:
    file = tmp_path / "worker-1.status.json"
    own = ProcessId(os.getpid(), "x")
    assert not worker_is_ready(file, own)
    for pid, state, expected in (
        (os.getpid() + 1, "ready", False),
        (os.getpid(), "starting", False),
        (os.getpid(), "stalled", False),
        (os.getpid(), "ready", True),
    ):
        file.write_text(_said(pid, state))
        assert worker_is_ready(file, own) is expected, (pid, state)


def test_a_report_is_believed_only_of_a_process_that_can_have_written_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    layout.worker_status("dead").write_text(_said(dead.pid, "ready"))
    # Written before this process began: its pid belonged to another one then.
    layout.worker_status("recycled").write_text(_said(os.getpid(), "ready", age_ms=400 * 86_400_000))
    layout.worker_status("torn").write_text('{"pid": 1, "sta')
    assert worker_reports(layout) == []
    layout.worker_status("alive").write_text(_said(os.getpid(), "ready"))
    assert [(r.name, r.state) for r in worker_reports(layout)] == [("alive", "ready")]


def test_a_worker_that_cannot_write_its_status_is_stalled_and_a_full_disk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        began_s = psutil.Process(other.pid).create_time()
        file = layout.worker_status("worker-1")
        file.write_text(_said(other.pid, "ready"))
        # The file stays as it is and the clock moves on: what a full disk or a frozen process looks like.
        monkeypatch.setattr(SystemClock, "now_ms", lambda _: int(began_s * 1000) + 60_000)
        (report,) = worker_reports(layout)
        assert report.state == "stalled"
        assert report.detail.startswith("has not written its status for ")
        assert str(layout.logs) in report.detail
        monkeypatch.setattr("infra.local.worker_reports.FREE_BYTES_MIN", 1 << 62)
        (report,) = worker_reports(layout)
        assert f"MiB are free under {tmp_path}" in report.detail
    finally:
        other.communicate(b"\n")
