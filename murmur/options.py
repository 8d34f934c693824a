"""Every knob of a publisher, with its default and the reason for it.

In: the keyword arguments of a publisher. Out: `Options`, checked. Never: opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, get_args

from murmur.security import Security
from murmur.validate import PRIORITIES, check_identifier, check_tags

Wire = Literal["columns", "json", "json-array"]
KeyBy = Literal["swarm", "agent"]

BATCH_EVENTS_MAX = 500  # a columnar batch of 500 events is about 7 KB compressed: far below a broker's 1 MB limit,
# while the cost of a record (about 100 us in the client) is spread over enough events
BATCH_AGE_MS = 200  # longest wait for company; a fifth of the promised second from event to anomaly record
BUFFER_EVENTS_MAX = 100_000  # about 30 MB of pending tuples, 100 s at 1,000 events/s
BUFFER_ACTIVITIES_MAX = 20_000  # activities are larger and rarer; they have their own room beside the metrics
SPOOL_BYTES_MAX = 256 * 1024 * 1024  # about 9 million columnar events
REQUEST_TIMEOUT_MS = 10_000  # after this the outcome of a send counts as unknown and it is sent again
CLOSE_TIMEOUT_S = 5.0  # how long an exiting agent may wait for its last events
RECORD_BYTES_MAX = 900_000  # below the 1,000,000 bytes most brokers accept, with room for key and headers
IN_FLIGHT_RECORDS_MAX = 512  # records sent and not yet acknowledged. The worker recognises a resent record among
# the last 4,096 sequence numbers of its producer, so a resend never comes from further behind than an eighth of that
IN_FLIGHT_EVENTS_MAX = 8_000  # a round trip of a few ms then carries more than a million events/s
IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024  # bounds memory when events are large
BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 5.0  # a broker that comes back is noticed within this
METRICS_TOPIC = "swarm.metrics"
ACTIVITIES_TOPIC = "swarm.activities"


class PublisherOptions(TypedDict, total=False):
    """The keyword arguments of a publisher; `Options` holds their defaults."""

    swarm_id: Required[str]
    agent_id: str
    run_id: str
    tags: Mapping[str, str]
    topic_prefix: str
    wire: Wire
    key_by: KeyBy
    batch_events_max: int
    batch_age_ms: int
    buffer_events_max: int
    buffer_activities_max: int
    spool_dir: Path | str | None
    spool_bytes_max: int
    sampling: Mapping[str, float]
    sampling_seed: int | None
    request_timeout_ms: int
    close_timeout_s: float
    strict: bool
    security: Security | None
    kafka_options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a publisher was asked to do; see docs/client.md."""

    bootstrap: str
    swarm_id: str
    agent_id: str = ""
    run_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    topic_prefix: str = ""
    wire: Wire = "columns"
    key_by: KeyBy = "swarm"
    batch_events_max: int = BATCH_EVENTS_MAX
    batch_age_ms: int = BATCH_AGE_MS
    buffer_events_max: int = BUFFER_EVENTS_MAX
    buffer_activities_max: int = BUFFER_ACTIVITIES_MAX
    spool_dir: Path | str | None = None
    spool_bytes_max: int = SPOOL_BYTES_MAX
    sampling: Mapping[str, float] = field(default_factory=dict)
    sampling_seed: int | None = None
    request_timeout_ms: int = REQUEST_TIMEOUT_MS
    close_timeout_s: float = CLOSE_TIMEOUT_S
    strict: bool = False
    security: Security | None = None
    kafka_options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold a password

    def __post_init__(self) -> None:
        for name, text, empty in (
            ("swarm_id", self.swarm_id, False),
            ("agent_id", self.agent_id, True),
            ("run_id", self.run_id, True),
        ):
            if (reason := check_identifier(text, empty_allowed=empty)) is not None:
                raise ValueError(f"{name}={text!r}: {reason}")
        if (reason := check_tags(tuple(self.tags.items()))) is not None:
            raise ValueError(f"tags: {reason}")
        if not isinstance(self.bootstrap, str) or not self.bootstrap:
            raise ValueError(f"bootstrap={self.bootstrap!r}: give host:port[,host:port] of the Kafka brokers")
        if self.spool_dir is not None:
            object.__setattr__(self, "spool_dir", Path(self.spool_dir))
        _check_choice("wire", self.wire, get_args(Wire))
        _check_choice("key_by", self.key_by, get_args(KeyBy))
        for name, number, low, high in (
            ("batch_events_max", self.batch_events_max, 1, 65_536),
            ("batch_age_ms", self.batch_age_ms, 1, 60_000),
            ("buffer_events_max", self.buffer_events_max, 1, 100_000_000),
            ("buffer_activities_max", self.buffer_activities_max, 1, 100_000_000),
            ("spool_bytes_max", self.spool_bytes_max, 1 << 16, 1 << 50),
            ("request_timeout_ms", self.request_timeout_ms, 100, 600_000),
        ):
            if not isinstance(number, int) or not low <= number <= high:
                raise ValueError(f"{name}={number!r}: must be a whole number from {low} to {high}")
        for priority, rate in self.sampling.items():
            _check_choice("sampling", priority, PRIORITIES)
            if not 1e-9 <= rate <= 1:
                raise ValueError(f"sampling[{priority!r}]={rate!r}: a rate is above 0 and at most 1")

    @property
    def metrics_topic(self) -> str:
        """Full name of the topic of metric events."""
        return self.topic_prefix + METRICS_TOPIC

    @property
    def activities_topic(self) -> str:
        """Full name of the topic of activities."""
        return self.topic_prefix + ACTIVITIES_TOPIC


def _check_choice(name: str, value: str, choices: tuple[str, ...] | frozenset[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(sorted(choices))}")
