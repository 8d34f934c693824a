"""The bounded buffer under real threads: bound kept, every item accounted for."""

from __future__ import annotations

import threading

from murmur.buffer import Buffer

THREADS, ITEMS = 8, 5_000


def test_every_item_of_racing_threads_is_taken_waiting_or_counted_as_dropped() -> None:
    buffer: Buffer[int] = Buffer(100)
    finished = threading.Event()
    taken: list[int] = []

    def fill(base: int) -> None:
        for i in range(ITEMS):
            buffer.append(base + i)
            if len(buffer) > buffer.bound:
                buffer.trim()

    def drain() -> None:
        while not finished.is_set():
            taken.extend(buffer.take(7))

    drainer = threading.Thread(target=drain)
    fillers = [threading.Thread(target=fill, args=(n * ITEMS,)) for n in range(THREADS)]
    for thread in (drainer, *fillers):
        thread.start()
    for thread in fillers:
        thread.join()
    finished.set()
    drainer.join()
    appended, waiting, dropped, refused = buffer.counts()
    assert appended == THREADS * ITEMS == len(taken) + waiting + dropped
    assert waiting <= 100
    assert refused == 0
    assert len(set(taken)) == len(taken)


def test_the_oldest_are_dropped_and_the_newest_stay() -> None:
    buffer: Buffer[int] = Buffer(3)
    for i in range(10):
        buffer.append(i)
    buffer.trim()
    assert buffer.take(10) == [7, 8, 9]
    assert buffer.counts() == (10, 0, 7, 0)


def test_a_refused_item_is_counted_apart() -> None:
    buffer: Buffer[int] = Buffer(3)
    buffer.append(1)
    buffer.append(2)
    buffer.refuse_newest()
    assert buffer.take(10) == [1]
    assert buffer.counts() == (2, 0, 0, 1)
