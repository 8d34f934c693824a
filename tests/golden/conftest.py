"""`--update-golden` rewrites the expected files; the difference is then reviewed like code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EXPECTED = Path(__file__).parent / "expected"
FLAG = "--update-golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(FLAG, action="store_true", default=False, help="Write the expected files of golden tests anew.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(name, text) compares with expected/<name> byte for byte, or writes it with --update-golden."""

    def check(name: str, text: str) -> None:
        path = EXPECTED / name
        # The option is only known when this folder was given on the command line.
        if request.config.getoption(FLAG, default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
            return
        assert path.exists(), f"{path.name} is missing: run pytest tests/golden {FLAG}, then review the file"
        expected = path.read_bytes().decode()
        if text != expected:
            pairs = zip(text.splitlines(), expected.splitlines(), strict=False)
            for number, (got, want) in enumerate(pairs, start=1):
                assert got == want, f"{name}:{number}"
            pytest.fail(
                f"{name}: equal as far as both go, or but for the line ends; {len(text)} and {len(expected)} long"
            )

    return check
