"""The publisher for ordinary, threaded code.

In: emit() and activity() from any thread. Out: records on Kafka, sent by one daemon thread.
Never: blocks or raises for a transport failure; starts its thread before the first event.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Unpack

from murmur.delivery_thread import DeliveryThread, import_client
from murmur.emitting import Emitter
from murmur.options import Options, PublisherOptions
from murmur.process_hooks import watch

if TYPE_CHECKING:
    from murmur.stats import Stats


class Publisher(Emitter):
    """Publishes a swarm's telemetry: `Publisher("localhost:9092", swarm_id="research", agent_id="writer-1")`.

    Every option stands in docs/client.md. The constructor imports the Kafka client (about 0.1 s, once a process) and
    opens nothing: an import in the background could be cut in two by a fork, and the child would wait for it for
    ever. Close the publisher, or use it in a `with` block; a process that forgets is given
    five seconds at its end.
    """

    def __init__(self, bootstrap: str, **options: Unpack[PublisherOptions]) -> None:
        super().__init__(Options(bootstrap=bootstrap, **options))
        self._thread: DeliveryThread | None = None
        self._start_lock = threading.Lock()
        import_client()
        watch(self)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Waits until everything given so far is acknowledged, or counted as dropped. False: not in time."""
        thread = self._thread
        return thread is None or thread.flush(timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Flushes until the deadline, keeps the rest in the spool (or counts it as dropped), ends the thread.

        True when everything was acknowledged, or counted as dropped, in time. Closing again is harmless.
        """
        self._close_door()
        with self._start_lock:
            thread = self._thread
        return thread is None or thread.close(self._options.close_timeout_s if timeout_s is None else timeout_s)

    def stats(self) -> Stats:
        """The counts of this moment."""
        thread = self._thread
        delivery = thread.delivery if thread is not None else None
        return delivery.stats() if delivery is not None else self._stats_before_delivery()

    def _wake(self) -> bool:
        thread = self._thread
        if thread is not None:
            thread.wake()
            return True
        with self._start_lock:
            if self._thread is None and not self._closed:
                self._thread = DeliveryThread(self._options, self._metrics, self._activities)
        return True

    def after_fork_in_child(self) -> None:
        """A child has none of the parent's threads, and none of its events: it starts afresh."""
        if self._thread is not None and self._thread.delivery is not None:
            self._thread.delivery.abandon()
        self._thread = None
        self._start_lock = threading.Lock()
        self._reset()
