"""The production shape, as far as it can be proven without a container engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.cli.main import COMMANDS
from models.settings import ENV_PREFIX, Settings
from tests.support.stacks import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text()
HEALTH = ROOT / "infra/docker/worker_health.py"
ONE_SHOT = {"migrate"}


def test_every_service_that_stays_has_a_health_check_and_comes_back() -> None:
    for name, service in SERVICES.items():
        if name not in ONE_SHOT:
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name


def test_ports_are_published_on_the_loopback_interface_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)


def test_no_password_is_committed_and_none_is_defaulted() -> None:
    found = 0
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert re.fullmatch(r"\$\{MURMUR_CLICKHOUSE_PASSWORD:\?[^}]+\}", value), name
                found += 1
    assert found >= 2
    assert "MURMUR_CLICKHOUSE_PASSWORD=\n" in (ROOT / ".env.example").read_text()


def test_foreign_images_are_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert images
    assert all(re.search(r":\d+\.\d+", image) for image in images)


def test_every_setting_given_to_our_containers_exists() -> None:
    for name in ("migrate", "worker", "alerter"):
        for variable in SERVICES[name]["environment"]:
            assert variable.removeprefix(ENV_PREFIX).lower() in Settings.model_fields, variable


def test_the_commands_of_our_containers_exist() -> None:
    assert SERVICES["migrate"]["command"][0] in COMMANDS
    assert SERVICES["alerter"]["command"] == ["alerts", "run"]
    assert SERVICES["reporter"]["command"] == ["report", "schedule", "run"]
    assert "murmur worker" in SERVICES["worker"]["entrypoint"][-1]
    assert SERVICES["worker"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_volumes_that_are_used_are_declared() -> None:
    used = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_the_image_copies_what_exists_and_does_not_run_as_root() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    tracked = {"constraints.txt", "README.md"}  # written with the release; checked by the build itself
    assert all((ROOT / source).exists() for source in copied if source not in tracked)
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["murmur"]
    ignore = (ROOT / "infra/docker/Dockerfile.dockerignore").read_text().splitlines()
    assert all(any(source.startswith(line[1:]) for line in ignore if line[:1] == "!") for source in copied)


def _check(run: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HEALTH), str(run)], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_the_health_check_believes_a_status_that_moves(tmp_path: Path, ready: bool, code: int) -> None:
    end = threading.Event()
    file = tmp_path / "worker-1.status.json"

    def rewrite() -> None:
        beat = 0
        while not end.is_set():
            beat += 1
            temporary = tmp_path / "next"
            temporary.write_text(json.dumps({"ready": ready, "updated_at_ms": beat, "error": None}))
            temporary.replace(file)
            end.wait(0.05)

    writer = threading.Thread(target=rewrite)
    file.write_text(json.dumps({"ready": ready, "updated_at_ms": 0, "error": None}))
    writer.start()
    try:
        assert _check(tmp_path).returncode == code
    finally:
        end.set()
        writer.join()


def test_the_health_check_does_not_believe_a_dead_workers_file(tmp_path: Path) -> None:
    assert "no status file" in _check(tmp_path).stderr
    (tmp_path / "worker-1.status.json").write_text(json.dumps({"ready": True, "updated_at_ms": 1}))
    done = _check(tmp_path)
    assert done.returncode == 1
    assert "worker-1.status.json: not rewritten" in done.stderr
