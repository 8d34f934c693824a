"""The documentation says what there is: each name a user meets stands where it should, each link leads somewhere."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from interfaces.cli.main import COMMANDS
from models.error_codes import ErrorCode
from models.events import MetricEvent
from models.metrics import BUILT_IN
from models.settings import Settings
from streams.fold_config import FoldConfig
from streams.topics import TOPICS
from tests.support.brokers import create_topics
from tests.support.docs import DOCS, PARTS, REFRESH, ROOT, refreshed
from tests.support.logs import read_log

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("changelog.d/*.md")])
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)  # language, content
COMMAND_SECONDS_MAX = 60  # a help text takes half a second; the machine may be busy


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def documented(page: str) -> set[str]:
    """Everything a page sets in code type, without the code blocks."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text_of(page))))


@pytest.mark.parametrize(("page", "part"), PARTS, ids=lambda value: value)
def test_a_part_made_from_the_code_is_up_to_date(page: str, part: str) -> None:
    assert text_of(f"docs/{page}") == refreshed(page, part), f"docs/{page} is behind the code; run: {REFRESH}"


def test_the_settings_that_shape_results_are_named_as_such() -> None:
    (sentence,) = re.findall(r"Settings that \*\*shape results\*\*.*?\.\s", text_of("docs/configuration.md"), re.DOTALL)
    named = set(re.findall(r"`(\w+)`", sentence))
    assert named == {"prices_file" if name == "prices" else name for name in FoldConfig.__slots__}
    assert named <= set(Settings.model_fields)


def test_every_table_and_view_of_the_migrations_is_in_the_data_model() -> None:
    names = {
        name
        for path in (ROOT / "sinks/clickhouse/migrations").glob("*.sql")
        for name in re.findall(r"CREATE (?:OR REPLACE )?(?:TABLE|VIEW)(?: IF NOT EXISTS)? (\w+)", path.read_text())
    }
    assert {"metrics", "v_windows", "v_anomalies"} <= names
    assert names <= documented("docs/data-model.md")


def test_every_command_is_described() -> None:
    missing = [name for name in COMMANDS if f"murmur {name}" not in text_of("docs/cli.md")]
    assert not missing


def test_every_topic_is_described_to_those_who_publish_or_read() -> None:
    for topic in TOPICS:
        page = "docs/wire-format.md" if topic.source else "docs/architecture.md"
        assert topic.name in documented(page), page


def test_every_error_code_is_explained() -> None:
    assert {str(code) for code in ErrorCode} == {d for d in documented("docs/wire-format.md") if d.startswith("E_")}


def test_every_field_of_a_metric_event_is_explained() -> None:
    assert set(MetricEvent.model_fields) <= documented("docs/wire-format.md")


def test_every_built_in_metric_is_listed() -> None:
    assert {metric.name for metric in BUILT_IN} <= documented("docs/metrics.md")


def test_every_dependency_has_its_reason_and_none_is_stale() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    groups = {"Base": project["dependencies"], **project["optional-dependencies"]}
    sections = re.split(r"^## ", text_of("docs/dependencies.md"), flags=re.MULTILINE)
    for group, requirements in groups.items():
        (section,) = [s for s in sections if s.startswith((group, f"`[{group}]`"))]
        rows = dict(re.findall(r"^\| `([\w-]+)` \|(.+)\|$", section, re.MULTILINE))
        assert set(rows) == {re.split(r"[\[<>=;~! ]", r)[0] for r in requirements}, group
        assert all(len(reason.strip()) > 5 for cells in rows.values() for reason in cells.split("|")[-1:]), group


def test_every_pinned_version_satisfies_its_range() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    pins = dict(line.lower().split("==") for line in text_of("constraints.txt").splitlines() if "==" in line)
    for line in [
        *project["dependencies"],
        *(r for g in project["optional-dependencies"].values() for r in g),
    ]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[requirement.name.lower()]), line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(target)
    assert not broken


def test_every_page_is_reached_from_the_index() -> None:
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in LINK.findall(text_of("docs/index.md"))}
    assert set(DOCS.rglob("*.md")) - {DOCS / "index.md"} <= linked


def test_decisions_are_numbered_without_gaps_and_fit_on_a_page() -> None:
    paths = sorted(DOCS.glob("adr/*.md"))
    assert [path.name[:4] for path in paths] == [f"{n:04d}" for n in range(1, len(paths) + 1)]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}"), path.name
        assert {"Context", "Decision"} <= set(re.findall(r"^## (\w+)", text, re.MULTILINE)), path.name
        assert re.search(r"^## (Price|What it costs)", text, re.MULTILINE), f"{path.name}: what is the price?"
        assert len(text.splitlines()) <= 60, path.name


