"""Any sequence of appends, reads, acknowledgements and crashes: nothing lost, nothing under two stamps."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from murmur.record import Record, Stamp
from murmur.spool import Spool

PARTITIONS = 3
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("read"), st.integers(1, 6)),
        st.tuples(st.just("acknowledge"), st.integers(0, 9)),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(steps=steps, segment=st.sampled_from([64, 200, 1 << 20]))
def test_every_record_is_delivered_in_order_and_always_under_its_one_stamp(
    steps: list[tuple[str, int]], segment: int
) -> None:
    with tempfile.TemporaryDirectory() as root:
        stamps: dict[int, Stamp] = {}  # number -> the stamp it was first sent under
        acknowledged: set[int] = set()
        flying: list[Record] = []
        appended = 0
        spool = _open(Path(root), segment)

        def read(count: int) -> list[int]:
            records = spool.read(count)
            for record in records:
                number = int(record.value)
                assert record.identity is not None
                record.stamp = record.stamp or record.identity.stamp(record.topic, number % PARTITIONS)
                assert stamps.setdefault(number, record.stamp) == record.stamp
            flying.extend(records)
            return [int(record.value) for record in records]

        for step, argument in [*steps, ("crash", 0)]:
            if step == "append":
                for _ in range(argument):
                    spool.append(Record("t", b"k", str(appended).encode(), b"application/json", 1))
                    appended += 1
            elif step == "read":
                numbers = read(argument)
                assert numbers == sorted(numbers)
            elif step == "acknowledge" and flying:
                record = flying.pop(argument % len(flying))
                assert record.on_done is not None
                record.on_done(record)
                acknowledged.add(int(record.value))
            elif step == "crash":
                spool.abandon()
                flying.clear()
                spool = _open(Path(root), segment)
        left = read(10_000)
        assert left == sorted(left)
        assert set(left) | acknowledged == set(range(appended))
        assert len(set(stamps.values())) == len(stamps)
        spool.abandon()


def _open(root: Path, segment: int) -> Spool:
    spool = Spool(root, bytes_max=1 << 30)
    spool.segment_bytes = segment
    spool.adopt()
    return spool
