"""What an importer says when there is nothing where the user pointed.

In: nothing. Out: one error class. Never: I/O.
"""

from __future__ import annotations


class NothingToImportError(Exception):
    """No file where the user pointed; the message says what to do."""
