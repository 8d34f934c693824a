"""Which channels an installation has, and from which severity on each is told.

In: settings. Out: channels and routes. Never: opens a connection.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.alerts.severity import rank
from models.settings import Settings
from sinks.channels.base import Channel
from sinks.channels.console import ConsoleChannel


@dataclass(frozen=True, slots=True)
class Route:
    """A channel and the severity it is told from."""

    channel: Channel
    severity_min: str

    def takes(self, severity: str) -> bool:
        """Whether an alert of this severity is told here."""
        return rank(severity) >= rank(self.severity_min)


def routes(settings: Settings) -> list[Route]:
    """The channels of `alert_channels`, in its order."""
    return [Route(_channel(settings, name), severity) for name, severity in settings.alert_routes]


def _channel(settings: Settings, name: str) -> Channel:
    # Imported where needed: the console needs neither an HTTP client nor SMTP.
    if name == "console":
        return ConsoleChannel()
    if name == "email":
        from sinks.channels.email import EmailChannel

        return EmailChannel(settings)
    from sinks.channels.http import SlackChannel, TeamsChannel, WebhookChannel

    if name == "webhook":
        return WebhookChannel(settings.alert_webhook_url, secret=settings.alert_webhook_secret)
    if name == "slack":
        return SlackChannel(settings.alert_slack_url)
    return TeamsChannel(settings.alert_teams_url)
