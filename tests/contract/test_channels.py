"""One suite for every channel, against real servers: what arrives, what is refused, what never shows."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from models.alerts.message import Attachment, Message
from models.alerts.outbox import Outbox
from models.clock import ManualClock, SystemClock
from models.settings import Settings
from sinks.channels.base import Channel, ChannelError
from sinks.channels.console import ConsoleChannel
from sinks.channels.delivery import ChannelDelivery
from sinks.channels.email import EmailChannel
from sinks.channels.http import HttpChannel, SlackChannel, TeamsChannel, WebhookChannel
from sinks.channels.registry import routes
from tests.support.brokers import free_port
from tests.support.receivers import http_receiver, smtp_receiver

MESSAGE = Message(
    key="0123456789abcdef",
    rule="error-rate",
    event="firing",
    severity="critical",
    title="[FIRING] critical: error-rate (swarm <a> & b): 1 alert",
    lines=("swarm=<a> & b: mean of error_rate over 5m is 0.2 (über 0.1)", "second\x1b[31m\r\nBcc: x@example.org"),
    action="Look at the error types.",
    at_ms=1_772_366_400_000,
    alert_ids=("aa", "bb"),
    group={"swarm": "<a> & b"},
)


class Harness(Protocol):
    """A channel, what its receiver has accepted (as text), and how the receiver can misbehave."""

    channel: Channel

    def arrived(self) -> list[str]: ...
    def refuse(self, *, permanent: bool) -> None: ...
    def away(self) -> Channel: ...


class ConsoleHarness:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.channel = ConsoleChannel(self.stream)

    def arrived(self) -> list[str]:
        text = self.stream.getvalue()
        return [text] if text else []

    def refuse(self, *, permanent: bool) -> None:
        pytest.skip("a terminal takes everything")

    def away(self) -> Channel:
        stream = io.StringIO()
        stream.close()
        return ConsoleChannel(stream)


class HttpHarness:
    def __init__(self, kind: Callable[..., HttpChannel], receiver: Any) -> None:
        self.kind, self.receiver = kind, receiver
        self.channel = kind(SecretStr(receiver.url), timeout_s=1.0)

    def arrived(self) -> list[str]:
        return [json.dumps(body, ensure_ascii=False) for _, _, body in self.receiver.requests]

    def refuse(self, *, permanent: bool) -> None:
        self.receiver.refuse(404 if permanent else 503)

    def away(self) -> Channel:
        return self.kind(SecretStr(f"http://127.0.0.1:{free_port()}/s3cret-path"), timeout_s=1.0)


class MailHarness:
    def __init__(self, receiver: Any) -> None:
        self.receiver = receiver
        self.channel = EmailChannel(self.settings(receiver.port))

    @staticmethod
    def settings(port: int) -> Settings:
        return Settings(
            alert_smtp_host="127.0.0.1",
            alert_smtp_port=port,
            alert_smtp_security="none",
            alert_email_from="murmur@example.org",
            alert_email_to="ann@example.org, bob@example.org",
        )

    def arrived(self) -> list[str]:
        return [f"{mail['subject']}\n{mail.get_content()}" for mail in self.receiver.inbox.mails]

    def refuse(self, *, permanent: bool) -> None:
        self.receiver.inbox.answers.append("554 no" if permanent else "451 later")

    def away(self) -> Channel:
        return EmailChannel(self.settings(free_port()), timeout_s=1.0)


@pytest.fixture(params=["console", "webhook", "slack", "teams", "email"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "console":
        yield ConsoleHarness()
    elif request.param == "email":
        with smtp_receiver() as receiver:
            yield MailHarness(receiver)
    else:
        kind = {"webhook": WebhookChannel, "slack": SlackChannel, "teams": TeamsChannel}[request.param]
        with http_receiver() as receiver:
            yield HttpHarness(kind, receiver)


async def test_an_accepted_message_has_arrived_with_what_is_wrong_and_what_to_do(harness: Harness) -> None:
    await harness.channel.send(MESSAGE)
    (text,) = harness.arrived()
    for part in ("critical: error-rate", "mean of error_rate over 5m is 0.2 (über 0.1)", "Look at the error types."):
        assert part in text
    await harness.channel.close()


async def test_a_closed_channel_can_send_again(harness: Harness) -> None:
    await harness.channel.close()
    await harness.channel.send(MESSAGE)
    assert harness.arrived()
    await harness.channel.close()


@pytest.mark.parametrize("permanent", [True, False])
async def test_a_refusal_says_whether_the_same_message_may_ever_be_taken(harness: Harness, permanent: bool) -> None:
    harness.refuse(permanent=permanent)
    with pytest.raises(ChannelError) as caught:
        await harness.channel.send(MESSAGE)
    assert caught.value.permanent is permanent
    assert not harness.arrived()
    await harness.channel.send(MESSAGE)
    assert harness.arrived()
    await harness.channel.close()


async def test_a_receiver_that_is_away_gives_one_line_without_its_secret_address(harness: Harness) -> None:
    channel = harness.away()
    with pytest.raises(ChannelError) as caught:
        await channel.send(MESSAGE)
    said = str(caught.value)
    assert said.startswith(channel.name)
    assert "\n" not in said
    assert "s3cret" not in said
    assert "s3cret" not in repr(channel.__dict__)
    assert not caught.value.permanent
    await channel.close()


async def test_a_hanging_receiver_is_left_after_the_timeout() -> None:
    with http_receiver() as receiver:
        receiver.refuse(0)
        channel = WebhookChannel(SecretStr(receiver.url), timeout_s=0.3)
        with pytest.raises(ChannelError, match="no answer"):
            await channel.send(MESSAGE)
        await channel.close()


async def test_a_webhook_is_signed_and_carries_its_idempotency_key() -> None:
    with http_receiver() as receiver:
        channel = WebhookChannel(SecretStr(receiver.url), secret=SecretStr("k"))
        await channel.send(MESSAGE)
        await channel.close()
        ((path, headers, body),) = receiver.requests
        expected = hmac.new(b"k", receiver.bodies[0], hashlib.sha256).hexdigest()
    assert path == "/hook/s3cret-path"
    assert headers["idempotency-key"] == body["key"] == MESSAGE.key
    assert headers["x-murmur-signature"] == f"sha256={expected}"
    assert body["alert_ids"] == ["aa", "bb"]


async def test_slack_text_cannot_mention_or_link_by_its_data() -> None:
    with http_receiver() as receiver:
        channel = SlackChannel(SecretStr(receiver.url))
        await channel.send(MESSAGE)
        await channel.close()
        assert "&lt;a&gt; &amp; b" in receiver.requests[0][2]["text"]


async def test_data_cannot_add_a_header_to_a_mail_or_control_a_terminal() -> None:
    with smtp_receiver() as receiver:
        settings = MailHarness.settings(receiver.port)
        title = "[FIRING] x\r\nBcc: evil@example.org"
        await EmailChannel(settings).send(MESSAGE.__class__(**{**_fields(MESSAGE), "title": title}))
        (mail,) = receiver.inbox.mails
    assert mail["bcc"] is None
    assert mail["message-id"] == f"<{MESSAGE.key}@murmuration.invalid>"
    console = ConsoleHarness()
    await console.channel.send(MESSAGE)
    assert "\x1b" not in console.arrived()[0]


async def test_retries_go_on_until_the_receiver_is_back_and_the_order_stays() -> None:
    with http_receiver() as receiver:
        receiver.refuse(503, 503)
        outbox = Outbox()
        for number in range(3):
            outbox.queue(MESSAGE.__class__(**{**_fields(MESSAGE), "key": str(number)}), "webhook", 0)
        outbox.saved = outbox.last
        channel = WebhookChannel(SecretStr(receiver.url))
        await _deliver(channel, outbox, ManualClock(0), until=lambda: not outbox.waiting)
        assert [body["key"] for _, _, body in receiver.requests] == ["0", "1", "2"]
        assert (outbox.delivered, outbox.undelivered) == ({"webhook": 3}, {})
        assert [o.attempts for o in outbox.outcomes] == [3, 1, 1]


async def test_a_dead_channel_gives_up_after_its_budget_and_the_loss_is_counted_and_visible() -> None:
    outbox = Outbox()
    outbox.queue(MESSAGE, "webhook", SystemClock().now_ms())
    outbox.saved = outbox.last
    channel = WebhookChannel(SecretStr(f"http://127.0.0.1:{free_port()}/x"))
    await _deliver(channel, outbox, SystemClock(), until=lambda: not outbox.waiting, budget_ms=1_000)
    assert outbox.undelivered == {"webhook": 1}
    (outcome,) = outbox.outcomes
    assert (outcome.status, outcome.alert_ids) == ("undelivered", ("aa", "bb"))
    assert "no answer" in outcome.problem


def test_routes_take_alerts_from_their_severity_on() -> None:
    settings = Settings(alert_channels="console,slack:high", alert_slack_url=SecretStr("https://hooks.example.org/x"))
    found = {route.channel.name: route for route in routes(settings)}
    assert found["console"].takes("info")
    assert not found["slack"].takes("warning")
    assert found["slack"].takes("critical")


async def _deliver(
    channel: Channel, outbox: Outbox, clock: Any, *, until: Callable[[], bool], budget_ms: int = 60_000
) -> None:
    done = asyncio.Event()
    delivery = ChannelDelivery(
        channel, lambda: outbox, clock, budget_ms=budget_ms, changed=lambda: done.set() if until() else None
    )
    task = asyncio.ensure_future(delivery.run())
    await asyncio.wait_for(done.wait(), 30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await channel.close()


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


FILES = (Attachment("a.html", "text/html", "<p>grün</p>".encode()), Attachment("a.pdf", "application/pdf", b"%PDF\xff"))


async def test_files_of_a_message_are_attached_to_a_mail_and_posted_as_base64() -> None:
    message = Message(**{**_fields(MESSAGE), "attachments": FILES})
    with smtp_receiver() as receiver:
        await EmailChannel(MailHarness.settings(receiver.port)).send(message)
        (mail,) = receiver.inbox.mails
    got = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    assert got == {file.name: file.content for file in FILES}
    with http_receiver() as web:
        channel = WebhookChannel(SecretStr(web.url))
        await channel.send(message)
        await channel.close()
        posted = web.requests[0][2]["attachments"]
    assert [base64.b64decode(file["content"]) for file in posted] == [file.content for file in FILES]
    assert [file["media_type"] for file in posted] == ["text/html", "application/pdf"]


async def test_a_chat_gets_the_words_of_a_message_without_its_files() -> None:
    with http_receiver() as web:
        channel = SlackChannel(SecretStr(web.url))
        await channel.send(Message(**{**_fields(MESSAGE), "attachments": FILES}))
        await channel.close()
        assert set(web.requests[0][2]) == {"text"}
