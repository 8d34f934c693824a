"""ClickHouse's HTTP interface over an in-process chDB engine.

In: HTTP requests as any ClickHouse client sends them. Out: what a ClickHouse server would answer.
Never: listens beyond 127.0.0.1 unless told to, takes a password from the command line.
Run: `python -m infra.local.clickhouse_http --port 8123 --data DIR --users-file FILE`.
"""
