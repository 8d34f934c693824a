"""Cuts a migration file into its statements and judges how dangerous they are.

In: SQL text. Out: statements; reasons why one must not run unasked. Never: talks to a server.

The files are plain SQL with `;` after each statement, so that `clickhouse client --queries-file` runs them as well.
"""

from __future__ import annotations

import re
from typing import Final

# One token that may hide a semicolon: comments, strings ('' and \\' escape), quoted names.
_TOKEN: Final = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*` | ; """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT: Final = re.compile(r"\A(?:--|/\*)")
_OPENER: Final = re.compile(r"/\*|['\"`]")

# What may lose data or rewrites whole columns; see docs/data-model.md, "Changing the schema".
_DANGEROUS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), reason)
    for pattern, reason in (
        (r"^\s*DROP\s+(?!VIEW\b)", "drops a table and the rows in it"),
        (r"^\s*(TRUNCATE|DELETE)\b", "deletes rows"),
        (r"^\s*(RENAME|EXCHANGE|DETACH|CREATE\s+OR\s+REPLACE\s+TABLE)\b", "replaces or hides a table"),
        (
            r"^\s*ALTER\s.*\b(DROP|CLEAR|RENAME)\s+(COLUMN|PARTITION|PART)\b",
            "removes or renames columns or partitions",
        ),
        (r"^\s*ALTER\s.*\b(DELETE|UPDATE)\b", "rewrites rows in the background"),
        (r"^\s*ALTER\s.*\bMODIFY\s+(COLUMN|ORDER\s+BY|TTL)\b", "rewrites stored columns or expires rows"),
        (r"^\s*OPTIMIZE\b", "rewrites whole partitions"),
    )
)
_IDEMPOTENT: Final = re.compile(
    r"^\s*(CREATE\s+(TABLE|DATABASE|MATERIALIZED\s+VIEW|VIEW)\s+IF\s+NOT\s+EXISTS|CREATE\s+OR\s+REPLACE\s+VIEW"
    # These tables keep one row a key, the largest, the newest or any: what is inserted twice is there once.
    r"|INSERT\s+INTO\s+(rollup_marks|measured_calls|folds)\s.*\sSELECT"
    r"|DROP\s+(TABLE|VIEW)\s+IF\s+EXISTS|ALTER\s+TABLE\s+\S+\s+(ADD|DROP|COMMENT)\s+\w+\s+IF\s+(NOT\s+)?EXISTS)\b",
    re.IGNORECASE | re.DOTALL,
)


def split(sql: str) -> list[str]:
    """The statements of a file, in order, without comments around them and without the closing semicolon.

    Raises ValueError when a string, a quoted name or a comment is not closed.
    """
    statements, current, position = [], [], 0
    for token in _TOKEN.finditer(sql):
        current.append(_plain(sql[position : token.start()]))
        position = token.end()
        if token[0] == ";":
            statements.append("".join(current))
            current = []
        elif not _COMMENT.match(token[0]):
            current.append(token[0])
    statements.append("".join(current) + _plain(sql[position:]))
    return [text for text in (re.sub(r"[ \t]+\n", "\n", s).strip() for s in statements) if text]


def dangers(statement: str) -> list[str]:
    """Why this statement must not run without the operator's word; empty when it is harmless."""
    bare = _TOKEN.sub(lambda token: token[0] if token[0] == ";" else " ", statement)
    return [reason for pattern, reason in _DANGEROUS if pattern.search(bare)]


def is_repeatable(statement: str) -> bool:
    """True when running the statement twice is the same as once: a half-applied file can simply run again."""
    return _IDEMPOTENT.match(statement) is not None


def _plain(text: str) -> str:
    opener = _OPENER.search(text)
    if opener is not None:
        raise ValueError(f"{opener[0]} is not closed near {text[opener.start() : opener.start() + 40]!r}")
    return text
