"""`python -m infra.local.clickhouse_http`. In: command line. Out: exit code. Never: anything else."""

from __future__ import annotations

import sys

from infra.local.clickhouse_http.command import main

sys.exit(main())
