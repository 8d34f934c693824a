"""The identities that make an import repeatable: event ids from the source's own ids, digests of the content.

In: the parts of an id, an event. Out: strings that are equal whenever the input is. Never: a clock, randomness.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

ID_LENGTH_MAX = 256  # the event model's own bound (models.events.ID_LENGTH_MAX)
DIGEST_HEX = 24  # 96 bits: no collision among any number of events a machine can hold

_encoder = msgspec.json.Encoder(order="deterministic")


def event_id(*parts: str) -> str:
    """A readable id `a:b:c`; ids that would be too long keep their head and end with a digest of the whole."""
    text = ":".join(parts).replace("\x00", "")
    if len(text) <= ID_LENGTH_MAX:
        return text
    return f"{text[: ID_LENGTH_MAX - DIGEST_HEX - 1]}~{text_digest(text)}"


def text_digest(text: str) -> str:
    """The first digits of the text's SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_HEX]


def value_digest(value: Any) -> str:
    """Digest of a JSON value; the order of an object's keys does not matter."""
    try:
        encoded = _encoder.encode(value)
    except UnicodeEncodeError:  # half a character, which JavaScript writes and UTF-8 has no bytes for
        encoded = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(encoded).hexdigest()[:DIGEST_HEX]


class ContentIds:
    """Ids for rows that have none of their own: equal content gets an equal id, the n-th repeat an id of its own.

    A file that was renamed, copied or has grown gives the same ids for the same rows. Costs about 100 bytes a row.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: dict[int, int] = {}

    def of(self, *content: Any) -> str:
        """The id of a row with this content; asked again, that of its next repeat."""
        digest = value_digest(content)
        short = int(digest[:16], 16)
        repeat = self._seen.get(short, 0)
        self._seen[short] = repeat + 1
        return f"{self._prefix}:{digest}" if repeat == 0 else f"{self._prefix}:{digest}:{repeat}"
