"""The form of result rows on Kafka."""

from __future__ import annotations

import json
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.rows import TABLES
from models.windows.sketch import quantile
from sinks.kafka.records import DEAD_LETTER_BYTES_MAX, PERCENTILES, identity, records
from tests.support.result_rows import T0_MS, row, table

texts = st.text(alphabet="ab|\\", max_size=6)


@given(st.lists(texts, min_size=1, max_size=4))
def test_the_parts_of_an_identity_can_be_read_from_its_key_so_that_no_two_share_one(parts: list[str]) -> None:
    escaped = re.findall(r"((?:[^|\\]|\\.)*)(?:\||$)", identity(*parts).decode(), re.DOTALL)
    assert [re.sub(r"\\(.)", r"\1", part) for part in escaped[: len(parts)]] == parts


def test_a_window_is_one_json_object_with_percentiles_for_its_sketch_and_integer_times() -> None:
    (record,) = records("windows", table("windows", [{"ver": (1 << 48) + 5}]))
    value = json.loads(record.value)
    names = [name for name in TABLES["windows"].names if not name.startswith("sketch")]
    assert list(value) == [*names[:-2], "p50", "p90", "p95", "p99", "closed", "ver"]
    assert (value["window_start"], value["sum"], value["unit"]) == (T0_MS, 1.0, "ms")
    assert record.key == f"s1|a1|task_duration|10000|{T0_MS}|log-a|swarm.metrics|0|0|1".encode()
    assert dict(record.headers) == {"content-type": b"application/json", "ver": str((1 << 48) + 5).encode()}


def test_the_percentiles_of_a_window_are_those_of_its_sketch_within_its_range() -> None:
    keys = [-50_003, 0, 50_000, 50_200]
    counts = [1024, 2048, 1024 * 90, 1024 * 7]
    rows = [row("windows", sketch_keys=keys, sketch_counts=counts, min=-1.02, max=22.0), row("windows")]
    first, second = (json.loads(record.value) for record in records("windows", table("windows", rows)))
    for name, q in PERCENTILES.items():
        assert first[name] == quantile(np.array(keys), np.array(counts), q, low=-1.02, high=22.0)
        assert second[name] == second["min"] == second["max"]
    assert first["p99"] == 22.0


def test_the_key_of_a_row_can_be_made_by_a_reader() -> None:
    (record,) = records("anomalies", table("anomalies", [{"anomaly_id": "x|y"}]))
    assert record.key == identity("x|y") == b"x\\|y"


def test_a_dead_letter_is_the_original_bytes_with_what_is_known_in_the_headers() -> None:
    rows = [row("dead_letters", payload=b"\xff\x00", payload_bytes=70_000, content_type="text/plain", offset=7)]
    (record,) = records("dead_letters", table("dead_letters", rows))
    assert record.value == b"\xff\x00"
    assert dict(record.headers) == {
        "topic": b"swarm.metrics",
        "partition": b"0",
        "offset": b"7",
        "idx": b"-1",
        "log_id": b"log-a",
        "error_code": b"E_JSON",
        "reason": b"not JSON at byte 3",
        "payload_bytes": b"70000",
        "content-type": b"text/plain",
        "appended_at": str(T0_MS).encode(),
    }


def test_a_dead_letter_without_bytes_is_not_a_tombstone() -> None:
    (record,) = records("dead_letters", table("dead_letters", [{"payload": b""}]))
    assert record.value == b""


def test_a_dead_letter_always_fits_into_a_record() -> None:
    (record,) = records("dead_letters", table("dead_letters", [{"payload": b"x" * 2_000_000}]))
    assert len(record.value) == DEAD_LETTER_BYTES_MAX


def test_a_slice_of_a_table_gives_the_records_of_the_slice() -> None:
    rows = [
        row(
            "windows",
            partition=n,
            max=9.0,
            sketch_keys=[50_000, 50_050][: n % 2 + 1],
            sketch_counts=[1, 2][: n % 2 + 1],
        )
        for n in range(9)
    ]
    whole = table("windows", rows)
    assert list(records("windows", whole.slice(4, 3))) == list(records("windows", whole))[4:7]


def test_batches_of_several_chunks_are_one_sequence() -> None:
    import pyarrow as pa

    parts = [table("windows", [{"partition": n, "agent_id": f"a{n}"}]) for n in range(3)]
    joined = pa.concat_tables(parts)
    assert [r.key for r in records("windows", joined)] == [r.key for p in parts for r in records("windows", p)]
