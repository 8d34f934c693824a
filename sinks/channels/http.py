"""Channels over HTTP: a webhook of one's own, Slack and Teams incoming webhooks.

In: messages, an address that is itself a secret. Out: one POST a message.
Never: shows the address (whoever has it can post), follows a redirect with it, waits longer than TIMEOUT_S.

Bodies: webhook: `models.alerts.message.Message` as JSON, signed with HMAC-SHA256 where a secret is set; Slack: `text`
(https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks); Teams: a message with one Adaptive Card
(https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

import aiohttp
import msgspec
from pydantic import SecretStr

from models.alerts.message import Message, utc
from sinks.channels.base import ChannelError

TIMEOUT_S: Final = 10.0  # receivers answer within a second; a hanging one must not hold the next attempt
RETRY_AFTER_S_MAX: Final = 300.0  # a receiver may ask for a pause, but not for a night
_RETRYABLE: Final = frozenset({408, 425, 429})  # and all 5xx: RFC 9110, RFC 6585, RFC 8470
_SEVERITY_COLOURS: Final = {"critical": "attention", "high": "attention", "warning": "warning", "medium": "warning"}


class HttpChannel:
    """The `Channel` over HTTP POST; `WebhookChannel` and the others say what stands in the body."""

    name = ""

    def __init__(self, url: SecretStr, *, secret: SecretStr | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    def body(self, message: Message) -> Any:
        """What is posted, before it becomes JSON."""
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        """Posts the message; any 2xx means that it was accepted."""
        content = msgspec.json.encode(self.body(message))
        headers = {"content-type": "application/json", "idempotency-key": message.key}
        if self._secret is not None and self._secret.get_secret_value():
            key = self._secret.get_secret_value().encode()
            headers["x-murmur-signature"] = "sha256=" + hmac.new(key, content, hashlib.sha256).hexdigest()
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        url = self._url.get_secret_value()
        try:
            async with self._session.post(url, data=content, headers=headers, allow_redirects=False) as reply:
                if 200 <= reply.status < 300:
                    return
                raise self._refused(reply.status, reply.headers.get("retry-after", ""))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The error's own text may hold the address.
            raise ChannelError(f"{self.name}: no answer: {type(error).__name__}") from None

    async def close(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _refused(self, status: int, retry_after: str) -> ChannelError:
        permanent = status < 500 and status not in _RETRYABLE
        hint = ": check its address and what it accepts" if permanent else ""
        wait_s = min(float(retry_after), RETRY_AFTER_S_MAX) if retry_after.isdecimal() else 1.0
        return ChannelError(f"{self.name}: answered HTTP {status}{hint}", permanent=permanent, retry_after_s=wait_s)


class WebhookChannel(HttpChannel):
    """Any HTTP receiver: the message itself as JSON."""

    name = "webhook"

    def body(self, message: Message) -> Any:
        return message


class SlackChannel(HttpChannel):
    """A Slack incoming webhook."""

    name = "slack"

    def body(self, message: Message) -> Any:
        lines = [f"*{_slack(message.title)}*", *(f"• {_slack(line)}" for line in message.lines)]
        if message.action:
            lines.append(f"_{_slack(message.action)}_")
        return {"text": "\n".join(lines)}


class TeamsChannel(HttpChannel):
    """A Teams workflow that posts to a chat or channel when it receives a webhook request."""

    name = "teams"

    def body(self, message: Message) -> Any:
        colour = _SEVERITY_COLOURS.get(message.severity, "default")
        colour = "good" if message.event == "resolved" else colour
        blocks = [
            {"type": "TextBlock", "text": message.title, "weight": "bolder", "wrap": True, "color": colour},
            *({"type": "TextBlock", "text": line, "wrap": True} for line in message.lines),
            *([{"type": "TextBlock", "text": message.action, "wrap": True}] if message.action else []),
            {"type": "TextBlock", "text": utc(message.at_ms), "isSubtle": True},
        ]
        card = {"type": "AdaptiveCard", "version": "1.4", "body": blocks}
        content_type = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _slack(text: str) -> str:
    """The three characters Slack gives a meaning to."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
