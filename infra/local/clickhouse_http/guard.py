"""Refuses what the engine would do and a client may not ask for.

In: a statement, the engine's own classification of it, the user. Out: nothing, or ClickHouseError.
Never: replaces the engine's `readonly`; it closes the holes that one leaves (measured on chdb-core 26.9:
`file()` as a scalar function, INTO OUTFILE and KILL QUERY pass `readonly = 1`).
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from infra.local.clickhouse_http.errors import (
    ACCESS_DENIED,
    NO_INFILE,
    NO_OUTFILE,
    READONLY,
    SYNTAX_ERROR,
    ClickHouseError,
)
from infra.local.clickhouse_http.tokens import Kind, Token, tokens

# Table functions that read only what the user may read anyway, or nothing at all.
_HARMLESS = frozenset(
    {
        "dictionary",
        "format",
        "generate_series",
        "generaterandom",
        "generateseries",
        "input",
        "merge",
        "mergetreeindex",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
        "viewexplain",
        "viewifpermitted",
        "zeros",
        "zeros_mt",
    }
)
# Scalar functions that reach files or other hosts (the engine lists the table functions and those of its AI family).
_REACHING = frozenset({"file", "catboostevaluate", "hascolumnintable", "reversednsquery"})
_PYTHON = "python"  # reads objects of this very process


def check(
    sql: bytes,
    *,
    query_class: str,
    statements: int,
    readonly: bool,
    reaching_functions: Set[str],
    parameters: Mapping[str, str],
) -> None:
    """Raises when this statement is not allowed over HTTP, or not to a read-only user."""
    if statements > 1:
        raise ClickHouseError(
            SYNTAX_ERROR, "Multi-statements are not allowed over HTTP: send each statement in its own request"
        )
    if readonly and query_class not in {"READ_ONLY", "UNKNOWN"}:
        raise ClickHouseError(READONLY, "Cannot execute query in readonly mode: this user may only read")
    forbidden = ((reaching_functions | _REACHING) - _HARMLESS) if readonly else frozenset({_PYTHON})
    before: Token | None = None
    window: list[Token] = []
    for token in tokens(sql):
        if before is not None:
            _check_pair(before, token, forbidden, readonly=readonly)
        window = [*window[-3:], token]
        if readonly:
            _check_alone(window, forbidden, parameters)
        before = token


def check_structure(name: str, structure: str, format_name: str) -> None:
    """The columns of an external table come as SQL: they must not leave their parentheses."""
    depth = 0
    for token in tokens(structure.encode()):
        depth += token.is_symbol(b"(") - token.is_symbol(b")")
        if token.kind is Kind.BROKEN or token.is_symbol(b";") or depth < 0:
            raise ClickHouseError(SYNTAX_ERROR, f"External table {name[:100]}: its columns are not `name Type, ...`")
    if depth or not format_name.isalnum():
        raise ClickHouseError(SYNTAX_ERROR, f"External table {name[:100]}: its columns or format are not valid")


def _check_pair(before: Token, token: Token, forbidden: Set[str], *, readonly: bool) -> None:
    if before.is_word(b"INTO") and token.is_word(b"OUTFILE"):
        raise ClickHouseError(NO_OUTFILE, "INTO OUTFILE is not allowed over HTTP: the answer is the file")
    if before.is_word(b"FROM") and token.is_word(b"INFILE"):
        raise ClickHouseError(NO_INFILE, "FROM INFILE is not allowed over HTTP: send the data in the request's body")
    if token.is_symbol(b"(") and (name := _lowered(before)) in forbidden:
        who = "a read-only user" if readonly else "a client"
        raise ClickHouseError(ACCESS_DENIED, f"Not enough privileges: {who} may not use the function {name}")


def _check_alone(window: list[Token], forbidden: Set[str], parameters: Mapping[str, str]) -> None:
    """A function may be named without a call: `APPLY(file)`, `arrayMap(file, ...)`, `{f:Identifier}`."""
    token = window[-1]
    if token.kind is Kind.NAME and b"\\" in token.text:
        raise ClickHouseError(ACCESS_DENIED, "Not enough privileges: a read-only user may not escape in quoted names")
    qualified = len(window) > 1 and window[-2].is_symbol(b".")
    name = _lowered(token)
    if name in forbidden and (name in _REACHING or name.startswith("ai")) and not qualified:
        raise ClickHouseError(
            ACCESS_DENIED,
            f"Not enough privileges: the bare name {name} is a function that reads files or hosts; "
            "a column of that name must be written table.column",
        )
    if len(window) == 4 and window[0].is_symbol(b"{") and window[2].is_symbol(b":") and token.is_word(b"IDENTIFIER"):
        value = parameters.get((window[1].name or b"").decode("utf-8", "replace"), "")
        if "\\" in value or value.strip('`" ').lower() in forbidden:
            raise ClickHouseError(ACCESS_DENIED, f"Not enough privileges: a read-only user may not name {value[:40]!r}")


def _lowered(token: Token) -> str:
    return (token.name or b"").decode("utf-8", "replace").lower()
