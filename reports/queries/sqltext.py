"""The SQL files: loading them, and writing a query's parameters into its text for a reader to run.

In: a file's name, a mapping of parameters. Out: SQL text.
Never: an identifier built from a user's string. Values are bound by the server; the written-in form is for
reading and repeating only, and a test runs both and compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

Parameter = int | str | Sequence[str]

_PLACEHOLDER: Final = re.compile(r"\{(?P<name>[a-z_][a-z0-9_]*):(?P<type>[A-Za-z0-9()]+)\}")


@cache
def load(name: str) -> str:
    """The text of queries/sql/<name>.sql, without its trailing semicolon."""
    return files("reports.queries").joinpath("sql", f"{name}.sql").read_text("utf-8").strip().rstrip(";")


def written_in(sql: str, parameters: Mapping[str, Parameter]) -> str:
    """The query with `{name:Type}` replaced by quoted literals."""

    def literal(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in parameters:
            raise KeyError(f"the query has a parameter {name!r} that was not given")
        return _literal(parameters[name])

    return _PLACEHOLDER.sub(literal, sql)


def _literal(value: Parameter) -> str:
    if isinstance(value, bool):
        raise TypeError("a query takes numbers and strings, not booleans")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
        return f"'{escaped}'"
    return "[" + ", ".join(_literal(item) for item in value) + "]"
