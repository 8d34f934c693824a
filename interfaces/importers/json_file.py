"""Reads one JSON document that somebody else wrote, NaN and all.

In: a file. Out: the value, or None with an issue. Never: raises for bad content; reads more than FILE_BYTES_MAX.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interfaces.importers.issues import Issues

FILE_BYTES_MAX = 512 << 20  # claude-flow keeps 24 h of samples and 1,000 tasks: under 2 MB; this is no metrics file


def read_json(path: Path, issues: Issues) -> Any:
    """The decoded document. Bare NaN and Infinity, which JavaScript's own writers never produce, become strings."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            issues.add(str(path), 0, f"larger than {FILE_BYTES_MAX >> 20} MiB", kind="unreadable file")
            return None
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, parse_constant=str)
    except OSError as error:
        issues.add(str(path), 0, f"cannot be read: {error.strerror}", kind="unreadable file")
    except UnicodeDecodeError as error:
        issues.add(str(path), 0, f"not UTF-8 at byte {error.start}", kind="not JSON")
    except json.JSONDecodeError as error:
        issues.add(str(path), error.lineno, f"not JSON: {error.msg}", kind="not JSON")
    except (RecursionError, ValueError) as error:
        issues.add(str(path), 0, f"not JSON: {error}", kind="not JSON")
    return None
