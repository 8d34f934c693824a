"""Where messages about alerts go: console, webhook, Slack, Teams, e-mail."""
