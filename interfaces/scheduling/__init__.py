"""Scheduled reports: made when due, told over the alert channels, noted in ClickHouse."""