def test_every_test_that_a_guarantee_or_a_decision_names_exists() -> None:
    pages = [DOCS / "guarantees.md", *DOCS.glob("adr/*.md")]
    named = {name for page in pages for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))}
    assert len(named) > 30
    assert named <= _tests(), sorted(named - _tests())


def test_every_guarantee_names_a_test() -> None:
    promised = text_of("docs/guarantees.md").partition("## What is not guaranteed")[0]
    for paragraph in re.split(r"\n\n", promised):
        if paragraph.startswith("**"):
            assert re.search(r"`test_\w+`", paragraph), paragraph


def test_every_file_a_page_names_exists() -> None:
    roots = "murmur|models|streams|sinks|reports|interfaces|infra|tests|benchmarks"
    wrong = {
        f"{page.name}: {name}"
        for page in PAGES
        for name in re.findall(rf"`((?:{roots})/[\w./*-]*)`", page.read_text(encoding="utf-8"))
        if "NNNN" not in name and not any(ROOT.glob(name.rstrip("/")))  # NNNN: any number
    }
    assert not wrong


def test_no_page_holds_an_address_of_a_package_registry_or_a_path_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"index-url|/work/|/root/", page.read_text(encoding="utf-8")), page


def _shown(page: Path) -> list[str]:
    """Lines after the prompt in the ```console blocks of a page."""
    blocks = [body for language, body in BLOCK.findall(page.read_text(encoding="utf-8")) if language == "console"]
    return [line[2:] for body in blocks for line in body.splitlines() if line.startswith("$ ")]


def _harmless() -> list[str]:
    """Shown commands that change nothing and need no server."""
    return sorted({s for page in PAGES for s in _shown(page) if re.fullmatch(r"murmur( [\w-]+)* --(help|version)", s)})


def test_readme_shows_a_command_that_can_be_tried_without_a_server() -> None:
    assert _harmless()


@pytest.mark.parametrize("line", _harmless())
def test_a_shown_command_runs(line: str) -> None:
    arguments = line.split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "murmur", *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/wire-format.md"])
def test_a_shown_event_is_one_that_the_worker_accepts(page: str) -> None:
    shown = re.findall(r"^(?:\$ )?(echo .+?)\s*(?:\\|\|.*)$", text_of(page), re.MULTILINE)
    assert shown
    for line in shown:
        said = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=COMMAND_SECONDS_MAX).stdout
        MetricEvent.model_validate({"timestamp": 1_760_000_000_000, **json.loads(said)})  # publish --stamp adds one


@pytest.mark.integration
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_shown_program_publishes_what_it_says(page: str, broker: str) -> None:
    (program,) = [body for language, body in BLOCK.findall(text_of(page)) if language == "python"]
    create_topics(broker, ["swarm.metrics", "swarm.activities"])
    exec(compile(program.replace("127.0.0.1:9092", broker), page, "exec"), {})
    for topic in ("swarm.metrics", "swarm.activities"):
        assert read_log(broker, topic), topic


def test_every_shown_murmur_line_names_a_command_and_flags_that_exist() -> None:
    shown = [m[1] for page in PAGES for line in _shown(page) if (m := re.search(r"(?:^|\| )murmur (.+)$", line))]
    assert len(shown) > 8
    wrong = []
    for line in shown:
        name, *words = shlex.split(line)
        if name in COMMANDS:
            known = _flags(importlib.import_module(COMMANDS[name][0]).app, words)
            wrong += [f"{line}: {word}" for word in words if word.startswith("--") and word not in known]
        elif name not in {"--help", "--version"}:
            wrong.append(line)
    assert not wrong


def _flags(app: typer.Typer, words: list[str]) -> set[str]:
    """Flags of a command and of the sub-commands the words name."""
    command: Any = typer.main.get_command(app)
    found = {"--help"}
    while command is not None:
        found |= {flag for parameter in command.params for flag in [*parameter.opts, *parameter.secondary_opts]}
        commands = getattr(command, "commands", {})
        command = next((commands[w] for w in words if w in commands), None)
    return found


@cache
def _tests() -> frozenset[str]:
    return frozenset(
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@cache
def _anchors(path: Path) -> frozenset[str]:
    """The anchors GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", path.read_text("utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
