"""Messages by e-mail, over SMTP with STARTTLS or TLS.

In: messages, a server, addresses. Out: one mail a message. Never: blocks the event loop, shows the password, sends a
password over a connection that is not encrypted.

The standard library's client in a thread: a few mails an hour need no connection that stays open.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from models.alerts.message import Message
from models.settings import Settings
from sinks.channels.base import ChannelError

TIMEOUT_S: Final = 15.0  # greylisting servers pause for some seconds before they answer


class EmailChannel:
    """The `Channel` over SMTP."""

    name = "email"

    def __init__(self, settings: Settings, *, timeout_s: float = TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._where = f"email: {settings.alert_smtp_host}:{settings.alert_smtp_port}"

    async def send(self, message: Message) -> None:
        """Hands the mail to the server, which has then accepted it for every recipient."""
        await asyncio.to_thread(self._send, mail_of(message, self._settings))

    async def close(self) -> None:
        """Every mail has a connection of its own."""

    def _send(self, mail: EmailMessage) -> None:
        settings = self._settings
        host, port = settings.alert_smtp_host, settings.alert_smtp_port
        try:
            if settings.alert_smtp_security == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    host, port, timeout=self._timeout_s, context=ssl.create_default_context()
                )
            else:
                server = smtplib.SMTP(host, port, timeout=self._timeout_s)
            with server:
                if settings.alert_smtp_security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if settings.alert_smtp_user:
                    server.login(settings.alert_smtp_user, settings.alert_smtp_password.get_secret_value())
                refused = server.send_message(mail)
        except smtplib.SMTPAuthenticationError:
            raise ChannelError(
                f"{self._where} refuses the user or password: check MURMUR_ALERT_SMTP_USER and _PASSWORD",
                permanent=True,
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise self._refused("the recipients", min(codes)) from None
        except smtplib.SMTPResponseException as error:
            raise self._refused("the mail", error.smtp_code) from None
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelError(f"{self._where}: {type(error).__name__}: no delivery") from None
        if refused:
            raise self._refused(f"{len(refused)} of the recipients", min(code for code, _ in refused.values()))

    def _refused(self, what: str, code: int) -> ChannelError:
        """RFC 5321, 4.2.1: 5yz is final, 4yz is not."""
        return ChannelError(f"{self._where} refuses {what} with SMTP code {code}", permanent=code >= 500)


def mail_of(message: Message, settings: Settings) -> EmailMessage:
    """The mail of a message. Its Message-ID is made of the key, so that a second delivery is seen as the same mail."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(message.title.split())
    mail["From"] = settings.alert_email_from
    mail["To"] = settings.alert_email_to
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at_ms / 1000, UTC))
    mail["Message-ID"] = f"<{message.key}@murmuration.invalid>"
    mail["X-Murmur-Key"] = message.key
    mail.set_content("\n".join([*message.lines, *(["", message.action] if message.action else [])]) + "\n")
    for file in message.attachments:
        kind, _, subtype = file.media_type.partition("/")
        mail.add_attachment(file.content, maintype=kind, subtype=subtype, filename=file.name)
    return mail
