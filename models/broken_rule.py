"""What pydantic says of a broken rule, in the words of the rule alone.

In: its message. Out: the message without the name it gives to every rule that a validator of ours raised.
Never: the value that broke the rule.
"""

from __future__ import annotations

from typing import Final

_CHECKER: Final = "Value error, "


def rule_of(message: str) -> str:
    """`'pie' is not one of ...` for `Value error, 'pie' is not one of ...`; any other message as it is."""
    return message.removeprefix(_CHECKER)
